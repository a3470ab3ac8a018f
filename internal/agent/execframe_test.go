package agent

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
	"github.com/drover-org/drover/internal/ws"
)

// FuzzExecFrame holds the reading of frames, which knows the usual form by
// sight, against a JSON parser.
func FuzzExecFrame(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"stdin":{"data":"aGk="}}`, "{\"stdin\":{\"data\":\"aGk=\"}}\n", `{"stdin":{"data":"aGk=","close":true}}`, `{"stdin":{"data":"aG\u006b="}}`,
		"{\"stdin\":{\"data\":\"aG\nk=\"}}", `{"stdin":{"data":"aG\nk="}}`, `{"stdin":{"data":"???"}}`, `{"stdin":{"close":true}}`, `{"tty_size":{"height":1,"width":2}}`,
		`{"stdin":{"data":"aGk="}}}}`, `{"stdin":{"data":""}}`, `{"stdin":null}`, `{"stdin":"x"}`, `[]`, "", `{"stdin":{"data":"aGk="}}{"stdin":{"data":"aGk="}}`,
		`{"stdin":{"data":"` + strings.Repeat("AAAA", 100) + `"}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		var want api.ExecInput
		wantErr := json.Unmarshal(frame, &want)
		got, data, err := parseInput(bytes.Clone(frame))
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("%v; the parser says %v", err, wantErr)
		}
		if err != nil {
			return
		}
		var wantData []byte
		if want.Stdin != nil {
			wantData = want.Stdin.Data
		}
		if !bytes.Equal(data, wantData) {
			t.Errorf("data %q, want %q", data, wantData)
		}
		if got.Stdin != nil && want.Stdin != nil && got.Stdin.Close != want.Stdin.Close {
			t.Errorf("close %v", got.Stdin.Close)
		}
	})
}

// What is decoded in the place of its text is right at every length.
func TestDecodeInPlace(t *testing.T) {
	for n := range 1000 {
		want := make([]byte, n)
		for i := range want {
			want[i] = byte(i * n)
		}
		frame := []byte(`{"stdin":{"data":"` + base64.StdEncoding.EncodeToString(want) + `"}}`)
		if _, data, err := parseInput(frame); err != nil || !bytes.Equal(data, want) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
}

// A command that reads nothing holds a bounded part of what is sent to it,
// whether in small or in large frames.
func TestStdinBound(t *testing.T) {
	for _, size := range []int{1, 4 << 10, 32 << 10, 200 << 10} {
		near, far := net.Pipe()
		s := &session{conn: ws.New(near, nil)}
		q := newStdin(maxExecStdin)
		done := make(chan struct{}, 2)
		go func() {
			_ = s.receive(q, nil)
			done <- struct{}{}
		}()
		text := []byte(`{"stdin":{"data":"` + base64.StdEncoding.EncodeToString(make([]byte, size)) + `"}}`)
		frame := clientFrame(text)
		full := make(chan struct{})
		go func() {
			q.mu.Lock()
			for q.size <= q.limit {
				q.more.Wait()
			}
			q.mu.Unlock()
			close(full)
		}()
		go func() {
			for err := error(nil); err == nil; {
				_, err = far.Write(frame)
			}
			done <- struct{}{}
		}()
		<-full
		q.mu.Lock()
		held, limit := q.size, q.limit+2*max(len(text), 96<<10)+pieceCost
		q.mu.Unlock()
		if held > limit {
			t.Errorf("frames of %d bytes: %d bytes are held", size, held)
		}
		q.abandon() // the session ends
		_ = far.Close()
		<-done
		<-done
	}
}

// clientFrame masks with zeros, so that it can be sent again and again.
func clientFrame(payload []byte) []byte {
	b := []byte{0x81, 0xff, 0, 0, 0, 0, 0, byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), 0, 0, 0, 0}
	return append(b, payload...)
}

// A day of silence is a ping every 15 s, which a proxy sees, and the session
// goes on after it.
func TestExecIdleDay(t *testing.T) {
	s, a, w := execWorld(t, nil, echo)
	conn := rawExec(t, s.Listener.Addr().String(), execURL(s, a.ID))
	pings := int(24 * time.Hour / pingInterval)
	go func() {
		for range pings {
			w.a.ping()
		}
	}()
	// Pings that meet at a busy writer are one: at least the last one comes.
	var head [2]byte
	for seen := 0; seen == 0; seen++ {
		if _, err := io.ReadFull(conn, head[:]); err != nil || head != [2]byte{0x89, 0} {
			t.Fatalf("% x, %v; want a ping", head, err)
		}
	}
	if _, err := conn.Write(clientFrame([]byte(`{"stdin":{"data":"aGk=","close":true}}`))); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			t.Fatal(err)
		}
		if head[0] == 0x89 {
			continue
		}
		text := make([]byte, head[1])
		if _, err := io.ReadFull(conn, text); err != nil || string(text) != `{"stdout":{"data":"aGk="}}` {
			t.Errorf("%q, %v", text, err)
		}
		return
	}
}

// A caller that is held up by its own input is not pinged: clients that can't
// answer while they send would stop reading, and the session would stand still.
func TestExecNoPingWhileInputWaits(t *testing.T) {
	stop := make(chan struct{})
	s, a, w := execWorld(t, nil, func(_ context.Context, o *driver.ExecOptions) (*driver.ExitResult, error) {
		<-stop // reads nothing
		return &driver.ExitResult{}, nil
	})
	conn := rawExec(t, s.Listener.Addr().String(), execURL(s, a.ID))
	frame := clientFrame([]byte(`{"stdin":{"data":"` + base64.StdEncoding.EncodeToString(make([]byte, 64<<10)) + `"}}`))
	for range 8 { // more than is taken; the rest fits into the sockets
		if _, err := conn.Write(frame); err != nil {
			t.Fatal(err)
		}
	}
	for held := false; !held; time.Sleep(time.Millisecond) {
		w.a.mu.RLock()
		for s := range w.a.open {
			held = s.held.Load()
		}
		w.a.mu.RUnlock()
	}
	for range 10 {
		w.a.ping()
	}
	close(stop)
	var head [2]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil || head[0] != 0x81 {
		t.Errorf("% x, %v; want the end of the output", head, err)
	}
}

// rawExec opens a session without a websocket library.
func rawExec(t *testing.T, addr, target string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = verdict(api.CapAllocExec, api.CapAllocNodeExec)
	for k, v := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="} {
		r.Header.Set(k, v)
	}
	if err := r.Write(conn); err != nil {
		t.Fatal(err)
	}
	var head []byte
	for b := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); head = append(head, b...) {
		if _, err := io.ReadFull(conn, b); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
		t.Fatalf("%s", head)
	}
	return conn
}
