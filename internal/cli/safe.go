package cli

import (
	"io"
	"strings"
	"unicode/utf8"
)

// safeOut is standard output for bytes from elsewhere: on a terminal their
// control sequences are shown instead of obeyed, unless raw is wanted.
func (e *env) safeOut(raw bool) io.Writer {
	if raw || !e.out.tty {
		return e.Out
	}
	return &safeWriter{w: e.Out}
}

// safeErr is the same for standard error.
func (e *env) safeErr(raw bool) io.Writer {
	if raw || !e.err.tty {
		return e.Err
	}
	return &safeWriter{w: e.Err}
}

const maxSGR = 40 // bytes of a colour sequence

// safeWriter lets text, newlines, tabs and colour through to a terminal and
// makes every other control character visible. A sequence or letter that is
// cut by the end of a Write waits for the next one.
type safeWriter struct {
	w    io.Writer
	held []byte
}

// Write never reports fewer bytes than it was given unless w fails.
func (s *safeWriter) Write(p []byte) (int, error) {
	text := append(s.held, p...)
	var b strings.Builder
	for len(text) > 0 {
		n, wait := s.step(&b, text)
		if wait {
			break
		}
		text = text[n:]
	}
	s.held = append([]byte(nil), text...)
	if _, err := io.WriteString(s.w, b.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// step writes the first letter or sequence of text. wait means that more
// bytes are needed to tell what it is.
func (s *safeWriter) step(b *strings.Builder, text []byte) (n int, wait bool) {
	switch c := text[0]; {
	case c == '\x1b':
		n, wait := colourSequence(text)
		if wait {
			return 0, true
		}
		if n > 0 {
			b.Write(text[:n])
			return n, false
		}
		showRune(b, '\x1b')
		return 1, false
	case c == '\r':
		// A bare one would overwrite the line that stands there.
		if len(text) == 1 {
			return 0, true
		}
		if text[1] != '\n' {
			b.WriteByte('\n')
		}
		return 1, false
	case c < utf8.RuneSelf:
		showRune(b, rune(c))
		return 1, false
	case !utf8.FullRune(text):
		return 0, true
	}
	r, n := utf8.DecodeRune(text)
	showRune(b, r)
	return n, false
}

// colourSequence returns the length of the colour sequence that text starts
// with, 0 if it starts with something else.
func colourSequence(text []byte) (n int, wait bool) {
	for i := 1; i < len(text); i++ {
		c := text[i]
		switch {
		case i == 1 && c == '[', i > 1 && (c == ';' || c == ':' || '0' <= c && c <= '9'):
		case i > 1 && c == 'm':
			return i + 1, false
		default:
			return 0, false
		}
		if i > maxSGR {
			return 0, false
		}
	}
	return 0, true
}

// safeLine is a line from elsewhere, ready for a terminal; colour that it
// leaves on is turned off.
func safeLine(line string, st style) string {
	if !st.tty {
		return line
	}
	var b strings.Builder
	w := safeWriter{w: &b}
	_, _ = io.WriteString(&w, strings.TrimSuffix(line, "\r"))
	out := b.String()
	if len(w.held) > 0 {
		out += visible(string(w.held))
	}
	if strings.Contains(out, "\x1b") {
		out += "\x1b[0m"
	}
	return out
}
