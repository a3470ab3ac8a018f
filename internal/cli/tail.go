package cli

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

const maxTailBytes = 16 << 20 // searched for the last lines

// readTail returns the end of a file or log: its last lines, or with lines 0
// all from o on, and where to follow it.
func readTail(open func(client.StreamOptions) (*client.Stream, error), o client.StreamOptions, lines int) (text []byte, rest client.StreamOptions, err error) {
	for {
		st, err := open(o)
		if err != nil {
			return nil, rest, err
		}
		text, err = io.ReadAll(st)
		rest = st.Resume(true)
		_ = st.Close()
		if err != nil {
			return nil, rest, err
		}
		if lines == 0 {
			return text, rest, nil
		}
		short := int64(len(text)) < o.Offset // the whole file was read
		if bytes.Count(text, []byte{'\n'}) > lines || short || o.Offset >= maxTailBytes {
			return lastOf(text, lines), rest, nil
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

// sleepFor waits, unless ctx ends before.
func sleepFor(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// printStream prints a file or log from o on, only its last lines when lines
// is not 0, and goes on as it grows when o.Follow is set, also after the agent
// was away.
func printStream(ctx context.Context, w io.Writer, open func(client.StreamOptions) (*client.Stream, error), o client.StreamOptions, lines int) error {
	if o.Origin == client.FromEnd {
		follow := o.Follow
		o.Follow = false
		text, rest, err := readTail(open, o, lines)
		if err != nil {
			return err
		}
		if _, err := w.Write(text); err != nil || !follow {
			return err
		}
		o = rest
	}
	for began := false; ; {
		st, err := open(o)
		if err == nil {
			began = true
			_, err = io.Copy(w, st)
			o = st.Resume(o.Follow)
			_ = st.Close()
		}
		if !o.Follow || !began || api.ErrorCode(err) != api.CodeUnavailable {
			return err
		}
		if err := sleepFor(ctx, resumeAfter); err != nil {
			return err
		}
	}
}
