package cli

import (
	"io"
	"strings"
)

// table is rows of cells under a heading, in columns as wide as they need.
// Cells may hold colour.
type table struct {
	head []string
	rows [][]string
}

func newTable(head ...string) *table { return &table{head: head} }

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

// write prints the table; nothing at the end of a line.
func (t *table) write(w io.Writer, st style) {
	widths := make([]int, 0, len(t.head))
	for _, r := range append([][]string{t.head}, t.rows...) {
		for i, c := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], width(c))
		}
	}
	var b strings.Builder
	line := func(cells []string, paint func(string) string) {
		for i, c := range cells {
			b.WriteString(paint(c))
			if i < len(cells)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-width(c)+2))
			}
		}
		b.WriteByte('\n')
	}
	if len(t.head) > 0 {
		line(t.head, st.bold)
	}
	for _, r := range t.rows {
		line(r, func(s string) string { return s })
	}
	_, _ = io.WriteString(w, b.String())
}

// facts are names with values, one a line.
type facts struct{ rows [][2]string }

func (f *facts) add(name, value string) { f.rows = append(f.rows, [2]string{name, value}) }

// addIf adds a value that is not empty.
func (f *facts) addIf(name, value string) {
	if value != "" {
		f.add(name, value)
	}
}

func (f *facts) write(w io.Writer, st style) {
	widest := 0
	for _, r := range f.rows {
		widest = max(widest, width(r[0]))
	}
	var b strings.Builder
	for _, r := range f.rows {
		b.WriteString(st.bold(r[0]))
		b.WriteString(strings.Repeat(" ", widest-width(r[0])))
		b.WriteString(" = ")
		b.WriteString(r[1])
		b.WriteByte('\n')
	}
	_, _ = io.WriteString(w, b.String())
}

// heading starts a part of a longer answer.
func (e *env) heading(text string) { e.say("\n%s", e.out.bold(text)) }

// show prints a table or facts to standard output.
func (e *env) show(p interface{ write(io.Writer, style) }) { p.write(e.Out, e.out) }
