package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
	"github.com/drover-org/drover/driver/fake"
	"github.com/drover-org/drover/internal/web"
	"github.com/drover-org/drover/internal/ws"
)

// execDriver is the fake driver with commands that a test writes.
type execDriver struct {
	driver.Driver
	exec func(ctx context.Context, o *driver.ExecOptions) (*driver.ExitResult, error)
	bare bool // not isolated
}

func (d *execDriver) Capabilities() driver.Capabilities {
	c := d.Driver.Capabilities()
	c.Isolated = c.Isolated && !d.bare
	return c
}

func (d *execDriver) Start(ctx context.Context, cfg *driver.TaskConfig) (driver.Task, error) {
	t, err := d.Driver.Start(ctx, cfg)
	return &execTask{t, d}, err
}

type execTask struct {
	driver.Task
	d *execDriver
}

func (t *execTask) Exec(ctx context.Context, o *driver.ExecOptions) (*driver.ExitResult, error) {
	return t.d.exec(ctx, o)
}

// execWorld runs an allocation in which exec runs f.
func execWorld(t *testing.T, change func(*Config), f func(context.Context, *driver.ExecOptions) (*driver.ExitResult, error)) (*httptest.Server, *api.Allocation, *world) {
	t.Helper()
	w := newWorld(t, func(c *Config) {
		c.Drivers[fake.Name] = &execDriver{Driver: c.Drivers[fake.Name], exec: f}
		if change != nil {
			change(c)
		}
	})
	a := w.run(forever())
	return w.server(), a, w
}

func execURL(s *httptest.Server, id string, query ...string) string {
	q := url.Values{"task": {"main"}, "command": {`["cmd"]`}}
	for i := 0; i < len(query); i += 2 {
		q.Set(query[i], query[i+1])
	}
	return s.URL + "/v1/client/allocation/" + id + "/exec?" + q.Encode()
}

// verdict is what a server tells the node about the caller.
func verdict(allowed ...api.Capability) http.Header {
	h := http.Header{}
	web.SetVerdict(h, &web.Verdict{Caller: &api.Caller{Kind: api.CallerClient}, Namespace: "default", Allowed: allowed})
	return h
}

func dial(t *testing.T, u string, header http.Header) (*websocket.Conn, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	if header == nil {
		header = verdict(api.CapAllocExec, api.CapAllocNodeExec, api.CapAllocPortForward)
	}
	conn, _, err := websocket.Dial(ctx, u, &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	conn.SetReadLimit(-1)
	return conn, ctx
}

// transcript is what a caller got.
type transcript struct {
	stdout, stderr bytes.Buffer
	order          []string // of the frames that hold no data
	exit           *api.ExecResult
	close          error
}

func listen(ctx context.Context, conn *websocket.Conn) *transcript {
	var tr transcript
	for {
		_, b, err := conn.Read(ctx)
		if err != nil {
			tr.close = err
			return &tr
		}
		var f api.ExecOutput
		if err := json.Unmarshal(b, &f); err != nil {
			tr.close = err
			return &tr
		}
		switch {
		case f.Stdout != nil && f.Stdout.Close, f.Stderr != nil && f.Stderr.Close:
			tr.order = append(tr.order, string(b))
		case f.Stdout != nil:
			tr.stdout.Write(f.Stdout.Data)
		case f.Stderr != nil:
			tr.stderr.Write(f.Stderr.Data)
		case f.Exited:
			tr.order = append(tr.order, string(b))
			tr.exit = f.Result
		}
	}
}

func send(t *testing.T, ctx context.Context, conn *websocket.Conn, frames ...string) {
	t.Helper()
	for _, f := range frames {
		if err := conn.Write(ctx, websocket.MessageText, []byte(f)); err != nil {
			t.Fatal(err)
		}
	}
}

// echo is a command that returns its input and says how much it was.
func echo(_ context.Context, o *driver.ExecOptions) (*driver.ExitResult, error) {
	n, err := io.Copy(o.Stdout, o.Stdin)
	if err == nil {
		_, err = fmt.Fprint(o.Stderr, n)
	}
	return &driver.ExitResult{ExitCode: int(n % 256)}, err
}

// TestExecWhole runs 200 sessions at the same time, each with its own input
// and output, and wants every byte before the exit frame.
func TestExecWhole(t *testing.T) {
	s, a, _ := execWorld(t, nil, echo)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			conn, ctx := dial(t, execURL(s, a.ID), nil)
			rnd := rand.New(rand.NewPCG(1, uint64(i)))
			in := make([]byte, rnd.IntN(300_000))
			for j := range in {
				in[j] = byte(rnd.Uint32())
			}
			go func() {
				for rest := in; ; {
					n := min(len(rest), 1+rnd.IntN(40_000))
					b, _ := json.Marshal(api.ExecInput{Stdin: &api.ExecStream{Data: rest[:n], Close: n == len(rest)}})
					if conn.Write(ctx, websocket.MessageText, b) != nil || n == len(rest) {
						return
					}
					rest = rest[n:]
				}
			}()
			tr := listen(ctx, conn)
			if !bytes.Equal(tr.stdout.Bytes(), in) || tr.stderr.String() != fmt.Sprint(len(in)) {
				t.Errorf("session %d: %d of %d bytes, stderr %q", i, tr.stdout.Len(), len(in), tr.stderr.String())
			}
			if tr.exit == nil || tr.exit.ExitCode != len(in)%256 || websocket.CloseStatus(tr.close) != websocket.StatusNormalClosure {
				t.Errorf("session %d: exit %+v, close %v", i, tr.exit, tr.close)
			}
		})
	}
	wg.Wait()
}

