package cli

import (
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestControlSequencesAreShownNotObeyed(t *testing.T) {
	for in, want := range map[string]string{
		"plain äöü ✓\n\ttab\n":                     "plain äöü ✓\n\ttab\n",
		"\x1b[31mred\x1b[0m\n":                     "\x1b[31mred\x1b[0m\n",
		"\x1b[38;5;1mx\x1b[m\n":                    "\x1b[38;5;1mx\x1b[m\n",
		"\x1b[2Jgone\n":                            "^[[2Jgone\n",
		"\x1b]0;title\x07\n":                       "^[]0;title^G\n",
		"\x1b]52;c;Zm9v\x1b\\\n":                   "^[]52;c;Zm9v^[\\\n",
		"over\rwrite\n":                            "over\nwrite\n",
		"dos\r\n":                                  "dos\n",
		"back\x08\x7f\n":                           "back^H^?\n",
		"c1 \u009b2J\n":                            "c1 \ufffd2J\n",
		"bad \xff\xfe utf8\n":                      "bad \ufffd\ufffd utf8\n",
		"\x1b[" + strings.Repeat("1;", 40) + "m\n": "^[[" + strings.Repeat("1;", 40) + "m\n",
	} {
		var b strings.Builder
		w := &safeWriter{w: &b}
		if n, err := io.WriteString(w, in); n != len(in) || err != nil {
			t.Errorf("%q: wrote %d, %v", in, n, err)
		}
		if b.String() != want {
			t.Errorf("%q: %q, want %q", in, b.String(), want)
		}
	}
}

// However the bytes are cut, the result is the same, and nothing in it but
// colour makes a terminal act.
func TestSafeWriterDoesNotCareAboutPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.SampledFrom([]string{
			"a", "\n", "\t", "\r", "\x1b", "[", "3", "1", ";", "m", "J", "]", "\x07", "é", "✓", "\xc3", "\xff", "\u009b", "\x00",
		})).Draw(t, "parts")
		in := strings.Join(parts, "") + "\n"
		var whole, pieces strings.Builder
		_, _ = io.WriteString(&safeWriter{w: &whole}, in)
		w := &safeWriter{w: &pieces}
		for i := range len(in) {
			_, _ = io.WriteString(w, in[i:i+1])
		}
		if whole.String() != pieces.String() {
			t.Fatalf("%q: whole %q, in pieces %q", in, whole.String(), pieces.String())
		}
		rest := whole.String()
		for {
			at := strings.IndexByte(rest, '\x1b')
			if at < 0 {
				break
			}
			n, _ := colourSequence([]byte(rest[at:]))
			if n == 0 {
				t.Fatalf("%q lets %q through", in, rest[at:])
			}
			rest = rest[:at] + rest[at+n:]
		}
		for _, r := range rest {
			if control(r) {
				t.Fatalf("%q lets %q through", in, r)
			}
		}
	})
}

func TestEscapeCharacter(t *testing.T) {
	for in, want := range map[string]string{
		"~.never":          "left:",
		"ls\r~.":           "left:ls\r",
		"a~.b":             "end:a~.b",
		"x\n~~.":           "end:x\n~.",
		"x\n~y\n":          "end:x\n~y\n",
		"~~\n~.":           "left:~\n",
		"no escape at all": "end:no escape at all",
	} {
		left := false
		got, err := io.ReadAll(&escapeReader{r: keyboard{strings.NewReader(in)}, escape: '~', leave: func() { left = true }})
		text := map[bool]string{true: "left:", false: "end:"}[left] + string(got)
		if err != nil || text != want {
			t.Errorf("%q: %q, %v", in, text, err)
		}
	}
}

// keyboard is a keyboard: one letter at a time.
type keyboard struct{ r io.Reader }

func (o keyboard) Read(p []byte) (int, error) { return o.r.Read(p[:1]) }

func TestLastOf(t *testing.T) {
	for _, c := range []struct {
		in    string
		lines int
		want  string
	}{
		{"a\nb\nc\n", 2, "b\nc\n"}, {"a\nb\nc", 2, "b\nc"}, {"a\n", 5, "a\n"}, {"", 1, ""}, {"\n\n\n", 1, "\n"},
	} {
		if got := string(lastOf([]byte(c.in), c.lines)); got != c.want {
			t.Errorf("last %d of %q: %q", c.lines, c.in, got)
		}
	}
}
