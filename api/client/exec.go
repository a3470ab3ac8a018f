package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/drover-org/drover/api"
)

const (
	execHeartbeat  = 10 * time.Second // keeps proxies from closing a quiet session
	execChunk      = 16 << 10         // of stdin per frame; in base64 below what small readers accept
	execFrameLimit = 4 << 20          // of one frame from the agent
)

// ExecOptions describe one exec session.
type ExecOptions struct {
	Task    string
	Command []string // at least one element
	TTY     bool     // give the command a terminal: all output arrives at Stdout

	Stdin  io.Reader // nil: the command reads an end of file
	Stdout io.Writer // nil: discarded
	Stderr io.Writer // nil: discarded

	// Resize carries the size of the terminal, first and at every change.
	Resize <-chan api.TerminalSize
}

// Exec runs a command in a task and returns how it ended, after every byte of
// its output was written. An error means that the session broke or was
// refused. A Read of Stdin that blocks when the command ends is left behind;
// what it reads is discarded.
func (a Allocs) Exec(ctx context.Context, alloc string, o *ExecOptions) (*api.ExecResult, error) {
	command, err := json.Marshal(o.Command)
	if err != nil {
		return nil, api.Errorf(api.CodeInvalid, "command: %w", err)
	}
	params := url.Values{"command": {string(command)}, "task": {o.Task}, "tty": {strconv.FormatBool(o.TTY)}}
	return a.c.session(ctx, nodeAllocPath(alloc, "exec"), params, o)
}

// Action runs an action of a job as Exec runs a command, which o does not name.
// The task may be left out where only one has the action.
func (j Jobs) Action(ctx context.Context, ask api.JobActionRequest, o *ExecOptions) (*api.ExecResult, error) {
	params := url.Values{"action": {ask.Action}, "tty": {strconv.FormatBool(o.TTY)}}
	for name, value := range map[string]string{"namespace": ask.Namespace, "allocID": ask.AllocID, "group": ask.Group, "task": ask.Task} {
		if value != "" {
			params.Set(name, value)
		}
	}
	return j.c.session(ctx, jobPath(ask.JobID, "/action"), params, o)
}

// session runs a session to its end.
func (c *Client) session(ctx context.Context, path string, params url.Values, o *ExecOptions) (*api.ExecResult, error) {
	conn, err := c.dial(ctx, path, params)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(execFrameLimit)
	s := &execSession{conn: conn, opts: o}
	return s.run(ctx)
}

// dial opens a websocket.
func (c *Client) dial(ctx context.Context, path string, params url.Values) (*websocket.Conn, error) {
	header := http.Header{}
	c.authorise(header)
	conn, resp, err := websocket.Dial(ctx, c.url(path, params), &websocket.DialOptions{
		HTTPClient: c.http, HTTPHeader: header, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		if resp != nil && resp.StatusCode >= 300 {
			return nil, refusal(resp)
		}
		return nil, c.unreachable(ctx, err)
	}
	return conn, nil
}

type execSession struct {
	conn *websocket.Conn
	opts *ExecOptions
}

// run owns the session's goroutines, but for a blocked Read of Stdin.
func (s *execSession) run(ctx context.Context) (*api.ExecResult, error) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	frames := make(chan api.ExecInput)
	wg.Go(func() { s.write(ctx, frames) })
	if s.opts.Resize != nil {
		wg.Go(func() { s.resize(ctx, frames) })
	}
	go s.readStdin(ctx, frames)
	return s.receive(ctx)
}

// write sends what the others have, and a heartbeat when they are silent.
func (s *execSession) write(ctx context.Context, frames <-chan api.ExecInput) {
	beat := time.NewTicker(execHeartbeat)
	defer beat.Stop()
	for {
		var f api.ExecInput
		select {
		case f = <-frames:
		case <-beat.C:
		case <-ctx.Done():
			return
		}
		text, err := json.Marshal(f)
		if err == nil {
			err = s.conn.Write(ctx, websocket.MessageText, text)
		}
		if err != nil {
			return // the reading side learns the reason
		}
	}
}

func (s *execSession) resize(ctx context.Context, frames chan<- api.ExecInput) {
	for {
		select {
		case size, ok := <-s.opts.Resize:
			if !ok {
				return
			}
			select {
			case frames <- api.ExecInput{TTYSize: &size}:
			case <-ctx.Done():
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func (s *execSession) readStdin(ctx context.Context, frames chan<- api.ExecInput) {
	send := func(st api.ExecStream) bool {
		select {
		case frames <- api.ExecInput{Stdin: &st}:
			return true
		case <-ctx.Done():
			return false
		}
	}
	if s.opts.Stdin == nil {
		send(api.ExecStream{Close: true})
		return
	}
	for {
		buf := make([]byte, execChunk)
		n, err := s.opts.Stdin.Read(buf)
		if n > 0 && !send(api.ExecStream{Data: buf[:n]}) {
			return
		}
		if err != nil {
			send(api.ExecStream{Close: true})
			return
		}
	}
}

// receive writes output until the frame that says how the command ended.
func (s *execSession) receive(ctx context.Context) (*api.ExecResult, error) {
	for {
		_, text, err := s.conn.Read(ctx)
		if err != nil {
			return nil, closeError(ctx, err)
		}
		var f api.ExecOutput
		if err := json.Unmarshal(text, &f); err != nil {
			return nil, api.Errorf(api.CodeInternal, "the agent sent a frame that can't be read: %w", err)
		}
		if err := deliver(s.opts.Stdout, f.Stdout); err != nil {
			return nil, err
		}
		if err := deliver(s.opts.Stderr, f.Stderr); err != nil {
			return nil, err
		}
		if f.Exited {
			if f.Result == nil {
				f.Result = &api.ExecResult{}
			}
			return f.Result, nil
		}
	}
}

func deliver(w io.Writer, st *api.ExecStream) error {
	if w == nil || st == nil || len(st.Data) == 0 {
		return nil
	}
	if _, err := w.Write(st.Data); err != nil {
		return api.Errorf(api.CodeUnavailable, "the command's output can't be written: %w", err)
	}
	return nil
}

// closeError explains the end of a session without an exit frame.
func closeError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var ce websocket.CloseError
	if errors.As(err, &ce) && ce.Reason != "" {
		code := api.CodeInternal
		if ce.Code == websocket.StatusPolicyViolation {
			code = api.CodeInvalid
		}
		return &api.Error{Code: code, Message: ce.Reason}
	}
	return api.Errorf(api.CodeUnavailable, "the session broke off before the command ended: %w", err)
}
