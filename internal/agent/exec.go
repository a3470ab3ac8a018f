package agent

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
	"github.com/drover-org/drover/internal/agent/task"
	"github.com/drover-org/drover/internal/web"
)

// Bounds of an exec session.
const (
	maxExecFrame     = 4 << 20          // of the caller's frames
	maxExecStdin     = 1 << 20          // bytes waiting for the command, before the caller has to wait
	execChunk        = 32 << 10         // bytes of output per frame
	handshakeTimeout = 10 * time.Second // until the frame with the token
	pingInterval     = 15 * time.Second // below the idle limits of proxies
	maxCloseReason   = 123              // bytes, by the websocket standard
	handshakeVersion = 1
)

// execParams is what the query of a session says.
type execParams struct {
	command   []string
	task      string
	tty       bool
	handshake bool
}

func parseExec(r *http.Request) (execParams, error) {
	var p execParams
	q := web.ParamsOf(r)
	p.tty, p.handshake = q.Bool("tty", false), q.Bool("ws_handshake", false)
	p.task = q.String("task")
	if err := q.Err(); err != nil {
		return p, err
	}
	command := q.String("command")
	if command == "" {
		return p, api.Errorf(api.CodeInvalid, `command is not present: query parameter "command" must be a JSON array like ["/bin/sh"]`)
	}
	if err := json.Unmarshal([]byte(command), &p.command); err != nil {
		return p, api.Errorf(api.CodeInvalid, `query parameter "command" is not a JSON array of strings like ["/bin/sh"]: %w`, err)
	}
	switch {
	case len(p.command) == 0 || p.command[0] == "":
		return p, api.Errorf(api.CodeInvalid, `command is not present: the array in query parameter "command" is empty`)
	case p.task == "":
		return p, api.Errorf(api.CodeInvalid, `must provide task name: query parameter "task"`)
	}
	return p, nil
}

// serveExec runs one exec session. A request that is no websocket gets an
// HTTP answer; after the upgrade every fault is a close frame.
func (a *Agent) serveExec(w http.ResponseWriter, r *http.Request) {
	params, bad := parseExec(r)
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		if bad == nil {
			bad = api.Errorf(api.CodeInvalid, `exec is a websocket: the request lacks the header "Upgrade: websocket"`)
		}
		web.WriteError(w, bad)
		return
	}
	// The origin was checked where the request entered the cluster; on the way
	// here the host has changed.
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return // Accept has answered
	}
	defer func() { _ = conn.CloseNow() }()
	if !a.enter() {
		_ = conn.Close(websocket.StatusGoingAway, "the agent ends")
		return
	}
	defer a.sessions.Done()
	conn.SetReadLimit(maxExecFrame)
	s := &session{conn: conn, ctx: context.WithoutCancel(r.Context())}
	if bad == nil {
		bad = a.runExec(r, s, params)
	}
	s.close(bad)
}

// enter counts a session, unless Run has ended.
func (a *Agent) enter() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return false
	}
	a.sessions.Add(1)
	return true
}

// runExec authorises and runs a session. Its error ends the session with a
// close frame; nil means that the exit frame was sent.
func (a *Agent) runExec(r *http.Request, s *session, p execParams) error {
	if !a.execs.tryAcquire() {
		return &closeError{websocket.StatusTryAgainLater, "too many exec sessions on this node, try again later"}
	}
	defer a.execs.release()
	token := web.Token(r)
	if p.handshake {
		var err error
		if token, err = s.handshake(token); err != nil {
			return err
		}
	}
	t, err := a.mayExec(r.Context(), r.PathValue("id"), token, p)
	if err != nil {
		return err
	}
	return s.run(t, p, a.closing)
}

// mayExec returns the task if the caller may run commands in it now.
func (a *Agent) mayExec(ctx context.Context, id, token string, p execParams) (*task.Task, error) {
	if a.cfg.DisableRemoteExec {
		return nil, api.Errorf(api.CodeForbidden, "Permission denied: this node has disable_remote_exec set")
	}
	run, err := a.find(id)
	if err != nil {
		return nil, err
	}
	t, err := run.lookUp(p.task)
	if err != nil {
		return nil, err
	}
	if a.cfg.Authorize != nil {
		if err := a.cfg.Authorize(ctx, token, ExecRequest{Alloc: run.allocation(), Task: p.task, Isolated: t.Isolated()}); err != nil {
			return nil, err
		}
	}
	if run.terminal() {
		return nil, api.Errorf(api.CodeInvalid, "exec not possible, client status of allocation %s is %s", id, run.clientStatus())
	}
	_, err = t.Execable()
	return t, err
}

func (r *runner) clientStatus() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		return api.AllocClientPending
	}
	return r.last.ClientStatus
}

// session is one exec session. Its connection is closed by nobody but
// serveExec, so that what was written arrives: closing a connection with
// unread input would destroy output on its way.
type session struct {
	conn *websocket.Conn
	ctx  context.Context // of the connection: ending it would tear the connection down
}

