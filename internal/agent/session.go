package agent

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/asciicast"
	"github.com/drover-org/drover/internal/web"
	"github.com/drover-org/drover/internal/ws"
)

// pingInterval is below the idle limits of proxies.
const pingInterval = 15 * time.Second

// session is one websocket: a command or a forwarded connection.
type session struct {
	a    *Agent
	conn *ws.Conn
	ctx  context.Context     // ends with the right to the session, or with the agent
	held atomic.Bool         // the caller's input waits to be taken
	cast *asciicast.Recorder // nil: the session is not recorded
}

// errHungUp means that the caller is gone.
var errHungUp = errors.New("the caller ended the session")

// serveSession upgrades a request and runs f, whose error becomes the close
// frame. f itself must have ended the session if it began to read from it.
func (a *Agent) serveSession(w http.ResponseWriter, r *http.Request, f func(*session) error) {
	conn, err := ws.Accept(w, r)
	if err != nil {
		web.WriteError(w, err)
		return
	}
	defer func() { _ = conn.Hangup() }()
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	s := &session{a: a, conn: conn, ctx: ctx}
	if err := a.enter(s, cancel); err != nil {
		s.end(err)
		conn.Drain()
		return
	}
	defer a.leave(s)
	if err := f(s); err != nil {
		s.end(err)
		conn.Drain()
	}
}

// enter adds a session, unless there are too many or Run has ended.
func (a *Agent) enter(s *session, cancel context.CancelCauseFunc) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.ended:
		return errAgentEnds
	case len(a.open) >= a.cfg.MaxExecSessions:
		a.refused++
		return &ws.CloseError{Code: ws.TryAgainLater, Reason: "too many sessions on this node (client.max_exec_sessions): end one or try again later"}
	}
	a.open[s] = cancel
	a.opened++
	a.sessions.Add(1)
	return nil
}

func (a *Agent) leave(s *session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.open, s)
	a.sessions.Done()
}

// errAgentEnds is how sessions end with the agent.
var errAgentEnds = &ws.CloseError{Code: ws.GoingAway, Reason: "the agent ends"}

// endSessions ends all sessions, and lets no other begin.
func (a *Agent) endSessions() {
	a.mu.Lock()
	a.ended = true
	for _, cancel := range a.open {
		cancel(errAgentEnds)
	}
	a.mu.Unlock()
	a.sessions.Wait()
}

// ping sends a ping over every session on which nothing moved since the last
// time, so that proxies on the way keep it. A caller whose input is held back
// gets none: some can't answer while they send, and would stop reading for it.
// Pongs are not waited for. A session that can't take a ping now keeps one
// goroutine until it can.
func (a *Agent) ping() {
	a.mu.RLock()
	defer a.mu.RUnlock()
	for s := range a.open {
		if !s.conn.Quiet() || s.held.Load() {
			continue
		}
		go func() { _ = s.conn.Ping() }() // the session's reader learns of a broken connection
	}
}

// SessionStats tells of exec sessions and forwarded connections.
type SessionStats struct {
	Open    int    // now
	Limit   int    // at the same time
	Opened  uint64 // since the start
	Refused uint64 // because there were too many
}

// Sessions tells of the node's sessions.
func (a *Agent) Sessions() SessionStats {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return SessionStats{Open: len(a.open), Limit: a.cfg.MaxExecSessions, Opened: a.opened, Refused: a.refused}
}

// end sends the close frame that err stands for.
func (s *session) end(err error) {
	var special *ws.CloseError
	var coded *api.Error
	switch {
	case err == nil:
		s.conn.SendClose(ws.Normal, "")
	case errors.As(err, &special):
		s.conn.SendClose(special.Code, special.Reason)
	case errors.Is(err, errHungUp):
		_ = s.conn.Hangup()
	case !errors.As(err, &coded) && s.ctx.Err() != nil:
		s.conn.SendClose(errAgentEnds.Code, errAgentEnds.Reason) // the HTTP server's end
	default:
		code := ws.InternalError
		status, text := web.ErrorText(err)
		if status < http.StatusInternalServerError {
			code = ws.PolicyViolation
		} else if coded == nil {
			s.a.log.Error("a session failed", "error", err)
		}
		s.conn.SendClose(code, text)
	}
}
