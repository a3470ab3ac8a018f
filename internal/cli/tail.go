package cli

import (
	"bytes"
	"errors"
	"io"
	"strconv"

	"github.com/drover-org/drover/api/client"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

const maxTailBytes = 16 << 20 // searched for the last lines

// readTail returns the end of a file or log: its last lines, or with lines 0
// all from o on, and the offset where it ends.
func readTail(open func(client.StreamOptions) (*client.Stream, error), o client.StreamOptions, lines int) (text []byte, end int64, err error) {
	for {
		st, err := open(o)
		if err != nil {
			return nil, 0, err
		}
		text, err = io.ReadAll(st)
		end = st.Offset()
		_ = st.Close()
		if err != nil {
			return nil, 0, err
		}
		if lines == 0 {
			return text, end, nil
		}
		short := int64(len(text)) < o.Offset // the whole file was read
		if bytes.Count(text, []byte{'\n'}) > lines || short || o.Offset >= maxTailBytes {
			return lastOf(text, lines), end, nil
		}
		o.Offset *= 4
	}
}

// lastOf keeps the last lines of text.
func lastOf(text []byte, lines int) []byte {
	at := len(text)
	if at > 0 && text[at-1] == '\n' {
		at--
	}
	for ; lines > 0; lines-- {
		at = bytes.LastIndexByte(text[:at], '\n')
		if at < 0 {
			return text
		}
	}
	return text[at+1:]
}

// printStream prints a file or log from o on, only its last lines when lines
// is not 0, and goes on as it grows when o.Follow is set.
func printStream(w io.Writer, open func(client.StreamOptions) (*client.Stream, error), o client.StreamOptions, lines int) error {
	if o.Origin == client.FromEnd {
		follow := o.Follow
		o.Follow = false
		text, end, err := readTail(open, o, lines)
		if err != nil {
			return err
		}
		if _, err := w.Write(text); err != nil || !follow {
			return err
		}
		o = client.StreamOptions{Follow: true, Offset: end}
	}
	st, err := open(o)
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	_, err = io.Copy(w, st)
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
