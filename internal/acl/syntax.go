package acl

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// item is a block or an argument of a policy's text.
type item struct {
	name   string
	line   int
	labels []string
	block  bool
	body   []*item // of a block
	value  any     // of an argument: string, []any of values, or whatever else JSON or HCL may say
}

// maxDepth bounds how deep blocks and lists may nest; policies need four.
const maxDepth = 8

// syntaxError is a mistake in the text itself.
type syntaxError struct {
	line int
	text string
}

func (e *syntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.text) }

// scanner reads HCL: blocks with labels, arguments with texts and lists of
// texts, comments. Line breaks separate no more than spaces do, and commas may
// follow anything, as policies have been written for long. Nothing is ever
// computed.
type scanner struct {
	src  string
	pos  int
	line int
}

// parseHCL reads a whole policy.
func parseHCL(src string) ([]*item, error) {
	s := &scanner{src: src, line: 1}
	items, err := s.items(0)
	if err == nil && s.pos < len(s.src) {
		err = s.errorf("there is a } too many")
	}
	return items, err
}

func (s *scanner) errorf(format string, args ...any) error {
	return &syntaxError{s.line, fmt.Sprintf(format, args...)}
}

// space skips spaces, line breaks, commas and comments.
func (s *scanner) space() error {
	for s.pos < len(s.src) {
		rest := s.src[s.pos:]
		switch c := rest[0]; {
		case c == '\n':
			s.line++
			s.pos++
		case c == ' ' || c == '\t' || c == '\r' || c == ',':
			s.pos++
		case c == '#' || strings.HasPrefix(rest, "//"):
			if end := strings.IndexByte(rest, '\n'); end >= 0 {
				s.pos += end
			} else {
				s.pos = len(s.src)
			}
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest, "*/")
			if end < 0 {
				return s.errorf("the comment that begins here never ends")
			}
			s.line += strings.Count(rest[:end], "\n")
			s.pos += end + 2
		default:
			return nil
		}
	}
	return nil
}

// peek returns the next byte after spaces, 0 at the end.
func (s *scanner) peek() (byte, error) {
	if err := s.space(); err != nil || s.pos == len(s.src) {
		return 0, err
	}
	return s.src[s.pos], nil
}

// items reads blocks and arguments up to the } of their block or the end.
func (s *scanner) items(depth int) ([]*item, error) {
	if depth > maxDepth {
		return nil, s.errorf("blocks nest deeper than %d levels", maxDepth)
	}
	var out []*item
	for {
		c, err := s.peek()
		if err != nil || c == 0 || c == '}' {
			return out, err
		}
		it, err := s.item(depth)
		if err != nil {
			return nil, err
		}
		out = append(out, it)
	}
}

func (s *scanner) item(depth int) (*item, error) {
	it := &item{line: s.line}
	var err error
	if it.name, err = s.word(); err != nil {
		return nil, err
	}
	for {
		c, err := s.peek()
		if err != nil {
			return nil, err
		}
		switch c {
		case '"':
			label, err := s.text()
			if err != nil {
				return nil, err
			}
			it.labels = append(it.labels, label)
			continue
		case '=':
			if len(it.labels) > 0 {
				return nil, s.errorf("%s has a label, so a { must follow", it.name)
			}
			s.pos++
			it.value, err = s.value(depth)
			return it, err
		case '{':
			s.pos++
			it.block = true
			if it.body, err = s.items(depth + 1); err != nil {
				return nil, err
			}
			if s.pos == len(s.src) {
				return nil, &syntaxError{it.line, fmt.Sprintf("the block %s that begins here never ends: a } is missing", it.name)}
			}
			s.pos++
			return it, nil
		}
		return nil, s.errorf("after %s a =, a label or a { must follow, not %s", it.name, s.found())
	}
}

// word reads a name, which may be quoted.
func (s *scanner) word() (string, error) {
	if s.src[s.pos] == '"' {
		return s.text()
	}
	end := s.pos
	for end < len(s.src) && isWord(s.src[end]) {
		end++
	}
	if end == s.pos {
		return "", s.errorf("a name is expected here, not %s", s.found())
	}
	w := s.src[s.pos:end]
	s.pos = end
	return w, nil
}

func isWord(c byte) bool {
	return c == '_' || c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// found describes what stands at the position.
func (s *scanner) found() string {
	if s.pos >= len(s.src) {
		return "the end"
	}
	r, _ := utf8.DecodeRuneInString(s.src[s.pos:])
	return fmt.Sprintf("%q", r)
}

// value reads a text, a list, or a bare word, which no argument takes.
func (s *scanner) value(depth int) (any, error) {
	c, err := s.peek()
	switch {
	case err != nil:
		return nil, err
	case c == '"':
		return s.text()
	case c != '[':
		w, err := s.bareWord()
		return bare(w), err
	case depth > maxDepth:
		return nil, s.errorf("lists nest deeper than %d levels", maxDepth)
	}
	start := s.line
	s.pos++
	list := []any{}
	for {
		c, err := s.peek()
		switch {
		case err != nil:
			return nil, err
		case c == 0:
			return nil, &syntaxError{start, "the list that begins here never ends: a ] is missing"}
		case c == ']':
			s.pos++
			return list, nil
		}
		v, err := s.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
}

// bare is a word that is no text.
type bare string

func (s *scanner) bareWord() (string, error) {
	if s.pos == len(s.src) {
		return "", s.errorf("a value is missing")
	}
	return s.word()
}

// text reads a quoted text on one line. Interpolation is refused: it would
// compute nothing here, so it can only be a mistake.
func (s *scanner) text() (string, error) {
	var b strings.Builder
	for i := s.pos + 1; i < len(s.src); i++ {
		switch c := s.src[i]; {
		case c == '"':
			s.pos = i + 1
			return b.String(), nil
		case c == '\n':
			return "", s.errorf("the text that begins here does not end on its line")
		case c == '$' && strings.HasPrefix(s.src[i:], "${"):
			return "", s.errorf("texts are taken as they are: ${ has no meaning in a policy")
		case c == '\\' && i+1 < len(s.src):
			i++
			switch s.src[i] {
			case '"', '\\':
				b.WriteByte(s.src[i])
			case 'n':
				b.WriteByte('\n')
			case 't':
				b.WriteByte('\t')
			default:
				return "", s.errorf("\\%c is no escape: \\\", \\\\, \\n and \\t are", s.src[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", s.errorf("the text that begins here never ends")
}