// TestExecFrames compares the exact frames of a session.
func TestExecFrames(t *testing.T) {
	s, a, _ := execWorld(t, nil, func(_ context.Context, o *driver.ExecOptions) (*driver.ExitResult, error) {
		in, _ := io.ReadAll(o.Stdin)
		_, err := o.Stdout.Write(append(in, bytes.Repeat([]byte("x"), 100_000)...))
		return &driver.ExitResult{}, err
	})
	conn, ctx := dial(t, execURL(s, a.ID), nil)
	send(t, ctx, conn, `{}`, `{"stdin":{"data":"aGk="}}`, `{ "stdin" : {"data": "IQ==", "unknown": 1} }`, `{"tty_size":{"height":1,"width":2}}`, `{"stdin":{"close":true}}`,
		`{"stdin":{"data":"bGF0ZQ=="}}`)
	tr := listen(ctx, conn)
	if !strings.HasPrefix(tr.stdout.String(), "hi!xx") || tr.stdout.Len() != 100_003 {
		t.Errorf("stdout = %.10q, %d bytes", tr.stdout.String(), tr.stdout.Len())
	}
	want := `{"stdout":{"close":true}} {"stderr":{"close":true}} {"exited":true,"result":{"exit_code":0}}`
	if got := strings.Join(tr.order, " "); got != want {
		t.Errorf("frames = %s", got)
	}
}

func TestExecTTY(t *testing.T) {
	s, a, _ := execWorld(t, nil, func(ctx context.Context, o *driver.ExecOptions) (*driver.ExitResult, error) {
		if !o.TTY {
			return nil, errors.New("no terminal")
		}
		size := <-o.Resize
		_, err := fmt.Fprintf(o.Stdout, "%dx%d", size.Width, size.Height)
		return &driver.ExitResult{ExitCode: 137, Signal: 9, OOMKilled: true}, err
	})
	conn, ctx := dial(t, execURL(s, a.ID, "tty", "true"), nil)
	send(t, ctx, conn, `{"tty_size":{"height":24,"width":80}}`)
	tr := listen(ctx, conn)
	if tr.stdout.String() != "80x24" || strings.Join(tr.order, " ") != `{"stdout":{"close":true}} {"exited":true,"result":{"exit_code":137,"signal":9,"oom_killed":true}}` {
		t.Errorf("stdout %q, frames %q", tr.stdout.String(), tr.order)
	}
}

// TestExecInputAfterExit goes on sending to a command that has ended; its
// output must arrive all the same.
func TestExecInputAfterExit(t *testing.T) {
	s, a, _ := execWorld(t, nil, func(_ context.Context, o *driver.ExecOptions) (*driver.ExitResult, error) {
		_, err := o.Stdout.Write(make([]byte, 1<<20))
		return &driver.ExitResult{}, err
	})
	conn, ctx := dial(t, execURL(s, a.ID), nil)
	go func() {
		frame := []byte(`{"stdin":{"data":"` + strings.Repeat("AAAA", 10_000) + `"}}`)
		for conn.Write(ctx, websocket.MessageText, frame) == nil {
		}
	}()
	if tr := listen(ctx, conn); tr.stdout.Len() != 1<<20 || tr.exit == nil {
		t.Errorf("%d bytes, exit %v, close %v", tr.stdout.Len(), tr.exit, tr.close)
	}
}

