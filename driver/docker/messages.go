package docker

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// message is what the Engine stored at once of a container's output: a line,
// or a part of a long one.
type message struct {
	stream int // 0 stdout, 1 stderr
	at     time.Time
	text   []byte // valid until the next message
	ended  bool   // text ends its line
}

const (
	// partSize is where the Engine cuts lines.
	partSize = 16 << 10
	// maxFrame bounds a message; parts are far smaller.
	maxFrame = 1 << 20
)

// messages reads the Engine's record of the container's output.
func (c *copier) messages(ctx context.Context, opts client.ContainerLogsOptions, each func(message) error) error {
	opts.ShowStdout, opts.ShowStderr, opts.Timestamps = true, true, true
	body, err := c.t.d.cli().ContainerLogs(ctx, c.t.handle.Container, opts)
	if err != nil {
		return err
	}
	defer body.Close()
	r := bufio.NewReaderSize(body, 2*partSize)
	if c.t.handle.TTY {
		err = terminalMessages(r, each)
	} else {
		err = framedMessages(r, each)
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// framedMessages reads one message per frame. It ends with an error, io.EOF
// at the end of a frame.
func framedMessages(r *bufio.Reader, each func(message) error) error {
	var header [8]byte
	var frame []byte
	for {
		if _, err := io.ReadFull(r, header[:]); err != nil {
			return err
		}
		size := binary.BigEndian.Uint32(header[4:])
		if size > maxFrame {
			return fmt.Errorf("the Engine sent a log message of %d bytes", size)
		}
		if cap(frame) < int(size) {
			frame = make([]byte, size)
		}
		frame = frame[:size]
		if _, err := io.ReadFull(r, frame); err != nil {
			return fmt.Errorf("inside a log message: %w", err)
		}
		stream := 0
		switch stdcopy.StdType(header[0]) {
		case stdcopy.Stdout:
		case stdcopy.Stderr:
			stream = 1
		default:
			return fmt.Errorf("the Engine failed to read the log: %s", frame)
		}
		at, text, err := cutStamp(frame)
		if err != nil {
			return err
		}
		if err := each(message{stream: stream, at: at, text: text, ended: bytes.HasSuffix(text, []byte("\n"))}); err != nil {
			return err
		}
	}
}

// terminalMessages reads the record of a container with a terminal, which has
// no frames: a message ends with its line, or where the Engine cuts lines and
// another time stamp follows.
func terminalMessages(r *bufio.Reader, each func(message) error) error {
	line := make([]byte, 0, partSize)
	for {
		prefix, err := r.ReadSlice(' ')
		if err != nil {
			return err
		}
		at, _, err := cutStamp(prefix)
		if err != nil {
			return err
		}
		for more := true; more; {
			text, err := takeLine(r, line)
			if err != nil && len(text) == 0 {
				return err
			}
			ended := bytes.HasSuffix(text, []byte("\n"))
			if err := each(message{at: at, text: text, ended: ended}); err != nil {
				return err
			}
			more = err == nil && !ended && !stampFollows(r)
		}
	}
}

// takeLine reads to the end of the line or of the input, at most partSize.
func takeLine(r *bufio.Reader, line []byte) ([]byte, error) {
	line = line[:0]
	for len(line) < partSize {
		b, err := r.ReadByte()
		if err != nil {
			return line, err
		}
		if line = append(line, b); b == '\n' {
			break
		}
	}
	return line, nil
}

// stampFollows reports whether a time stamp comes next.
func stampFollows(r *bufio.Reader) bool {
	next, err := r.Peek(len(stampLayout) + 1)
	if err != nil {
		return false
	}
	_, _, err = cutStamp(next)
	return err == nil
}

// stampLayout is how the Engine writes times: of one length, in UTC.
const stampLayout = "2006-01-02T15:04:05.000000000Z"

func cutStamp(b []byte) (at time.Time, rest []byte, err error) {
	first, rest, ok := bytes.Cut(b, []byte(" "))
	if !ok {
		return at, nil, errors.New("the Engine sent a log message without a time")
	}
	at, err = time.Parse(time.RFC3339Nano, string(first))
	return at, rest, err
}
