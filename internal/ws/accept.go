package ws

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/drover-org/drover/api"
)

// IsUpgrade reports whether a request asks for a websocket.
func IsUpgrade(r *http.Request) bool {
	return hasToken(r.Header, "Connection", "upgrade") && hasToken(r.Header, "Upgrade", "websocket")
}

func hasToken(h http.Header, name, token string) bool {
	for _, line := range h.Values(name) {
		for word := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(word), token) {
				return true
			}
		}
	}
	return false
}

// Accept takes the connection of a request over. An error is the request's
// fault, and nothing was answered. It does not look at the Origin: web.Guard
// does, where a request enters the cluster.
func Accept(w http.ResponseWriter, r *http.Request) (*Conn, error) {
	if u, ok := w.(*upgraded); ok {
		return u.conn, nil
	}
	key := r.Header.Get("Sec-WebSocket-Key")
	raw, err := base64.StdEncoding.DecodeString(key)
	switch {
	case r.Method != http.MethodGet || !IsUpgrade(r):
		return nil, api.Errorf(api.CodeInvalid, `the request is no websocket: it lacks the headers "Connection: Upgrade" and "Upgrade: websocket"`)
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		w.Header().Set("Sec-WebSocket-Version", "13")
		return nil, api.Errorf(api.CodeInvalid, `header "Sec-WebSocket-Version" is %q, expected 13`, r.Header.Get("Sec-WebSocket-Version"))
	case err != nil || len(raw) != 16:
		return nil, api.Errorf(api.CodeInvalid, `header "Sec-WebSocket-Key" is not 16 bytes in base64`)
	}
	h := w.Header()
	h.Set("Connection", "Upgrade")
	h.Set("Upgrade", "websocket")
	h.Set("Sec-WebSocket-Accept", acceptKey(key))
	w.WriteHeader(http.StatusSwitchingProtocols)
	conn, brw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, fmt.Errorf("take the connection over: %w", err)
	}
	early, err := brw.Reader.Peek(brw.Reader.Buffered())
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("take the connection over: %w", err)
	}
	return New(conn, append([]byte(nil), early...)), nil
}

// acceptKey is what proves to the caller that its request was understood.
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// New makes a Conn of a connection after the upgrade; early is what was read
// of it already.
func New(conn net.Conn, early []byte) *Conn {
	c := &Conn{raw: conn, early: early}
	c.r = bufio.NewReaderSize(earlyReader{c}, peekSize)
	return c
}

// earlyReader reads what was there early, then the connection.
type earlyReader struct{ c *Conn }

func (e earlyReader) Read(p []byte) (int, error) {
	if len(e.c.early) == 0 {
		n, err := e.c.raw.Read(p)
		e.c.in.Add(int64(n))
		return n, err
	}
	n := copy(p, e.c.early)
	e.c.in.Add(int64(n))
	if e.c.early = e.c.early[n:]; len(e.c.early) == 0 {
		e.c.early = nil
	}
	return n, nil
}

// ResponseWriter makes a handler further inside get c from Accept, for a
// request whose connection was taken over on the way.
func (c *Conn) ResponseWriter() http.ResponseWriter { return &upgraded{c, http.Header{}} }

type upgraded struct {
	conn   *Conn
	header http.Header
}

func (u *upgraded) Header() http.Header         { return u.header }
func (u *upgraded) WriteHeader(int)             {}
func (u *upgraded) Write(p []byte) (int, error) { return len(p), nil }