// TestExecHangUp leaves; the command must be told.
func TestExecHangUp(t *testing.T) {
	told := make(chan struct{})
	s, a, _ := execWorld(t, nil, func(ctx context.Context, _ *driver.ExecOptions) (*driver.ExitResult, error) {
		<-ctx.Done()
		close(told)
		return nil, ctx.Err()
	})
	conn, ctx := dial(t, execURL(s, a.ID), nil)
	send(t, ctx, conn, `{}`)
	_ = conn.Close(websocket.StatusGoingAway, "")
	select {
	case <-told:
	case <-ctx.Done():
		t.Error("the command was not ended")
	}
}

func TestExecAgentEnds(t *testing.T) {
	s, a, w := execWorld(t, nil, func(ctx context.Context, o *driver.ExecOptions) (*driver.ExitResult, error) {
		_, _ = o.Stdout.Write([]byte("up"))
		<-ctx.Done()
		return nil, ctx.Err()
	})
	conn, ctx := dial(t, execURL(s, a.ID), nil)
	if _, _, err := conn.Read(ctx); err != nil {
		t.Fatal(err)
	}
	go w.stop()
	if tr := listen(ctx, conn); websocket.CloseStatus(tr.close) != websocket.StatusGoingAway {
		t.Errorf("close = %v", tr.close)
	}
}

// TestExecNodeExec runs a command in a task that shares the node's files.
func TestExecNodeExec(t *testing.T) {
	s, a, _ := execWorld(t, func(c *Config) { c.Drivers[fake.Name].(*execDriver).bare = true },
		func(context.Context, *driver.ExecOptions) (*driver.ExitResult, error) {
			return &driver.ExitResult{}, nil
		})
	conn, ctx := dial(t, execURL(s, a.ID), verdict(api.CapAllocExec))
	var ce websocket.CloseError
	if tr := listen(ctx, conn); !errors.As(tr.close, &ce) || ce.Code != 1008 || !strings.Contains(ce.Reason, `it takes alloc-node-exec in namespace "default"`) {
		t.Errorf("close = %v", tr.close)
	}
	conn, ctx = dial(t, execURL(s, a.ID), verdict(api.CapAllocExec, api.CapAllocNodeExec))
	if tr := listen(ctx, conn); tr.exit == nil {
		t.Errorf("close = %v", tr.close)
	}
}

func TestExecRefusals(t *testing.T) {
	boom := errors.New(strings.Repeat("sécret", 100))
	s, a, w := execWorld(t, nil, func(context.Context, *driver.ExecOptions) (*driver.ExitResult, error) { return nil, boom })
	dead := w.alloc(map[string]any{"run_for": "1ms"})
	w.assign(dead)
	w.untilStatus(dead.ID, api.AllocClientComplete)
	for name, c := range map[string]struct {
		id     string
		query  []string
		header http.Header
		code   websocket.StatusCode
		reason string
	}{
		"driver fails":     {a.ID, nil, nil, 1011, "internal error"},
		"unknown alloc":    {api.NewID(), nil, nil, 1008, "Unknown allocation"},
		"not a UUID":       {"x", nil, nil, 1008, "Unknown allocation"},
		"no task":          {a.ID, []string{"task", ""}, nil, 1008, "must provide task name"},
		"unknown task":     {a.ID, []string{"task", "x"}, nil, 1008, `unknown task name "x"`},
		"no command":       {a.ID, []string{"command", ""}, nil, 1008, "command is not present"},
		"empty command":    {a.ID, []string{"command", "[]"}, nil, 1008, "command is not present"},
		"command no array": {a.ID, []string{"command", "sh"}, nil, 1008, `"command" is not a JSON array`},
		"bad tty":          {a.ID, []string{"tty", "maybe"}, nil, 1008, `"tty" is "maybe"`},
		"ended":            {dead.ID, nil, nil, 1008, "client status of allocation"},
		"no verdict":       {a.ID, nil, http.Header{"X-Nomad-Token": {"secret"}}, 1008, "no server has authorised"},
		"no exec":          {a.ID, nil, verdict(api.CapReadJob), 1008, "alloc-exec"},
		"broken verdict":   {a.ID, nil, http.Header{"X-Drover-Verdict": {"{"}}, 1008, "no server has authorised"},
	} {
		conn, ctx := dial(t, execURL(s, c.id, c.query...), c.header)
		tr := listen(ctx, conn)
		var ce websocket.CloseError
		if !errors.As(tr.close, &ce) || ce.Code != c.code || !strings.Contains(ce.Reason, c.reason) || strings.Contains(ce.Reason, "sécret") {
			t.Errorf("%s: %v, want %d %q", name, tr.close, c.code, c.reason)
		}
	}
}

