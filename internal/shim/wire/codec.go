package wire

import "encoding/binary"

// Encoder appends values to Bytes.
type Encoder struct{ Bytes []byte }

// Int appends n.
func (e *Encoder) Int(n int64) { e.Bytes = binary.AppendVarint(e.Bytes, n) }

// Bool appends b.
func (e *Encoder) Bool(b bool) {
	if b {
		e.Int(1)
	} else {
		e.Int(0)
	}
}

// String appends s.
func (e *Encoder) String(s string) {
	e.Int(int64(len(s)))
	e.Bytes = append(e.Bytes, s...)
}

// Strings appends list.
func (e *Encoder) Strings(list []string) {
	e.Int(int64(len(list)))
	for _, s := range list {
		e.String(s)
	}
}

// Decoder reads what an Encoder wrote. Reading past the end gives zero values
// (the peer is older); a malformed value sets Bad.
type Decoder struct {
	Bytes []byte
	Bad   bool
}

// Int reads an integer.
func (d *Decoder) Int() int64 {
	if len(d.Bytes) == 0 || d.Bad {
		return 0
	}
	n, size := binary.Varint(d.Bytes)
	if size <= 0 {
		d.Bad = true
		return 0
	}
	d.Bytes = d.Bytes[size:]
	return n
}

// Bool reads a bool.
func (d *Decoder) Bool() bool { return d.Int() != 0 }

// String reads a string.
func (d *Decoder) String() string {
	n := d.Int()
	if n < 0 || n > int64(len(d.Bytes)) {
		d.Bad = true
		return ""
	}
	s := string(d.Bytes[:n])
	d.Bytes = d.Bytes[n:]
	return s
}

// Strings reads a list of strings.
func (d *Decoder) Strings() []string {
	n := d.Int()
	if n < 0 || n > int64(len(d.Bytes)) { // each takes at least a byte
		d.Bad = true
		return nil
	}
	list := make([]string, 0, n)
	for range n {
		list = append(list, d.String())
	}
	return list
}
