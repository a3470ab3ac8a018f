package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/audit"
	"github.com/drover-org/drover/internal/web"
	"github.com/drover-org/drover/internal/ws"
)

const (
	// handshakeTimeout is until the frame with the token.
	handshakeTimeout = 10 * time.Second
	// maxHandshake bounds that frame: a token may be a signed identity.
	maxHandshake     = 64 << 10
	handshakeVersion = 1
	// maxTunnels bounds the sessions that pass through this agent, beside
	// the bound of each node: a session costs some 30 KiB here.
	maxTunnels = 4096
)

// aim says which session of which allocation a request means, for a caller whose
// token is known by now: the request that its node is to get.
type aim func(ctx context.Context, token string, r *http.Request) (inner *http.Request, err error)

// atAlloc is the aim of a request whose path names the allocation.
func atAlloc(ctx context.Context, _ string, r *http.Request) (*http.Request, error) {
	return r.Clone(ctx), nil
}

// tunnel makes a handler of a websocket that the node of the path's
// allocation serves. Here the caller is identified, by a header or by the
// first frame, and authorised; its token is taken off and a verdict put in its
// place; then frames are passed on as they are. The session ends when the
// right to it is lost. A pure node leaves all of that to a server.
func (a *routes) tunnel(c api.Capability) http.Handler {
	return a.tunnelTo(c, atAlloc, a.onAlloc(c))
}

// tunnelTo is tunnel for requests that say by other means which session they
// want; plain answers those that are no websocket.
func (a *routes) tunnelTo(c api.Capability, to aim, plain http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !ws.IsUpgrade(r) {
			plain.ServeHTTP(w, r)
			return
		}
		conn, err := ws.Accept(w, r)
		if err != nil {
			web.WriteError(w, err)
			return
		}
		defer func() { _ = conn.Hangup() }()
		if err := a.runTunnel(conn, r, c, to); err != nil {
			code, text := closeOf(err)
			audit.Failed(r.Context(), text)
			conn.Close(code, text)
		}
		note(r.Context(), conn)
	})
}

// note tells the audit log what a session carried and how its command ended.
func note(ctx context.Context, conn *ws.Conn) {
	in, out := conn.Bytes()
	audit.Moved(ctx, in, out)
	var last api.ExecOutput
	if json.Unmarshal(conn.LastText(), &last) == nil && last.Exited && last.Result != nil {
		audit.Exited(ctx, last.Result.ExitCode)
	}
}

// runTunnel returns an error when the session has to be closed from here.
func (a *routes) runTunnel(conn *ws.Conn, r *http.Request, c api.Capability, to aim) error {
	select {
	case a.tunnels <- struct{}{}:
		defer func() { <-a.tunnels }()
	default:
		return &ws.CloseError{Code: ws.TryAgainLater, Reason: "too many sessions pass through this agent; end one or try again later"}
	}
	if a.Server == nil {
		return a.spliceTunnel(conn, r.Clone(r.Context()), "server", a.Forward, errNoServer)
	}
	token, err := callerToken(conn, r)
	if err != nil {
		return err
	}
	inner, err := to(r.Context(), token, r)
	if err != nil {
		return err
	}
	id, task := inner.PathValue("id"), web.ParamsOf(inner).String("task")
	var nodeID string
	var verdict *web.Verdict
	ctx, cancel, err := a.Server.While(r.Context(), token, func(ctx context.Context) (err error) {
		n, v, err := a.Server.LocateSession(ctx, token, c, id, task)
		if verdict == nil && err == nil {
			nodeID, verdict = n, v
		}
		return err
	})
	if err != nil {
		return err
	}
	defer cancel()
	inner = inner.WithContext(ctx)
	query := inner.URL.Query()
	query.Del("ws_handshake") // done
	inner.URL.RawQuery = query.Encode()
	web.SetVerdict(inner.Header, verdict)
	if a.Node != nil && a.Node.NodeID() == nodeID {
		w := conn.ResponseWriter()
		a.Node.Handler().ServeHTTP(w, inner)
		audit.Recorded(r.Context(), web.RecordingOf(w.Header()))
		return nil
	}
	if !a.NodeConnected(ctx, nodeID) {
		return noPath(nodeID)
	}
	return a.spliceTunnel(conn, inner, nodeID, a.NodeTransport(nodeID), noPath(nodeID))
}

