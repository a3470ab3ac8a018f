package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"time"

	"github.com/drover-org/drover/api"
)

// enc appends values in a compact form: variable-length integers, strings with
// their length, UUIDs in 16 bytes, structs as records with their length so
// that a reader may skip fields it doesn't know.
type enc struct {
	b   []byte
	err error // of a nested JSON value
}

func (e *enc) uint(v uint64) { e.b = binary.AppendUvarint(e.b, v) }
func (e *enc) int(v int64)   { e.b = binary.AppendVarint(e.b, v) }

func (e *enc) bool(v bool) {
	if v {
		e.b = append(e.b, 1)
	} else {
		e.b = append(e.b, 0)
	}
}

func (e *enc) str(s string) {
	e.uint(uint64(len(s)))
	e.b = append(e.b, s...)
}

func (e *enc) float(f float64) { e.b = binary.LittleEndian.AppendUint64(e.b, math.Float64bits(f)) }

// Forms of an ID.
const (
	idEmpty = iota
	idUUID
	idText
)

func (e *enc) id(s string) {
	if s == "" {
		e.b = append(e.b, idEmpty)
	} else if id, ok := api.ParseID(s); ok && id.Is(s) {
		e.b = append(append(e.b, idUUID), id[:]...)
	} else {
		e.b = append(e.b, idText)
		e.str(s)
	}
}

func (e *enc) time(t time.Time) {
	e.bool(t.IsZero())
	if !t.IsZero() {
		e.int(t.Unix())
		e.uint(uint64(t.Nanosecond()))
	}
}

func (e *enc) strMap(m map[string]string) {
	if m == nil {
		e.uint(0)
		return
	}
	e.uint(uint64(len(m)) + 1)
	for k, v := range m {
		e.str(k)
		e.str(v)
	}
}

// json appends a value of the cold kind, self-describing.
func (e *enc) json(v any) {
	b, err := json.Marshal(v)
	if err != nil && e.err == nil {
		e.err = err
	}
	e.uint(uint64(len(b)))
	e.b = append(e.b, b...)
}

// record appends what f writes with its length in front.
func (e *enc) record(f func(*enc)) {
	e.b = append(e.b, 0) // most lengths take one byte
	start := len(e.b)
	f(e)
	n := uint64(len(e.b) - start)
	if n < 0x80 {
		e.b[start-1] = byte(n)
		return
	}
	var head [binary.MaxVarintLen64]byte
	more := binary.PutUvarint(head[:], n) - 1
	e.b = append(e.b, head[:more]...) // room
	copy(e.b[start+more:], e.b[start:start+int(n)])
	copy(e.b[start-1:], head[:more+1])
}

// list appends the length of a list that may be null.
func (e *enc) list(n int, null bool) {
	if null {
		e.uint(0)
		return
	}
	e.uint(uint64(n) + 1)
}

var errShort = errors.New("the data ends early")

// dec reads what enc wrote. After an error every read returns a zero value.
// At the end of a record it does the same without an error: a field that an
// earlier version did not write.
type dec struct {
	b        []byte
	inRecord bool
	err      error
}

func (d *dec) fail() {
	if d.err == nil && !(d.inRecord && len(d.b) == 0) {
		d.err = errShort
	}
	d.b = nil
}

func (d *dec) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *dec) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *dec) take(n uint64) []byte {
	if uint64(len(d.b)) < n {
		d.fail()
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *dec) bool() bool {
	b := d.take(1)
	return len(b) == 1 && b[0] != 0
}

func (d *dec) str() string { return string(d.take(d.uint())) }

func (d *dec) float() float64 {
	if b := d.take(8); len(b) == 8 {
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	}
	return 0
}

func (d *dec) id() string {
	b := d.take(1)
	if len(b) == 0 {
		return ""
	}
	switch b[0] {
	case idUUID:
		if b := d.take(16); len(b) == 16 {
			return api.ID(b).String()
		}
	case idText:
		return d.str()
	}
	return ""
}

func (d *dec) time() time.Time {
	if b := d.take(1); len(b) == 0 || b[0] != 0 {
		return time.Time{}
	}
	sec := d.int()
	return time.Unix(sec, int64(d.uint())).UTC()
}

// count reads the length of a list whose items take at least one byte each.
func (d *dec) count() int {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.fail()
		return 0
	}
	return int(n)
}

// list reads what enc.list wrote, of a list whose items take at least one byte
// each.
func (d *dec) list() (n int, null bool) {
	v := d.uint()
	if v == 0 {
		return 0, true
	}
	if v-1 > uint64(len(d.b)) {
		d.fail()
		return 0, true
	}
	return int(v - 1), false
}

func (d *dec) strMap() map[string]string {
	n := d.uint()
	if n == 0 {
		return nil
	}
	if n-1 > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	m := make(map[string]string, n-1)
	for range n - 1 {
		k := d.str()
		m[k] = d.str()
	}
	return m
}

func (d *dec) json(v any) {
	b := d.take(d.uint())
	if d.err != nil || len(b) == 0 {
		return
	}
	if err := json.Unmarshal(b, v); err != nil && d.err == nil {
		d.err = err
	}
}

func (d *dec) record(f func(*dec)) {
	r := &dec{b: d.take(d.uint()), inRecord: true}
	if d.err != nil {
		return
	}
	if f(r); r.err != nil && d.err == nil {
		d.err = r.err
	}
}