// TestExecUnmasked sends a frame as only a server may.
func TestExecUnmasked(t *testing.T) {
	s, a, _ := execWorld(t, nil, func(ctx context.Context, _ *driver.ExecOptions) (*driver.ExitResult, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	conn := rawExec(t, s.Listener.Addr().String(), execURL(s, a.ID))
	if _, err := conn.Write([]byte("\x81\x02{}")); err != nil {
		t.Fatal(err)
	}
	var head [4]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil || head[0] != 0x88 || int(head[2])<<8|int(head[3]) != int(websocket.StatusProtocolError) {
		t.Errorf("answer % x, %v; want a close frame with 1002", head, err)
	}
}

func TestExecGarbage(t *testing.T) {
	s, a, _ := execWorld(t, nil, func(ctx context.Context, _ *driver.ExecOptions) (*driver.ExitResult, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	for name, c := range map[string]struct {
		kind  websocket.MessageType
		frame string
		code  websocket.StatusCode
	}{
		"no JSON":     {websocket.MessageText, `{"stdin":`, websocket.StatusInvalidFramePayloadData},
		"bad base64":  {websocket.MessageText, `{"stdin":{"data":"???"}}`, websocket.StatusPolicyViolation},
		"wrong shape": {websocket.MessageText, `{"stdin":"text"}`, websocket.StatusPolicyViolation},
		"binary":      {websocket.MessageBinary, `{}`, websocket.StatusUnsupportedData},
		"too big":     {websocket.MessageText, strings.Repeat(" ", maxExecFrame+2), websocket.StatusMessageTooBig},
	} {
		conn, ctx := dial(t, execURL(s, a.ID), nil)
		_ = conn.Write(ctx, c.kind, []byte(c.frame))
		tr := listen(ctx, conn)
		if got := websocket.CloseStatus(tr.close); got != c.code {
			t.Errorf("%s: %v, want %d", name, tr.close, c.code)
		}
	}
}

func TestExecBounds(t *testing.T) {
	release := make(chan struct{})
	s, a, w := execWorld(t, func(c *Config) { c.MaxExecSessions = 1 }, func(ctx context.Context, o *driver.ExecOptions) (*driver.ExitResult, error) {
		_, _ = o.Stdout.Write([]byte("x"))
		<-release
		return &driver.ExitResult{}, nil
	})
	first, ctx := dial(t, execURL(s, a.ID), nil)
	if _, _, err := first.Read(ctx); err != nil {
		t.Fatal(err)
	}
	second, ctx := dial(t, execURL(s, a.ID), nil)
	if tr := listen(ctx, second); websocket.CloseStatus(tr.close) != websocket.StatusTryAgainLater {
		t.Errorf("close = %v", tr.close)
	}
	if st := w.a.Sessions(); st.Open != 1 || st.Limit != 1 || st.Opened != 1 || st.Refused != 1 {
		t.Errorf("sessions: %+v", st)
	}
	close(release)
	listen(ctx, first)
}

func TestExecWithoutUpgrade(t *testing.T) {
	s, a, _ := execWorld(t, nil, nil)
	resp, err := http.Get(execURL(s, a.ID))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if b, _ := io.ReadAll(resp.Body); resp.StatusCode != 400 || !strings.Contains(string(b), "websocket") {
		t.Errorf("%d %s", resp.StatusCode, b)
	}
}

func BenchmarkExecOutput(b *testing.B) {
	chunk := make([]byte, 64<<10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := ws.Accept(w, r)
		if err != nil {
			return
		}
		defer func() { _ = conn.Hangup() }()
		_, cancel := context.WithCancelCause(r.Context())
		o := &output{s: &session{conn: conn}, head: stdoutHead, fail: cancel}
		for {
			if _, err := o.Write(chunk); err != nil {
				return
			}
		}
	}))
	defer s.Close()
	conn, _, err := websocket.Dial(b.Context(), s.URL, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(-1)
	b.SetBytes(execChunk)
	buf := make([]byte, 128<<10)
	for b.Loop() {
		_, r, err := conn.Reader(b.Context())
		for err == nil {
			_, err = r.Read(buf)
		}
		if !errors.Is(err, io.EOF) {
			b.Fatal(err)
		}
	}
}
