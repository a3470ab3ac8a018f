package web

import (
	"io"
	"net/http"
	"strings"
)

// pretty reports whether the answer is to be indented: the parameter is
// present and not 0.
func pretty(r *http.Request) bool {
	if q := r.URL.RawQuery; !strings.Contains(q, "pretty") && !strings.Contains(q, "%") {
		return false // the usual case, without taking the query apart
	}
	v, ok := r.URL.Query()["pretty"]
	return ok && v[0] != "0"
}

// indented returns w, or when the caller asks for it a writer that indents
// the JSON passing through.
func indented(w io.Writer, r *http.Request, contentType string) io.Writer {
	if contentType == "application/json" && pretty(r) {
		return &indenter{w: w}
	}
	return w
}

// indenter indents a stream of compact JSON by four spaces, in constant
// memory.
type indenter struct {
	w       io.Writer
	out     []byte
	depth   int
	inText  bool // inside a string
	escaped bool // after a backslash in a string
	opened  bool // the last byte opened an object or array
}

// Write indents p and passes it on.
func (i *indenter) Write(p []byte) (int, error) {
	i.out = i.out[:0]
	for _, c := range p {
		i.put(c)
	}
	if _, err := i.w.Write(i.out); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (i *indenter) put(c byte) {
	if i.inText {
		i.out = append(i.out, c)
		switch {
		case i.escaped:
			i.escaped = false
		case c == '\\':
			i.escaped = true
		case c == '"':
			i.inText = false
		}
		return
	}
	switch c {
	case ' ', '\t', '\n', '\r':
		return
	case '}', ']':
		i.depth--
		if i.opened {
			i.opened = false
		} else {
			i.newline()
		}
		i.out = append(i.out, c)
		return
	}
	if i.opened {
		i.opened = false
		i.newline()
	}
	i.out = append(i.out, c)
	switch c {
	case '"':
		i.inText = true
	case '{', '[':
		i.depth++
		i.opened = true
	case ',':
		i.newline()
	case ':':
		i.out = append(i.out, ' ')
	}
}

func (i *indenter) newline() {
	i.out = append(i.out, '\n')
	for range i.depth {
		i.out = append(i.out, "    "...)
	}
}
