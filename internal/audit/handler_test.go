package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
)

// fakeRights knows one token.
type fakeRights struct{}

func (fakeRights) Authorize(_ context.Context, token string, c api.Capability, _ string) error {
	if token == secret && c != api.CapManagement {
		return nil
	}
	return &api.Error{Code: api.CodeForbidden, Message: "Permission denied"}
}

func (fakeRights) Caller(_ context.Context, token string) (*api.Caller, error) {
	if token != secret {
		return nil, &api.Error{Code: api.CodeForbidden, Message: "ACL token not found"}
	}
	return &api.Caller{Kind: api.CallerClient, AccessorID: "acc", Name: "ann"}, nil
}

func (fakeRights) Changed(context.Context, string) <-chan struct{} { return nil }

const secret = "5ec3e7-\"quoted\"-0123456789"

// world is a handler around routes that do what the API's do.
type world struct {
	t    *testing.T
	cfg  Config
	log  *Log
	end  func()
	h    http.Handler
	done int // requests that reached a route
}

func newWorld(t *testing.T, change func(*Handler)) *world {
	w := &world{t: t, cfg: testConfig(t)}
	w.log, w.end = run(t, w.cfg)
	auth := Authorizer{fakeRights{}}
	mux := http.NewServeMux()
	serve := func(pattern string, c api.Capability) {
		mux.HandleFunc(pattern, func(rw http.ResponseWriter, r *http.Request) {
			w.done++
			_, _ = io.Copy(io.Discard, r.Body)
			if err := auth.Authorize(r.Context(), r.Header.Get("X-Nomad-Token"), c, "default"); err != nil {
				rw.WriteHeader(403)
				_, _ = io.WriteString(rw, err.Error())
				return
			}
			_, _ = io.WriteString(rw, "fine")
		})
	}
	serve("/v1/jobs", api.CapSubmitJob)
	serve("/v1/job/{id}", api.CapReadJob)
	serve("/v1/client/fs/logs/{id}", api.CapReadLogs)
	serve("/v1/system/gc", api.CapManagement)
	mux.HandleFunc("/v1/client/allocation/{id}/exec", func(rw http.ResponseWriter, r *http.Request) {
		_ = auth.Authorize(r.Context(), secret, api.CapAllocExec, "default") // the token of the first frame
		rw.WriteHeader(http.StatusSwitchingProtocols)
		Exited(r.Context(), 3)
		Moved(r.Context(), 5, 7)
		Failed(r.Context(), "the right was lost")
	})
	n := 0
	h := &Handler{Log: w.log, Enforced: true, Caller: fakeRights{}.Caller, Now: func() time.Time { return start }, NewID: func() string {
		n++
		return fmt.Sprint("id", n)
	}}
	if change != nil {
		change(h)
	}
	w.h = h.Wrap(mux)
	return w
}

func (w *world) call(method, target, token, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if token != "" {
		r.Header.Set("X-Nomad-Token", token)
	}
	out := httptest.NewRecorder()
	w.h.ServeHTTP(out, r)
	return out
}