// callerToken identifies the caller: by a header, or if the query says so by
// the first frame. If there are both, they must be the same.
func callerToken(conn *ws.Conn, r *http.Request) (string, error) {
	header := web.Token(r)
	q := web.ParamsOf(r)
	if !q.Bool("ws_handshake", false) {
		if q.Err() != nil {
			return "", &ws.CloseError{Code: ws.PolicyViolation, Reason: "ws_handshake value is not a boolean: use true or false"}
		}
		return header, nil
	}
	late := time.AfterFunc(handshakeTimeout, func() {
		conn.SendClose(ws.PolicyViolation, `no handshake came within 10 s: the first frame must be {"version":1,"auth_token":"…"}`)
	})
	defer late.Stop()
	m, err := conn.Read(maxHandshake)
	if err != nil {
		return "", err
	}
	defer m.Release()
	var h struct {
		Version   json.Number `json:"version"`
		AuthToken string      `json:"auth_token"`
	}
	switch {
	case m.Op != ws.Text || json.Unmarshal(m.Data, &h) != nil:
		return "", &ws.CloseError{Code: ws.InvalidPayload, Reason: `the first frame must be {"version":1,"auth_token":"…"}`}
	case h.Version.String() != strconv.Itoa(handshakeVersion):
		if h.Version == "" {
			h.Version = "0"
		}
		return "", &ws.CloseError{Code: ws.PolicyViolation, Reason: "unexpected handshake value: " + h.Version.String() + ", expected 1"}
	case header != "" && header != h.AuthToken:
		return "", &ws.CloseError{Code: ws.PolicyViolation, Reason: "handshake auth token mismatched auth header token"}
	}
	return h.AuthToken, nil
}

// closeOf says how a websocket is closed because of err.
func closeOf(err error) (ws.Code, string) {
	var special *ws.CloseError
	if errors.As(err, &special) {
		return special.Code, special.Reason
	}
	status, text := web.ErrorText(err)
	if status < http.StatusInternalServerError {
		return ws.PolicyViolation, text
	}
	return ws.InternalError, text
}

// spliceTunnel passes frames between the caller and whom rt reaches, until one
// of them ends the session, or the request's context the right to it.
func (a *routes) spliceTunnel(conn *ws.Conn, r *http.Request, host string, rt http.RoundTripper, unreachable error) error {
	r.URL.Scheme, r.URL.Host, r.RequestURI = "http", host, ""
	r.Header.Del("Origin") // checked where it came in
	ctx := r.Context()
	resp, err := rt.RoundTrip(r)
	if err != nil {
		a.Log.Info("splicing a session failed", "path", r.URL.Path, "to", host, "error", err)
		return unreachable
	}
	defer func() { _ = resp.Body.Close() }()
	far, ok := resp.Body.(io.ReadWriteCloser)
	if resp.StatusCode != http.StatusSwitchingProtocols || !ok {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, ws.MaxReason))
		return &api.Error{Code: api.CodeOfStatus(resp.StatusCode), Message: string(text)}
	}
	audit.Recorded(ctx, web.RecordingOf(resp.Header))
	lost := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(lost)
		var coded *api.Error
		if cause := context.Cause(ctx); errors.As(cause, &coded) {
			code, text := closeOf(coded)
			conn.SendClose(code, text)
		} else {
			conn.SendClose(ws.GoingAway, "the agent ends")
		}
		_ = far.Close()
	})
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_ = conn.CopyTo(far) // the caller's end is the other's
		_ = far.Close()
	}()
	err = conn.Relay(far)
	if !stop() {
		<-lost
	} else if err != nil {
		conn.SendClose(ws.InternalError, "the connection to "+host+" broke off")
	} else {
		conn.Expire()
	}
	<-sent // until the caller has closed as well, or a moment later
	return nil
}
