package ws

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// wire is a connection that holds what the peer sent and takes what it gets.
type wire struct {
	io.Reader
	out bytes.Buffer
}

func (w *wire) Write(p []byte) (int, error)      { return w.out.Write(p) }
func (*wire) Close() error                       { return nil }
func (*wire) LocalAddr() net.Addr                { return nil }
func (*wire) RemoteAddr() net.Addr               { return nil }
func (*wire) SetDeadline(time.Time) error        { return nil }
func (*wire) SetReadDeadline(time.Time) error    { return nil }
func (*wire) SetWriteDeadline(t time.Time) error { return nil }

// frame makes a frame as a client does.
func frame(op Opcode, final bool, mask [4]byte, payload []byte) []byte {
	b := []byte{byte(op), 0x80}
	if final {
		b[0] |= 0x80
	}
	switch n := len(payload); {
	case n <= 125:
		b[1] |= byte(n)
	case n <= 0xffff:
		b[1] |= 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b[1] |= 127
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	b = append(b, mask[:]...)
	for i, c := range payload {
		b = append(b, c^mask[i&3])
	}
	return b
}

// Messages of all sizes arrive whole, in pieces or not, with pings between.
func TestRead(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var in bytes.Buffer
	var want [][]byte
	for _, size := range []int{0, 1, 125, 126, 511, 512, 513, 65535, 65536, pooledMessage, pooledMessage + 1, 3 << 20} {
		msg := make([]byte, size)
		for i := range msg {
			msg[i] = byte(rnd.Uint32())
		}
		want = append(want, msg)
		op := Binary
		for rest := msg; ; {
			n := len(rest)
			if n > 0 && rnd.IntN(2) == 0 {
				n = rnd.IntN(n)
			}
			in.Write(frame(op, n == len(rest), [4]byte{1, 2, 3, byte(size)}, rest[:n]))
			if n == len(rest) {
				break
			}
			in.Write(frame(opPing, true, [4]byte{9}, []byte("?")))
			op, rest = continuation, rest[n:]
		}
	}
	in.Write(frame(opClose, true, [4]byte{7}, []byte{0x03, 0xe9, 'b', 'y', 'e'}))
	w := &wire{Reader: &in}
	c := New(w, nil)
	for i, msg := range want {
		m, err := c.Read(4 << 20)
		if err != nil || m.Op != Binary || !bytes.Equal(m.Data, msg) {
			t.Fatalf("message %d of %d bytes: %v", i, len(msg), err)
		}
		m.Release()
	}
	var ce *CloseError
	if _, err := c.Read(1); !errors.As(err, &ce) || !ce.Peer || ce.Code != GoingAway || ce.Reason != "bye" {
		t.Errorf("close: %v", err)
	}
	if !bytes.HasPrefix(w.out.Bytes(), []byte{0x8a, 1, '?'}) {
		t.Errorf("pongs: % x", w.out.Bytes())
	}
}

// What a peer does wrong is named with the right code.
func TestReadRefuses(t *testing.T) {
	mask := [4]byte{1, 2, 3, 4}
	for name, c := range map[string]struct {
		in   []byte
		code Code
	}{
		"unmasked":         {[]byte{0x81, 1, 'x'}, ProtocolError},
		"reserved bits":    {append([]byte{0xc1}, frame(Text, true, mask, nil)[1:]...), ProtocolError},
		"unknown kind":     {frame(3, true, mask, nil), ProtocolError},
		"ping in pieces":   {frame(opPing, false, mask, nil), ProtocolError},
		"long ping":        {frame(opPing, true, mask, make([]byte, 126)), ProtocolError},
		"no beginning":     {frame(continuation, true, mask, nil), ProtocolError},
		"two beginnings":   {append(frame(Text, false, mask, nil), frame(Text, true, mask, nil)...), ProtocolError},
		"negative size":    {[]byte{0x82, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0}, ProtocolError},
		"too big":          {frame(Text, true, mask, make([]byte, 11)), TooBig},
		"too big together": {append(frame(Text, false, mask, make([]byte, 6)), frame(continuation, true, mask, make([]byte, 5))...), TooBig},
	} {
		_, err := New(&wire{Reader: bytes.NewReader(c.in)}, nil).Read(10)
		var ce *CloseError
		if !errors.As(err, &ce) || ce.Code != c.code || ce.Peer {
			t.Errorf("%s: %v", name, err)
		}
	}
	cut := frame(Text, true, mask, []byte("0123456789"))
	for n := range cut {
		_, err := New(&wire{Reader: bytes.NewReader(cut[:n])}, nil).Read(10)
		if want := map[bool]error{true: io.EOF, false: io.ErrUnexpectedEOF}[n == 0]; !errors.Is(err, want) && n != 1 {
			t.Errorf("cut after %d: %v", n, err)
		}
	}
}

// A frame announces up to 2^63 bytes; memory follows what really comes.
func TestReadBoundsMemory(t *testing.T) {
	head := []byte{0x82, 0xff, 0, 0, 0, 0, 0x3f, 0xff, 0xff, 0xff, 0, 0, 0, 0}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := New(&wire{Reader: bytes.NewReader(head)}, nil).Read(2 << 30); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 4*growStep {
		t.Errorf("%d bytes for a frame of which nothing came", n)
	}
}

// A peer that does not read takes one frame's memory and no more, and what is
// relayed to it is not read either.
func TestStoppedReader(t *testing.T) {
	const size = 100_000
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	var src counted
	src.r = io.MultiReader(bytes.NewReader(serverFrame(size)), bytes.NewReader(bytes.Repeat(serverFrame(size), 100)))
	c := New(near, nil)
	ended := make(chan error, 1)
	go func() { ended <- c.Relay(&src) }()
	if _, err := io.ReadFull(far, make([]byte, 1000)); err != nil { // the first frame is on its way
		t.Fatal(err)
	}
	c.answer([]byte("a ping must not wait"))
	if n := src.n; n > size+Room+peekSize {
		t.Errorf("%d bytes were read for a peer that does not read", n)
	}
	_ = far.Close()
	if err := <-ended; err == nil {
		t.Error("no error")
	}
}

type counted struct {
	r io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func serverFrame(size int) []byte {
	b := make([]byte, Room+size)
	return b[putHeader(b, Binary, size):]
}

// Relayed frames are the same bytes, and a close frame is the last.
func TestRelay(t *testing.T) {
	var in bytes.Buffer
	for _, size := range []int{0, 125, 126, 65535, 65536, 200_000} {
		in.Write(serverFrame(size))
	}
	in.Write([]byte{0x01, 1, 'a', 0x80, 1, 'b', 0x89, 0, 0x88, 2, 3, 0xe8})
	want := bytes.Clone(in.Bytes())
	in.WriteString("more")
	w := &wire{}
	c := New(w, nil)
	if err := c.Relay(&in); err != nil || !bytes.Equal(w.out.Bytes(), want) {
		t.Errorf("%d of %d bytes, %v", w.out.Len(), len(want), err)
	}
	if c.Send(Text, make([]byte, Room)) == nil || c.Ping() == nil {
		t.Error("something can follow a close frame")
	}
	if err := New(&wire{}, nil).Relay(bytes.NewReader(frame(Text, true, [4]byte{}, nil))); err == nil {
		t.Error("a client's frame was taken for a server's")
	}
}

// An independent client understands what is sent, and is understood.
func TestIndependentClient(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for {
			m, err := c.Read(1 << 20)
			if err != nil {
				c.Close(PolicyViolation, strings.Repeat("é", 100))
				return
			}
			_ = c.Ping()
			if err := c.Send(m.Op, append(make([]byte, Room), m.Data...)); err != nil {
				t.Error(err)
			}
			m.Release()
		}
	}))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(-1)
	for _, size := range []int{0, 125, 126, 65535, 65536, 1 << 20} {
		if err := conn.Write(ctx, websocket.MessageBinary, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := conn.Read(ctx); err != nil || len(got) != size {
			t.Fatalf("%d of %d bytes, %v", len(got), size, err)
		}
	}
	if err := conn.Write(ctx, websocket.MessageText, make([]byte, 1<<20+1)); err != nil {
		t.Fatal(err)
	}
	var ce websocket.CloseError
	if _, _, err := conn.Read(ctx); !errors.As(err, &ce) || ce.Code != 1008 || len(ce.Reason) > MaxReason || !utf8.ValidString(ce.Reason) {
		t.Errorf("close: %v", err)
	}
	for name, h := range map[string]http.Header{
		"no upgrade":  {},
		"version":     {"Connection": {"keep-alive, Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}, "Sec-Websocket-Version": {"8"}},
		"no key":      {"Connection": {"Upgrade"}, "Upgrade": {"WebSocket"}, "Sec-Websocket-Version": {"13"}},
		"other thing": {"Connection": {"Upgrade"}, "Upgrade": {"h2c"}},
	} {
		r := httptest.NewRequest(http.MethodGet, srv.URL, http.NoBody)
		r.RequestURI, r.Header = "", h
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s", name, resp.Status)
		}
	}
}

func TestTrim(t *testing.T) {
	for _, s := range []string{"", "short", strings.Repeat("a", 123), strings.Repeat("a", 124), strings.Repeat("é", 100), strings.Repeat("aé", 100)} {
		if got := Trim(s); len(got) > MaxReason || !utf8.ValidString(got) || len(s) <= MaxReason && got != s {
			t.Errorf("Trim(%d bytes) = %q", len(s), got)
		}
	}
}

// FuzzRead holds the parser against anything that may come: it ends, stays
// within its limit, and does not depend on how the bytes arrive.
func FuzzRead(f *testing.F) {
	mask := [4]byte{1, 2, 3, 4}
	f.Add(frame(Text, true, mask, []byte(`{"stdin":{"data":"aGk="}}`)))
	f.Add(append(frame(Text, false, mask, []byte(`{"std`)), frame(continuation, true, mask, []byte(`in":{}}`))...))
	f.Add(append(frame(opPing, true, mask, []byte("p")), frame(opClose, true, mask, []byte{3, 0xe8})...))
	f.Add([]byte{0x82, 0xff, 0, 0, 0, 0, 0x3f, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	f.Add(frame(Binary, true, mask, make([]byte, 70_000)))
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit = 1 << 16
		all := func(r io.Reader, early []byte) (list []string, end string) {
			c := New(&wire{Reader: r}, early)
			for {
				m, err := c.Read(limit)
				if err != nil {
					return list, err.Error()
				}
				if len(m.Data) > limit {
					t.Fatalf("a message of %d bytes", len(m.Data))
				}
				list = append(list, string(m.Data))
				m.Release()
			}
		}
		whole, end := all(bytes.NewReader(in), nil)
		early := len(in) / 2
		split, splitEnd := all(&oneByte{in[early:]}, in[:early])
		if strings.Join(whole, "\x00") != strings.Join(split, "\x00") || end != splitEnd {
			t.Errorf("%q, %s; byte by byte %q, %s", whole, end, split, splitEnd)
		}
	})
}

type oneByte struct{ b []byte }

func (o *oneByte) Read(p []byte) (int, error) {
	if len(o.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:1], o.b)
	o.b = o.b[n:]
	return n, nil
}

func BenchmarkRead(b *testing.B) {
	in := frame(Text, true, [4]byte{1, 2, 3, 4}, make([]byte, 43<<10))
	r := bytes.NewReader(in)
	c := New(&wire{Reader: r}, nil)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		r.Reset(in)
		m, err := c.Read(1 << 20)
		if err != nil {
			b.Fatal(err)
		}
		m.Release()
	}
}
