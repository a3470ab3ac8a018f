package cli

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"runtime"
	"time"

	"github.com/drover-org/drover/api"
)

// Bounds of a login in a browser.
const (
	loginPatience  = 10 * time.Minute // as long as servers take its answer
	callbackTime   = 10 * time.Second // of one request
	callbackHeader = 32 << 10
	callbackPath   = "/oidc/callback"
)

// callback waits for the browser to come back from the identity provider. It
// listens on this machine only, and takes one answer: that to its own login.
type callback struct {
	redirect string // the URI of it
	listener net.Listener
	server   *http.Server
	got      chan url.Values
}

// listenForLogin listens at HOST:PORT, where HOST is this machine.
func listenForLogin(addr string) (*callback, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || !api.LoopbackHost(host) {
		return nil, usagef("-oidc-callback-addr %q is not HOST:PORT of this machine: use localhost:4649 or 127.0.0.1:4649", addr)
	}
	at := host
	if host == "localhost" {
		at = "127.0.0.1"
	}
	l, err := net.Listen("tcp", net.JoinHostPort(at, port))
	if err != nil {
		return nil, fmt.Errorf("-oidc-callback-addr: %w", err)
	}
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return &callback{redirect: "http://" + net.JoinHostPort(host, port) + callbackPath, listener: l, got: make(chan url.Values, 1)}, nil
}

// serve begins to answer, for the login that authURL begins.
func (cb *callback) serve(authURL string) error {
	u, err := url.Parse(authURL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return api.Errorf(api.CodeInternal, "the agent sent %q, which is no address for a browser", authURL)
	}
	state := u.Query().Get("state")
	if state == "" {
		return api.Errorf(api.CodeInternal, "the agent sent an address without state, whose answer could not be told from a forged one")
	}
	cb.server = &http.Server{
		ReadTimeout: callbackTime, WriteTimeout: callbackTime, MaxHeaderBytes: callbackHeader,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { cb.answer(w, r, state) }),
	}
	go func() { _ = cb.server.Serve(cb.listener) }()
	return nil
}

func (cb *callback) answer(w http.ResponseWriter, r *http.Request, state string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	tell := func(status int, text string) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text+"\n")
	}
	if r.Method != http.MethodGet || r.URL.Path != callbackPath {
		tell(http.StatusNotFound, "Nothing is here.")
		return
	}
	q := r.URL.Query()
	if subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(state)) != 1 {
		tell(http.StatusBadRequest, "This answers no login that was begun here.")
		return
	}
	select {
	case cb.got <- q:
		tell(http.StatusOK, "Drover has the answer of your identity provider. Go back to the terminal: it tells whether you are logged in.")
	default:
		tell(http.StatusConflict, "This login was answered before.")
	}
}

// wait returns what the browser brought.
func (cb *callback) wait(ctx context.Context) (url.Values, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, loginPatience, errors.New("nobody logged in with the browser: begin again"))
	defer cancel()
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case q := <-cb.got:
		if code := q.Get("error"); code != "" {
			return nil, api.Errorf(api.CodeForbidden, "the identity provider refused the login: %s %s", code, q.Get("error_description"))
		}
		return q, nil
	}
}

// close ends it, after the browser has its page.
func (cb *callback) close() {
	if cb.server == nil {
		_ = cb.listener.Close()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if cb.server.Shutdown(ctx) != nil {
		_ = cb.server.Close()
	}
}

// openBrowser shows a page to whoever sits at a terminal with a screen. That it
// can't be shown is no error: the address was printed.
func (e *env) openBrowser(page string) {
	program := "xdg-open"
	switch {
	case !isTerminal(e.Err):
		return
	case runtime.GOOS == "darwin":
		program = "open"
	case e.Getenv("DISPLAY") == "" && e.Getenv("WAYLAND_DISPLAY") == "":
		return
	}
	cmd := exec.Command(program, page)
	cmd.Env = e.Env
	if cmd.Start() == nil {
		go func() { _ = cmd.Wait() }()
	}
}
