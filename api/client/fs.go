package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/drover-org/drover/api"
)

// FS are the calls on the files of an allocation.
type FS struct{ c *Client }

// FS returns the calls on the files of an allocation.
func (c *Client) FS() FS { return FS{c} }

func fsPath(verb, alloc string) string { return "/v1/client/fs/" + verb + "/" + url.PathEscape(alloc) }

// List returns the entries of a folder; path starts at the allocation's root.
func (f FS) List(ctx context.Context, alloc, path string) ([]*api.AllocFileInfo, error) {
	var out []*api.AllocFileInfo
	_, err := f.c.call(ctx, http.MethodGet, fsPath("ls", alloc), url.Values{"path": {path}}, nil, &out)
	return out, err
}

// Stat describes one file.
func (f FS) Stat(ctx context.Context, alloc, path string) (*api.AllocFileInfo, error) {
	out := new(api.AllocFileInfo)
	_, err := f.c.call(ctx, http.MethodGet, fsPath("stat", alloc), url.Values{"path": {path}}, nil, out)
	return out, err
}

// Cat returns a whole file. The caller closes it.
func (f FS) Cat(ctx context.Context, alloc, path string) (io.ReadCloser, error) {
	return f.open(ctx, fsPath("cat", alloc), url.Values{"path": {path}})
}

// ReadAt returns limit bytes of a file from offset on, with limit 0 all. The
// caller closes it.
func (f FS) ReadAt(ctx context.Context, alloc, path string, offset, limit int64) (io.ReadCloser, error) {
	return f.open(ctx, fsPath("readat", alloc), url.Values{
		"path": {path}, "offset": {strconv.FormatInt(offset, 10)}, "limit": {strconv.FormatInt(limit, 10)},
	})
}

// Origins of an offset.
const (
	FromStart = "start"
	FromEnd   = "end" // the offset counts back
)

// StreamOptions say from where and how long a stream is read.
type StreamOptions struct {
	Follow bool   // wait for more at the end
	Origin string // FromStart when empty
	Offset int64
	From   string // of a log: as Stream.Resume gives it, instead of origin and offset
}

func (o StreamOptions) params() url.Values {
	if o.From != "" {
		return url.Values{"follow": {strconv.FormatBool(o.Follow)}, "from": {o.From}}
	}
	if o.Origin == "" {
		o.Origin = FromStart
	}
	return url.Values{
		"follow": {strconv.FormatBool(o.Follow)}, "origin": {o.Origin}, "offset": {strconv.FormatInt(o.Offset, 10)},
	}
}

// Stream reads a file piece by piece. The caller closes it.
func (f FS) Stream(ctx context.Context, alloc, path string, o StreamOptions) (*Stream, error) {
	params := o.params()
	params.Set("path", path)
	return f.stream(ctx, fsPath("stream", alloc), params)
}

// Kinds of log.
const (
	Stdout = "stdout"
	Stderr = "stderr"
)

// Logs reads what a task wrote to stdout or stderr, through rotation. The
// caller closes it. CodeNotFound means that the task has not started.
func (f FS) Logs(ctx context.Context, alloc, task, kind string, o StreamOptions) (*Stream, error) {
	params := o.params()
	params.Set("task", task)
	params.Set("type", kind)
	return f.stream(ctx, fsPath("logs", alloc), params)
}

func (f FS) open(ctx context.Context, path string, params url.Values) (io.ReadCloser, error) {
	resp, err := f.c.open(ctx, http.MethodGet, path, params, nil, nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

func (f FS) stream(ctx context.Context, path string, params url.Values) (*Stream, error) {
	// Compression would hold small pieces back.
	resp, err := f.c.open(ctx, http.MethodGet, path, params, http.Header{"Accept-Encoding": {"identity"}}, nil)
	if err != nil {
		return nil, err
	}
	st := &Stream{ctx: ctx, body: resp.Body, dec: json.NewDecoder(resp.Body)}
	if params.Get("origin") == FromStart {
		st.offset, _ = strconv.ParseInt(params.Get("offset"), 10, 64)
	}
	st.number, st.pos = placeOf(resp.Header.Get(api.HeaderLogStart))
	return st, nil
}

// Stream is a file or log that is being read. It is an io.Reader of the bytes
// alone; Next gives the pieces with their place and events. It is used by one
// goroutine, except Close.
type Stream struct {
	ctx    context.Context
	body   io.ReadCloser
	dec    *json.Decoder
	rest   []byte
	offset int64

	number string // of the log file in which the last piece ended; empty: no log, or the agent doesn't tell
	pos    int64  // where in that file
}

// Next returns the next piece with data or an event; heartbeats are skipped.
// io.EOF is the end; an end that is none is CodeUnavailable.
func (s *Stream) Next() (*api.StreamFrame, error) {
	for {
		f := new(api.StreamFrame)
		if err := s.dec.Decode(f); err != nil {
			switch {
			case errors.Is(err, io.EOF):
				return nil, io.EOF
			case s.ctx.Err() != nil:
				return nil, s.ctx.Err()
			}
			return nil, api.Errorf(api.CodeUnavailable, "the stream broke off at byte %d: %w", s.offset, err)
		}
		if len(f.Data) > 0 {
			s.offset = f.Offset + int64(len(f.Data))
			s.locate(f)
			return f, nil
		}
		if f.FileEvent != "" {
			return f, nil
		}
	}
}

// Read gives the bytes of the pieces.
func (s *Stream) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		f, err := s.Next()
		if err != nil {
			return 0, err
		}
		s.rest = f.Data
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// Offset is where the last piece ended, counted from the start of the file, or
// of the oldest file of a log that there was: a later stream with this offset
// and FromStart goes on from there if no file was removed meanwhile.
func (s *Stream) Offset() int64 { return s.offset - int64(len(s.rest)) }

// Resume returns the options of a stream that goes on where this one stands.
// If files of the log were removed meanwhile it begins with the event
// api.FileDeleted.
func (s *Stream) Resume(follow bool) StreamOptions {
	o := StreamOptions{Follow: follow, Offset: s.Offset()}
	if s.number != "" {
		o.From = s.number + ":" + strconv.FormatInt(s.pos-int64(len(s.rest)), 10)
	}
	return o
}

// locate follows a piece through the files of a log.
func (s *Stream) locate(f *api.StreamFrame) {
	if s.number == "" {
		return
	}
	if number := f.File[strings.LastIndexByte(f.File, '.')+1:]; number != s.number {
		s.number, s.pos = number, 0
	}
	s.pos += int64(len(f.Data))
}

// placeOf parses api.HeaderLogStart.
func placeOf(header string) (number string, pos int64) {
	number, at, _ := strings.Cut(header, ":")
	pos, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return "", 0
	}
	return number, pos
}

// Close ends the stream. A Read in another goroutine returns.
func (s *Stream) Close() error {
	if err := s.body.Close(); err != nil {
		return fmt.Errorf("close the stream: %w", err)
	}
	return nil
}
