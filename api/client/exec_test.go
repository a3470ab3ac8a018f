package client

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/drover-org/drover/api"
)

// execServer answers exec sessions with what act does.
func execServer(t *testing.T, act func(ctx context.Context, r *http.Request, in func() (api.ExecInput, error), out func(api.ExecOutput)) error) *Client {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		ctx := r.Context()
		in := func() (f api.ExecInput, err error) {
			_, text, err := conn.Read(ctx)
			if err == nil {
				err = json.Unmarshal(text, &f)
			}
			return f, err
		}
		out := func(f api.ExecOutput) {
			text, _ := json.Marshal(f)
			_ = conn.Write(ctx, websocket.MessageText, text)
		}
		if err := act(ctx, r, in, out); err != nil {
			_ = conn.Close(websocket.StatusPolicyViolation, err.Error())
		}
	})
}

func TestExecCarriesEverything(t *testing.T) {
	c := execServer(t, func(_ context.Context, r *http.Request, in func() (api.ExecInput, error), out func(api.ExecOutput)) error {
		q := r.URL.Query()
		if q.Get("command") != `["cat","-"]` || q.Get("task") != "web" || q.Get("tty") != "true" || r.Header.Get("X-Nomad-Token") != "secret" {
			t.Errorf("asked with %v and token %q", q, r.Header.Get("X-Nomad-Token"))
		}
		var got bytes.Buffer
		sized := false
		for ended := false; !ended || !sized; {
			f, err := in()
			if err != nil {
				return err
			}
			if f.TTYSize != nil {
				sized = *f.TTYSize == api.TerminalSize{Height: 3, Width: 4}
			}
			if f.Stdin != nil {
				got.Write(f.Stdin.Data)
				ended = ended || f.Stdin.Close
			}
		}
		out(api.ExecOutput{Stdout: &api.ExecStream{Data: got.Bytes()}})
		out(api.ExecOutput{Stderr: &api.ExecStream{Data: []byte("oops")}})
		out(api.ExecOutput{Stdout: &api.ExecStream{Close: true}})
		out(api.ExecOutput{Exited: true, Result: &api.ExecResult{ExitCode: 7}})
		return nil
	})
	input := strings.Repeat("x", 3*execChunk) + "end"
	var stdout, stderr bytes.Buffer
	sizes := make(chan api.TerminalSize, 1)
	sizes <- api.TerminalSize{Height: 3, Width: 4}
	res, err := c.Allocs().Exec(t.Context(), "id", &ExecOptions{
		Task: "web", Command: []string{"cat", "-"}, TTY: true, Stdin: strings.NewReader(input), Stdout: &stdout, Stderr: &stderr, Resize: sizes,
	})
	if err != nil || res.ExitCode != 7 {
		t.Fatalf("%v, %v", res, err)
	}
	if stdout.String() != input || stderr.String() != "oops" {
		t.Errorf("%d bytes of stdout, stderr %q", stdout.Len(), stderr.String())
	}
}

func TestExecSuccessHasAnEmptyResult(t *testing.T) {
	c := execServer(t, func(_ context.Context, _ *http.Request, _ func() (api.ExecInput, error), out func(api.ExecOutput)) error {
		out(api.ExecOutput{Exited: true})
		return nil
	})
	if res, err := c.Allocs().Exec(t.Context(), "id", &ExecOptions{Command: []string{"true"}}); err != nil || *res != (api.ExecResult{}) {
		t.Errorf("%v, %v", res, err)
	}
}

func TestExecRefused(t *testing.T) {
	c := execServer(t, func(context.Context, *http.Request, func() (api.ExecInput, error), func(api.ExecOutput)) error {
		return api.Errorf(api.CodeNotFound, "task \"x\" is not running")
	})
	_, err := c.Allocs().Exec(t.Context(), "id", &ExecOptions{Command: []string{"true"}})
	if api.ErrorCode(err) != api.CodeInvalid || err.Error() != `task "x" is not running` {
		t.Errorf("by a close frame: %v", err)
	}
	c = serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no such allocation", 404) })
	if _, err := c.Allocs().Exec(t.Context(), "id", &ExecOptions{Command: []string{"true"}}); !api.IsNotFound(err) || err.Error() != "no such allocation" {
		t.Errorf("by a status: %v", err)
	}
}

func TestExecEndsWithItsContext(t *testing.T) {
	ready := make(chan struct{})
	c := execServer(t, func(_ context.Context, _ *http.Request, in func() (api.ExecInput, error), _ func(api.ExecOutput)) error {
		close(ready)
		for {
			if _, err := in(); err != nil {
				return nil
			}
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-ready
		cancel()
	}()
	r, w := io.Pipe()
	defer w.Close()
	if _, err := c.Allocs().Exec(ctx, "id", &ExecOptions{Command: []string{"cat"}, Stdin: r}); err != context.Canceled {
		t.Errorf("%v", err)
	}
}
