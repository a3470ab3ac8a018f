package cli

import "io"

// escapeReader passes on what is typed, except the escape character and a dot
// at the beginning of a line, which leave the session, and twice the escape
// character there, which is passed on once.
type escapeReader struct {
	r      io.Reader
	escape byte
	leave  func()

	state   int
	started bool
	pending []byte
}

// What the last bytes were.
const (
	inLine = iota
	atStart
	afterEscape
)

// Read returns what is left of the input; it waits for more when everything
// it got was swallowed.
func (e *escapeReader) Read(p []byte) (int, error) {
	if !e.started {
		e.started, e.state = true, atStart
	}
	for len(e.pending) == 0 {
		buf := make([]byte, len(p))
		n, err := e.r.Read(buf)
		for _, c := range buf[:n] {
			if e.take(c) {
				e.leave()
				return 0, io.EOF
			}
		}
		if err != nil {
			n = copy(p, e.pending)
			e.pending = e.pending[n:]
			return n, err
		}
	}
	n := copy(p, e.pending)
	e.pending = e.pending[n:]
	return n, nil
}

// take looks at one byte; true means to leave.
func (e *escapeReader) take(c byte) bool {
	switch {
	case e.state == afterEscape && c == '.':
		return true
	case e.state == atStart && c == e.escape:
		e.state = afterEscape
		return false
	case e.state == afterEscape && c != e.escape:
		e.pending = append(e.pending, e.escape)
	}
	e.pending = append(e.pending, c)
	e.state = inLine
	if c == '\r' || c == '\n' {
		e.state = atStart
	}
	return false
}
