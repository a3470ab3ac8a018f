package audit

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// Verifier checks the chain over files that are given in their order, the
// oldest first.
type Verifier struct {
	Want  string // a hash that is to be found; empty: none
	Found bool   // it was

	Lines int    // checked so far
	Head  string // hash of the last line; kept elsewhere, it proves later that nothing was cut off
}

// BrokenError says where a chain is broken.
type BrokenError struct {
	Line   int // in its file, from 1
	Reason string
}

// Error names the line.
func (e *BrokenError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// File checks one file. The first line of the first file may follow one that
// is no longer kept. The error is a *BrokenError or of the reader.
func (v *Verifier) File(r io.Reader) error {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 64<<10), maxLine)
	line := 0
	for in.Scan() {
		line++
		var rec struct{ Prev string }
		if err := json.Unmarshal(in.Bytes(), &rec); err != nil {
			return &BrokenError{line, "it is not JSON: " + err.Error()}
		}
		switch {
		case rec.Prev == "":
			return &BrokenError{line, "it carries no hash: hash_chain was off, or the hash was removed"}
		case v.Head != "" && rec.Prev != v.Head:
			return &BrokenError{line, "it does not follow the line before: that one was changed, or lines are missing or were put in between"}
		}
		v.Head = hashOf(in.Bytes())
		v.Lines++
		v.Found = v.Found || v.Head == v.Want
	}
	return in.Err()
}