// records ends the log and returns what is in it.
func (w *world) records() []Record {
	w.t.Helper()
	w.end()
	b, err := os.ReadFile(w.cfg.Path)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []Record
	for line := range strings.Lines(string(b)) {
		var r Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			w.t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

func TestWhatIsRecorded(t *testing.T) {
	w := newWorld(t, nil)
	w.call("GET", "/v1/job/web", secret, "")                                              // no: a read
	w.call("GET", "/v1/job/web", "wrong", "")                                             // denied
	w.call("POST", "/v1/jobs?namespace=ops&x=hidden", secret, `{"Job":{}}`)               // a change
	w.call("POST", "/v1/system/gc", secret, "")                                           // a change that is denied
	w.call("GET", "/v1/client/fs/logs/abc?task=main&type=stdout&follow=true", secret, "") // a look inside
	w.call("GET", `/v1/client/allocation/abc/exec?task=main&command=["sh","-c","ls"]`, "", "")
	w.call("POST", "/v1/search", secret, "") // no: it asks
	w.call("PUT", "/v1/nothing", secret, "") // a change of what is not there

	var got []string
	for _, r := range w.records() {
		who := "nobody"
		if r.Caller != nil {
			who = r.Caller.Name
		}
		line := fmt.Sprintf("%s %s %s %s%s", strings.TrimPrefix(r.Stage, "Operation"), who, r.Method, r.Path, r.Query)
		if r.Stage == Complete {
			line += fmt.Sprintf(" %s %s %d %q %v in %d out %d", r.Route, r.Object, r.Status, r.Error, r.Rights, r.BytesIn, r.BytesOut)
		}
		if r.Command != nil {
			line += fmt.Sprintf(" %q", r.Command)
		}
		if r.ExitCode != nil {
			line += fmt.Sprint(" exit ", *r.ExitCode)
		}
		got = append(got, line)
	}
	want := []string{
		`Complete nobody GET /v1/job/web /v1/job/{id} web 403 "Permission denied" [{read-job default true}] in 0 out 17`,
		`Received ann POST /v1/jobsnamespace=ops`,
		`Complete ann POST /v1/jobsnamespace=ops /v1/jobs  200 "" [{submit-job default false}] in 10 out 4`,
		`Received ann POST /v1/system/gc`,
		`Complete ann POST /v1/system/gc /v1/system/gc  403 "Permission denied" [{management default true}] in 0 out 17`,
		`Received ann GET /v1/client/fs/logs/abcfollow=true&task=main&type=stdout`,
		`Complete ann GET /v1/client/fs/logs/abcfollow=true&task=main&type=stdout /v1/client/fs/logs/{id} abc 200 "" [{read-logs default false}] in 0 out 4`,
		`Received nobody GET /v1/client/allocation/abc/exectask=main ["sh" "-c" "ls"]`,
		`Complete ann GET /v1/client/allocation/abc/exectask=main /v1/client/allocation/{id}/exec abc 101 "the right was lost" [{alloc-exec default false}] in 5 out 7 ["sh" "-c" "ls"] exit 3`,
		`Received ann PUT /v1/nothing`,
		`Complete ann PUT /v1/nothing   404 "404 page not found\n" [] in 0 out 19`,
	}
	if g, x := strings.Join(got, "\n"), strings.Join(want, "\n"); g != x {
		t.Errorf("got\n%s\nwant\n%s", g, x)
	}
}

// Enforced: what can't be recorded does not happen.
func TestUnrecordedIsRefused(t *testing.T) {
	w := newWorld(t, nil)
	w.end()
	if got := w.call("POST", "/v1/jobs", secret, ""); got.Code != 503 || w.done != 0 {
		t.Errorf("status %d, %d requests were served", got.Code, w.done)
	}
	if got := w.call("GET", "/v1/job/web", secret, ""); got.Code != 200 {
		t.Errorf("a read that needs no record: %d", got.Code)
	}
}

func TestFilters(t *testing.T) {
	w := newWorld(t, func(h *Handler) {
		h.Filters = []Filter{
			{Endpoints: []string{"/v1/client/fs/*"}},
			{Stages: []string{Received}, Operations: []string{"post"}},
		}
	})
	w.call("GET", "/v1/client/fs/logs/abc", secret, "")
	w.call("POST", "/v1/jobs", secret, "")
	if got := w.records(); len(got) != 1 || got[0].Stage != Complete || got[0].Path != "/v1/jobs" {
		t.Errorf("%+v", got)
	}
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{
		{"/a", "/a", true}, {"/a", "/ab", false}, {"/a*", "/ab", true}, {"/*/c", "/a/b/c", true}, {"/*/c", "/a/b", false},
		{"/a*a", "/a", false}, {"*b*", "abc", true}, {"*b*", "acd", false},
	} {
		if got := api.Glob(tt.pattern, tt.s); got != tt.want {
			t.Errorf("glob(%q, %q) = %v", tt.pattern, tt.s, got)
		}
	}
}

// Wherever a caller puts secrets, in headers, parameters that no route knows
// or bodies, and the token anywhere at all, they are not in the log.
func TestNoSecretsInTheLog(t *testing.T) {
	w := newWorld(t, nil)
	const hidden = "h1dden-value"
	rnd := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[rnd.IntN(len(list))] }
	for range 600 {
		q := fmt.Sprintf("?%s=%s&%s=%s", pick("token", "auth_token", "secret", hidden, "X-Nomad-Token", "password"), hidden,
			pick("task", "path", "namespace", "code"), pick("x", "5ec3e7-%22quoted%22-0123456789"))
		path := pick("/v1/jobs", "/v1/job/web", "/v1/client/fs/logs/abc", "/v1/client/allocation/abc/exec", "/v1/acl/token/self", "/v1/job/5ec3e7-%22quoted%22-0123456789")
		r := httptest.NewRequest(pick("GET", "POST", "PUT", "DELETE"), path+q, strings.NewReader(hidden+secret))
		switch rnd.IntN(3) {
		case 0:
			r.Header.Set("X-Nomad-Token", secret)
		case 1:
			r.Header.Set("Authorization", "Bearer "+secret)
		case 2:
			r.Header.Set("X-Nomad-Token", secret)
			r.Header.Set("Authorization", "Basic "+hidden)
		}
		r.Header.Set(pick("Cookie", "X-Vault-Token", "User-Agent", "Referer", "X-Forwarded-For"), hidden)
		w.h.ServeHTTP(httptest.NewRecorder(), r)
	}
	w.end()
	b, err := os.ReadFile(w.cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(secret)
	for _, s := range []string{hidden, secret, string(text[1 : len(text)-1]), "5ec3e7-%22"} {
		if at := strings.Index(string(b), s); at >= 0 {
			t.Errorf("the log holds %q: …%.200s", s, b[max(0, at-150):])
		}
	}
	if n := strings.Count(string(b), "\n"); n < 300 {
		t.Errorf("only %d records were made", n)
	}
}