// closeError ends a session with a code of its own.
type closeError struct {
	code   websocket.StatusCode
	reason string
}

func (e *closeError) Error() string { return e.reason }

// errHungUp means that the caller is gone.
var errHungUp = errors.New("the caller ended the session")

// handshake reads the frame with the token. A token in a header must be the
// same.
func (s *session) handshake(header string) (string, error) {
	ctx, cancel := context.WithTimeout(s.ctx, handshakeTimeout)
	defer cancel()
	kind, data, err := s.conn.Read(ctx)
	if err != nil {
		return "", errHungUp
	}
	var h api.ExecHandshake
	if kind != websocket.MessageText || json.Unmarshal(data, &h) != nil {
		return "", &closeError{websocket.StatusInvalidFramePayloadData, `the first frame must be {"version":1,"auth_token":"…"}`}
	}
	if h.Version != handshakeVersion {
		return "", &closeError{websocket.StatusPolicyViolation, "unexpected handshake value: " + strconv.Itoa(h.Version) + ", expected 1"}
	}
	if header != "" && header != h.AuthToken {
		return "", &closeError{websocket.StatusPolicyViolation, "handshake auth token mismatched auth header token"}
	}
	return h.AuthToken, nil
}

// run executes the command and sends its output and end.
func (s *session) run(t *task.Task, p execParams, closing <-chan struct{}) error {
	ctx, cancel := context.WithCancelCause(s.ctx)
	stdin := newStdin(maxExecStdin)
	resize := make(chan api.TerminalSize, 1)
	ended := make(chan struct{})
	var side sync.WaitGroup
	side.Go(func() { cancel(s.receive(stdin, resize)) })
	side.Go(func() { s.keepAlive(ended, closing, cancel) })

	opts := &driver.ExecOptions{
		Command: p.command, TTY: p.tty, Stdin: stdin,
		Stdout: &output{s: s, head: `{"stdout":{"data":"`, fail: cancel},
		Stderr: &output{s: s, head: `{"stderr":{"data":"`, fail: cancel},
	}
	if p.tty {
		opts.Resize = resize
	}
	result, err := t.Exec(ctx, opts)
	cause := context.Cause(ctx)
	close(ended)
	stdin.abandon() // what still comes in is read and dropped
	switch {
	case cause != nil:
		err = cause
	case err == nil:
		err = s.sendEnd(result, p.tty)
	}
	s.close(err)
	_ = s.conn.CloseNow()
	cancel(nil)
	side.Wait()
	return err
}

// sendEnd sends the ends of the streams and then the exit frame.
func (s *session) sendEnd(r *driver.ExitResult, tty bool) error {
	frames := []string{`{"stdout":{"close":true}}`}
	if !tty {
		frames = append(frames, `{"stderr":{"close":true}}`)
	}
	exit, err := json.Marshal(api.ExecOutput{Exited: true, Result: &api.ExecResult{ExitCode: r.ExitCode, Signal: r.Signal, OOMKilled: r.OOMKilled}})
	if err != nil {
		return err
	}
	for _, f := range append(frames, string(exit)) {
		if s.conn.Write(s.ctx, websocket.MessageText, []byte(f)) != nil {
			return errHungUp
		}
	}
	return nil
}

// keepAlive pings, so that proxies on the way keep an idle session. A pong
// that does not come proves nothing, since the caller may be held up by its
// own input; there is just no further ping before it.
func (s *session) keepAlive(ended, closing <-chan struct{}, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(pingInterval)
	defer tick.Stop()
	pongs := make(chan error, 1)
	pongs <- nil
	for {
		select {
		case <-ended:
			return
		case <-closing:
			cancel(&closeError{websocket.StatusGoingAway, "the agent ends"})
			return
		case <-tick.C:
			select {
			case err := <-pongs:
				if err != nil {
					cancel(errHungUp)
					return
				}
				// No deadline: one that passes while a frame is being written
				// would tear down the session of a caller who only reads slowly.
				go func() { pongs <- s.conn.Ping(s.ctx) }()
			default:
			}
		}
	}
}

// close ends the session as err says and waits a moment for the caller's
// agreement. A second call does nothing.
func (s *session) close(err error) {
	var special *closeError
	switch {
	case err == nil:
		_ = s.conn.Close(websocket.StatusNormalClosure, "")
	case errors.Is(err, errHungUp):
	case errors.As(err, &special):
		_ = s.conn.Close(special.code, trim(special.reason))
	default:
		code := websocket.StatusInternalError
		status, text := web.ErrorText(err)
		if status < 500 {
			code = websocket.StatusPolicyViolation
		}
		_ = s.conn.Close(code, trim(text))
	}
}

// trim cuts a reason to what a close frame can hold, between characters.
func trim(s string) string {
	if len(s) <= maxCloseReason {
		return s
	}
	const dots = "…"
	s = s[:maxCloseReason-len(dots)]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + dots
}
