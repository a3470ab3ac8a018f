package agent

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sync"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
	"github.com/drover-org/drover/internal/agent/task"
	"github.com/drover-org/drover/internal/asciicast"
	"github.com/drover-org/drover/internal/web"
	"github.com/drover-org/drover/internal/ws"
)

// Bounds of an exec session.
const (
	maxExecFrame = 4 << 20   // of the caller's frames
	maxExecStdin = 256 << 10 // bytes waiting for the command, before the caller has to wait
	execChunk    = 32 << 10  // bytes of output per frame
)

// execParams is what the query of a session says.
type execParams struct {
	command []string
	task    string
	tty     bool
	action  bool // the command is one of the job's, with references to what its task has
}

func parseExec(r *http.Request) (execParams, error) {
	var p execParams
	q := web.ParamsOf(r)
	p.tty = q.Bool("tty", false)
	p.task, p.action = q.String("task"), q.String("action") != ""
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
	if !ws.IsUpgrade(r) && bad != nil {
		web.WriteError(w, bad)
		return
	}
	var t *task.Task
	cast := ""
	if bad == nil {
		if t, bad = a.mayExec(r, params); bad == nil {
			cast = a.mustRecord(w, r)
		}
	}
	a.serveSession(w, r, func(s *session) error {
		if bad != nil {
			return bad
		}
		if cast != "" {
			if err := s.record(cast, r, params); err != nil {
				return err
			}
		}
		return s.exec(t, params)
	})
}

// mayExec returns the task if the caller may run commands in it now.
func (a *Agent) mayExec(r *http.Request, p execParams) (*task.Task, error) {
	if a.cfg.DisableRemoteExec {
		return nil, api.Errorf(api.CodeForbidden, "Permission denied: this node has disable_remote_exec set")
	}
	id := r.PathValue("id")
	run, err := a.find(id)
	if err != nil {
		return nil, err
	}
	t, err := run.lookUp(p.task)
	if err != nil {
		return nil, err
	}
	needs := []api.Capability{api.CapAllocExec}
	if !t.Isolated() {
		needs = append(needs, api.CapAllocNodeExec)
	}
	if err := web.CheckVerdict(r, needs...); err != nil {
		return nil, err
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

// exec runs the command and sends its output and end. Nil means that the exit
// frame was sent.
func (s *session) exec(t *task.Task, p execParams) error {
	ctx, cancel := context.WithCancelCause(s.ctx)
	defer cancel(nil)
	in := newStdin(maxExecStdin)
	resize := make(chan api.TerminalSize, 1)
	var side sync.WaitGroup
	side.Go(func() { cancel(s.receive(in, resize)) })

	if p.action {
		expand := t.Expander()
		for i, word := range p.command {
			p.command[i] = expand(word)
		}
	}
	opts := &driver.ExecOptions{
		Command: p.command, TTY: p.tty, Stdin: in,
		Stdout: &output{s: s, head: stdoutHead, from: asciicast.Stdout, fail: cancel},
		Stderr: &output{s: s, head: stderrHead, from: asciicast.Stderr, fail: cancel},
	}
	if p.tty {
		opts.Resize = resize
	}
	result, err := t.Exec(ctx, opts)
	cause := context.Cause(ctx)
	in.abandon() // what still comes in is read and dropped
	if bad := s.recorded(); cause == nil && err == nil {
		err = bad // also when the end of the output is what is missing
	}
	switch {
	case cause != nil:
		err = cause
	case err == nil:
		err = s.sendEnd(result, p.tty)
	}
	s.end(err)
	side.Wait()
	return err
}

// sendEnd sends the ends of the streams, the exit frame and the close frame.
func (s *session) sendEnd(r *driver.ExitResult, tty bool) error {
	exit, err := json.Marshal(api.ExecOutput{Exited: true, Result: &api.ExecResult{ExitCode: r.ExitCode, Signal: r.Signal, OOMKilled: r.OOMKilled}})
	if err != nil {
		return err
	}
	frames := []string{`{"stdout":{"close":true}}`, `{"stderr":{"close":true}}`, string(exit)}
	if tty {
		frames = slices.Delete(frames, 1, 2) // all came as stdout
	}
	if s.conn.Finish(ws.Normal, frames...) != nil {
		return errHungUp
	}
	return nil
}
