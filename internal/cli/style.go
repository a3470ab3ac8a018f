package cli

import (
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"
)

// style paints text for one stream; without colour it returns text as it is.
type style struct {
	colour bool
	tty    bool // a terminal: lines may be redrawn
}

// newStyle looks at what a stream is and what the environment asks for.
func newStyle(io Stdio, w io.Writer) style {
	tty := isTerminal(w)
	dumb := io.Getenv("TERM") == "dumb"
	return style{tty: tty && !dumb, colour: tty && !dumb && io.Getenv("NO_COLOR") == "" && io.Getenv("NOMAD_CLI_NO_COLOR") == ""}
}

// styles are those of standard output and standard error after the flags.
func (e *env) styles() (out, err style) {
	out, err = newStyle(e.Stdio, e.Out), newStyle(e.Stdio, e.Err)
	switch {
	case e.noColor:
		out.colour, err.colour = false, false
	case e.forceColor:
		out.colour, err.colour = true, true
	}
	return out, err
}

// fileOf returns the file behind a stream, or nil.
func fileOf(stream any) *os.File {
	f, _ := stream.(*os.File)
	return f
}

func isTerminal(stream any) bool {
	f := fileOf(stream)
	return f != nil && term.IsTerminal(int(f.Fd()))
}

// terminalWidth is the width of a stream in characters, 0 if it has none.
func terminalWidth(stream any) int {
	f := fileOf(stream)
	if f == nil {
		return 0
	}
	w, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return w
}

func (s style) paint(sgr, text string) string {
	if !s.colour || text == "" {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

func (s style) bold(t string) string   { return s.paint("1", t) }
func (s style) dim(t string) string    { return s.paint("2", t) }
func (s style) red(t string) string    { return s.paint("31", t) }
func (s style) green(t string) string  { return s.paint("32", t) }
func (s style) yellow(t string) string { return s.paint("33", t) }
func (s style) cyan(t string) string   { return s.paint("36", t) }

// hues tell the sources of merged logs apart; red is left for errors.
var hues = [...]string{"36", "32", "35", "33", "34", "96", "92", "95", "93", "94"}

func (s style) hue(n int, t string) string { return s.paint(hues[n%len(hues)], t) }

// state paints a status by what it means to an operator.
func (s style) state(status string) string {
	switch status {
	case "running", "complete", "successful", "success", "ready", "alive", "healthy", "eligible", "true":
		return s.green(status)
	case "pending", "blocked", "paused", "unknown", "initializing", "ineligible", "queued", "disconnected", "canceled", "cancelled":
		return s.yellow(status)
	case "failed", "lost", "down", "unhealthy", "left":
		return s.red(status)
	case "dead":
		return s.dim(status)
	}
	return status
}

// width is how many columns text takes on a terminal.
func width(text string) int { return ansi.StringWidth(text) }

// visible makes control characters of text from elsewhere harmless: all but
// newline and tab are shown instead of obeyed, so that no message can move
// the cursor, change the title or write the clipboard.
func visible(text string) string {
	clean := true
	for _, r := range text {
		if control(r) {
			clean = false
			break
		}
	}
	if clean && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		showRune(&b, r)
	}
	return b.String()
}

// control reports whether a terminal would act on r.
func control(r rune) bool {
	return r < 0x20 && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0
}

func showRune(b *strings.Builder, r rune) {
	switch {
	case !control(r):
		b.WriteRune(r)
	case r < 0x20:
		b.WriteByte('^')
		b.WriteRune(r + '@')
	case r == 0x7f:
		b.WriteString("^?")
	default:
		b.WriteRune(utf8.RuneError)
	}
}
