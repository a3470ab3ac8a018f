package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// live prints lines that stay and, on a terminal, a block below them that is
// redrawn. Elsewhere the block is dropped. It is used by one goroutine.
type live struct {
	w     io.Writer
	st    style
	width func() int
	drawn []string // the block as it stands on the terminal
}

func newLive(w io.Writer, st style) *live {
	return &live{w: w, st: st, width: func() int { return terminalWidth(w) }}
}

// line prints a line that stays.
func (l *live) line(format string, args ...any) {
	block := l.drawn
	var b strings.Builder
	l.wipe(&b)
	fmt.Fprintf(&b, format, args...)
	b.WriteByte('\n')
	l.draw(&b, block)
	_, _ = io.WriteString(l.w, b.String())
}

// block replaces what is shown below the lines.
func (l *live) block(lines ...string) {
	if !l.st.tty || equalLines(lines, l.drawn) {
		return
	}
	var b strings.Builder
	l.wipe(&b)
	l.draw(&b, lines)
	_, _ = io.WriteString(l.w, b.String())
}

// wipe removes the block from the terminal.
func (l *live) wipe(b *strings.Builder) {
	if len(l.drawn) > 0 {
		fmt.Fprintf(b, "\x1b[%dA\r\x1b[J", len(l.drawn))
	}
	l.drawn = nil
}

func (l *live) draw(b *strings.Builder, lines []string) {
	if !l.st.tty {
		return
	}
	w := l.width()
	for _, s := range lines {
		if w > 1 {
			s = ansi.Truncate(s, w-1, "…") // a wrapped line could not be wiped
		}
		b.WriteString(s)
		b.WriteByte('\n')
	}
	l.drawn = lines
}

func equalLines(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
