package web_test

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var quiet = slog.New(slog.DiscardHandler)

func get(t *testing.T, h http.Handler, target string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWrapAnswers(t *testing.T) {
	meta := &api.Meta{Index: 7, KnownLeader: true, LastContact: 1500 * time.Microsecond, NextToken: "5.x"}
	tests := []struct {
		name    string
		h       web.Handler
		target  string
		status  int
		body    string
		headers map[string]string
	}{
		{"json", func(*http.Request) (any, error) { return map[string]any{"a": "<&>"}, nil }, "/", 200, `{"a":"<&>"}`, map[string]string{"Content-Type": "application/json", "Content-Length": "11"}},
		{"pretty", func(*http.Request) (any, error) { return map[string]any{"a": []int{1, 2}, "b": []int{}}, nil }, "/?pretty=false", 200, "{\n    \"a\": [\n        1,\n        2\n    ],\n    \"b\": []\n}\n", nil},
		{"pretty off", func(*http.Request) (any, error) { return []int{1}, nil }, "/?pretty=0", 200, "[1]", nil},
		{"nil", func(*http.Request) (any, error) { return nil, nil }, "/", 200, "", map[string]string{"Content-Type": ""}},
		{"nil reply", func(*http.Request) (any, error) { return (*web.Reply)(nil), nil }, "/", 200, "", nil},
		{"meta", func(*http.Request) (any, error) { return &web.Reply{Value: 1, Meta: meta}, nil }, "/", 200, "1",
			map[string]string{"X-Nomad-Index": "7", "X-Nomad-KnownLeader": "true", "X-Nomad-LastContact": "1", "X-Nomad-NextToken": "5.x"}},
		{"write index", func(*http.Request) (any, error) { return &web.Reply{Value: 1, Index: 9, Status: 201}, nil }, "/", 201, "1", map[string]string{"X-Nomad-Index": "9", "X-Nomad-KnownLeader": ""}},
		{"error keeps meta", func(*http.Request) (any, error) {
			return &web.Reply{Meta: meta}, api.Errorf(api.CodeNotFound, "alloc not found")
		}, "/", 404, "alloc not found", map[string]string{"X-Nomad-Index": "7", "Content-Type": "text/plain; charset=utf-8"}},
		{"internal error is not told", func(*http.Request) (any, error) { return nil, errors.New("secret") }, "/", 500, "internal error; the agent's log at the time of this request tells the cause", nil},
		{"not encodable", func(*http.Request) (any, error) { return func() {}, nil }, "/", 500, "internal error; the agent's log at the time of this request tells the cause", nil},
		{"empty list", func(*http.Request) (any, error) { return web.ListOf[int](nil), nil }, "/", 200, "[]", nil},
		{"list", func(*http.Request) (any, error) { return web.ListOf([]string{"a", "<"}), nil }, "/", 200, `["a","<"]`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp := get(t, web.Wrap(quiet, tt.h), tt.target)
			if got := text(t, resp); resp.StatusCode != tt.status || got != tt.body {
				t.Errorf("got %d %q, want %d %q", resp.StatusCode, got, tt.status, tt.body)
			}
			for name, want := range tt.headers {
				if got := resp.Header.Get(name); got != want {
					t.Errorf("header %s is %q, want %q", name, got, want)
				}
			}
		})
	}
}

// Whatever the size, the caller gets the same bytes, compressed only when it
// is worth it.
func TestGzip(t *testing.T) {
	for _, size := range []int{0, 10, 1000, 1024, 5000, 32 << 10, 200_000} {
		want := strings.Repeat("drover ", size/7+1)[:size]
		h := web.Wrap(quiet, func(*http.Request) (any, error) {
			return &web.Reply{Value: strings.NewReader(want), ContentType: "text/plain"}, nil
		})
		for _, accept := range []string{"", "gzip", "deflate, gzip;q=0.5", "gzip;q=0"} {
			resp := get(t, h, "/", "Accept-Encoding", accept)
			zipped := resp.Header.Get("Content-Encoding") == "gzip"
			if should := size >= 1024 && strings.Contains(accept, "gzip") && !strings.HasSuffix(accept, "q=0"); zipped != should {
				t.Fatalf("size %d, accept %q: gzip is %v", size, accept, zipped)
			}
			var body io.Reader = resp.Body
			if zipped {
				gz, err := gzip.NewReader(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				body = gz
			}
			got, err := io.ReadAll(body)
			if err != nil || string(got) != want {
				t.Fatalf("size %d, accept %q: got %d bytes, %v", size, accept, len(got), err)
			}
		}
	}
	h := web.Wrap(quiet, func(*http.Request) (any, error) { return strings.Repeat("x", 5000), nil })
	if got := get(t, h, "/", "Accept-Encoding", "gzip", "Upgrade", "websocket").Header.Get("Content-Encoding"); got != "" {
		t.Errorf("an upgrade request was answered with encoding %q", got)
	}
}

// The streaming indenter agrees with encoding/json however the bytes are cut.
func TestPrettyIsJSONIndent(t *testing.T) {
	value := rapid.Custom(func(t *rapid.T) any {
		return map[string]any{
			rapid.String().Draw(t, "k"): rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "v"),
			"n":                         rapid.Float64Range(-1e6, 1e6).Draw(t, "n"), "e": map[string]any{}, "x": nil,
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		items := rapid.SliceOfN(value, 0, 4).Draw(t, "items")
		h := web.Wrap(quiet, func(*http.Request) (any, error) { return web.ListOf(items), nil })
		r := httptest.NewRequest(http.MethodGet, "/?pretty", nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var compact, want bytes.Buffer
		if err := web.EncodeJSON(&compact, items); err != nil {
			t.Fatal(err)
		}
		if items == nil {
			compact.Reset()
			compact.WriteString("[]")
		}
		if err := json.Indent(&want, compact.Bytes(), "", "    "); err != nil {
			t.Fatal(err)
		}
		want.WriteByte('\n')
		if diff := cmp.Diff(want.String(), w.Body.String()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestMux(t *testing.T) {
	ok := func(s string) web.Handler { return func(*http.Request) (any, error) { return s, nil } }
	mux := web.NewMux(quiet, []web.Route{
		{Methods: "GET", Pattern: "/v1/jobs", Do: ok("list")},
		{Methods: "PUT POST", Pattern: "/v1/jobs", Do: ok("register")},
		{Methods: "*", Pattern: "/v1/any/{id}", Do: ok("any")},
	})
	tests := []struct {
		method, path, body, allow string
		status                    int
	}{
		{"GET", "/v1/jobs", `"list"`, "", 200},
		{"POST", "/v1/jobs", `"register"`, "", 200},
		{"DELETE", "/v1/jobs", "Invalid method", "GET, POST, PUT", 405},
		{"HEAD", "/v1/jobs", "Invalid method", "GET, POST, PUT", 405},
		{"PATCH", "/v1/any/x", `"any"`, "", 200},
		{"GET", "/v1/none", "", "", 404},
	}
	for _, tt := range tests {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, nil))
		if w.Code != tt.status || w.Body.String() != tt.body || w.Header().Get("Allow") != tt.allow {
			t.Errorf("%s %s: got %d %q allow %q", tt.method, tt.path, w.Code, w.Body, w.Header().Get("Allow"))
		}
	}
}

func TestListOptions(t *testing.T) {
	read := func(query string) (api.ListOptions, error) {
		r := httptest.NewRequest(http.MethodGet, "/?"+query, nil)
		r.Header.Set("Authorization", "bearer  s3cret")
		p := web.ParamsOf(r)
		o := p.List()
		return o, p.Err()
	}
	def := api.ListOptions{Namespace: "default", Wait: 300 * time.Second, Token: "s3cret"}
	with := func(f func(*api.ListOptions)) api.ListOptions { o := def; f(&o); return o }
	good := map[string]api.ListOptions{
		"":                      def,
		"wait=-1s&reverse=TRUE": def,
		"wait=1h":               def,
		"index=5&wait=10s":      with(func(o *api.ListOptions) { o.Index, o.Wait = 5, 10*time.Second }),
		"stale":                 with(func(o *api.ListOptions) { o.Stale = true }),
		"stale=false":           def,
		"stale=1&prefix=ab&namespace=*&per_page=3&next_token=7.a&filter=x&reverse=true&region=eu": with(func(o *api.ListOptions) {
			o.Stale, o.Prefix, o.Namespace, o.PerPage, o.NextToken, o.Filter, o.Reverse, o.Region = true, "ab", "*", 3, "7.a", "x", true, "eu"
		}),
	}
	for query, want := range good {
		got, err := read(query)
		if err != nil {
			t.Errorf("%q: %v", query, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", query, diff)
		}
	}
	for query, name := range map[string]string{
		"index=x": `"index"`, "index=-1": `"index"`, "wait=10": `"wait"`, "per_page=-1": `"per_page"`,
		"per_page=99999999999": `"per_page"`, "stale=maybe": `"stale"`, "a=%zz": "query string",
	} {
		_, err := read(query)
		if api.ErrorCode(err) != api.CodeInvalid || !strings.Contains(err.Error(), name) {
			t.Errorf("%q: got %v, want one that names %s", query, err, name)
		}
	}
}

type inner struct {
	Count   *int
	Timeout api.Duration
	Config  map[string]any
}

type sample struct {
	Name   string
	Groups []*inner
	ByName map[string]inner
	Lower  bool `json:"lower"`
}

func TestDecode(t *testing.T) {
	tests := []struct {
		name, body string
		unknown    []string
		message    []string // parts of the error
	}{
		{"plain", `{"Name":"x","groups":[{"Count":1,"Timeout":"5s","Config":{"any":{"thing":1}}}],"lower":true}`, nil, nil},
		{"unknown", `{"Nmae":"x","Groups":[{"Cuont":2},{"Zero":0,"No":false,"Nil":null,"E":"","L":[],"O":{"a":[]}}],"ByName":{"k":{"X":[0,1]}}}`,
			[]string{"Nmae", "Groups[0].Cuont", "ByName.k.X"}, nil},
		{"empty", "  ", nil, []string{"Request body is empty"}},
		{"syntax", "{\n\"Name\": \"x\",\n}", nil, []string{"line 3, byte 16"}},
		{"two values", `{} {}`, nil, []string{"not valid JSON"}},
		{"cut off", `{"Name":`, nil, []string{"not valid JSON"}},
		{"type", "{\"Name\":\"x\",\n\"Groups\":[{},{\"Count\":\"two\"}]}", nil, []string{"field Groups[1].Count (line 2", "expected a whole number", "not string"}},
		{"shape", `{"Groups":{}}`, nil, []string{"field Groups ", "expected an array, not object"}},
		{"custom", `{"Groups":[{},{"Timeout":"soon"}]}`, nil, []string{"field Groups[1].Timeout ", `"soon"`}},
		{"whole body", `[1]`, nil, []string{"the request body (line 1", "expected an object"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var v sample
			unknown, err := web.Decode(httptest.NewRequest(http.MethodPost, "/", strings.NewReader(tt.body)), &v)
			if tt.message == nil && err != nil {
				t.Fatal(err)
			}
			for _, part := range tt.message {
				if api.ErrorCode(err) != api.CodeInvalid || !strings.Contains(err.Error(), part) {
					t.Errorf("got error %v, want one with %q", err, part)
				}
			}
			if !slices.Equal(unknown, tt.unknown) {
				t.Errorf("unknown members %q, want %q", unknown, tt.unknown)
			}
		})
	}
}

func TestDecodeTooLarge(t *testing.T) {
	for _, size := range []int{web.MaxBody - 1, web.MaxBody, web.MaxBody + 1} {
		body := `"` + strings.Repeat("a", size-2) + `"`
		for _, known := range []bool{true, false} {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
			if !known {
				r.ContentLength = -1
			}
			var v string
			_, err := web.Decode(r, &v)
			if want := size >= web.MaxBody; (api.ErrorCode(err) == api.CodeTooLarge) != want || !want && err != nil {
				t.Errorf("size %d, length known %v: %v", size, known, err)
			}
		}
	}
}

func TestDecodeTooDeep(t *testing.T) {
	for depth, tooDeep := range map[int]bool{web.MaxDepth - 1: false, web.MaxDepth: true, 1_000_000: true} {
		for _, pair := range []string{"[]", "{}"} {
			open, end := pair[:1], pair[1:]
			if pair == "{}" {
				open = `{"a":`
			}
			body := `{"ignored":"[[\\\"[","Config":` + strings.Repeat(open, depth) + "1" + strings.Repeat(end, depth) + "}"
			var v struct{ Config any }
			_, err := web.Decode(httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)), &v)
			if got := api.ErrorCode(err) == api.CodeTooLarge; got != tooDeep || !tooDeep && err != nil {
				t.Errorf("%s %d deep: %v", pair, depth, err)
			}
		}
	}
	var v []any
	wide := "[" + strings.Repeat("[],{},", 1000) + "[]]"
	if _, err := web.Decode(httptest.NewRequest(http.MethodPost, "/", strings.NewReader(wide)), &v); err != nil {
		t.Errorf("wide is not deep: %v", err)
	}
}

func TestGuard(t *testing.T) {
	g := &web.Guard{Loopback: true, Hosts: []string{"box"}, Origins: []string{"https://ui.example.org"}}
	tests := []struct {
		name, method, host string
		header             map[string]string
		want               api.Code
	}{
		{"curl", "GET", "127.0.0.1:4646", nil, ""},
		{"curl -d", "POST", "localhost:4646", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, ""},
		{"own name", "GET", "box:4646", nil, ""},
		{"ipv6", "GET", "[::1]:4646", nil, ""},
		{"rebinding", "GET", "evil.example:4646", nil, api.CodeForbidden},
		{"rebinding, own origin", "GET", "evil.example:4646", map[string]string{"Origin": "http://evil.example:4646"}, api.CodeForbidden},
		{"own page", "POST", "localhost:4646", map[string]string{"Origin": "http://localhost:4646", "Content-Type": "application/json"}, ""},
		{"configured page", "POST", "localhost:4646", map[string]string{"Origin": "https://ui.example.org", "Content-Type": "application/json"}, ""},
		{"foreign page", "POST", "localhost:4646", map[string]string{"Origin": "http://evil.example", "Content-Type": "application/json"}, api.CodeForbidden},
		{"foreign websocket", "GET", "localhost:4646", map[string]string{"Origin": "http://evil.example", "Upgrade": "websocket"}, api.CodeForbidden},
		{"sandboxed page", "GET", "localhost:4646", map[string]string{"Origin": "null"}, api.CodeForbidden},
		{"other port of this host", "POST", "localhost:4646", map[string]string{"Origin": "http://localhost:3000", "Content-Type": "application/json"}, api.CodeForbidden},
		{"no origin, cross site", "POST", "localhost:4646", map[string]string{"Sec-Fetch-Site": "cross-site", "Content-Type": "application/json"}, api.CodeForbidden},
		{"link from elsewhere", "GET", "localhost:4646", map[string]string{"Sec-Fetch-Site": "cross-site"}, ""},
		{"form of own page", "POST", "localhost:4646", map[string]string{"Origin": "http://localhost:4646", "Content-Type": "text/plain;charset=UTF-8"}, api.CodeMediaType},
	}
	for _, tt := range tests {
		r := httptest.NewRequest(tt.method, "/v1/jobs", strings.NewReader("{}"))
		r.Host = tt.host
		for k, v := range tt.header {
			r.Header.Set(k, v)
		}
		if got := api.ErrorCode(g.Check(r)); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A page that came in the clear is not one of an agent with TLS. In front of an
// agent without, a proxy may have it.
func TestGuardWithTLS(t *testing.T) {
	g := &web.Guard{}
	for _, tt := range []struct {
		secure bool
		origin string
		want   api.Code
	}{
		{true, "https://agent.example.org", ""},
		{true, "http://agent.example.org", api.CodeForbidden},
		{true, "https://agent.example.org.evil", api.CodeForbidden},
		{false, "http://agent.example.org", ""},
		{false, "https://agent.example.org", ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/v1/jobs", nil)
		r.Host = "agent.example.org"
		r.Header.Set("Origin", tt.origin)
		if tt.secure {
			r.TLS = &tls.ConnectionState{}
		}
		if got := api.ErrorCode(g.Check(r)); got != tt.want {
			t.Errorf("%s, TLS %v: got %q, want %q", tt.origin, tt.secure, got, tt.want)
		}
	}
}

func TestServePanicsAndLog(t *testing.T) {
	var buf bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&buf, &slog.HandlerOptions{Level: slog.LevelDebug}))
	now := func() time.Time { return time.Unix(0, 0) }
	h := web.Serve(web.Config{Log: log, Now: now}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/panic" {
			panic("boom")
		}
		_, _ = io.WriteString(w, "ok")
	}))
	resp := get(t, h, "/panic")
	if got := text(t, resp); resp.StatusCode != 500 || strings.Contains(got, "boom") {
		t.Errorf("got %d %q", resp.StatusCode, got)
	}
	if !strings.Contains(buf.String(), "boom") {
		t.Errorf("the panic is not in the log: %s", &buf)
	}
	buf.Reset()
	get(t, h, "/v1/client/allocation/x/exec?command=hunter2")
	get(t, h, "/v1/jobs?prefix=seen")
	if s := buf.String(); strings.Contains(s, "hunter2") || !strings.Contains(s, "prefix=seen") {
		t.Errorf("log: %s", s)
	}
}

func TestStatusTable(t *testing.T) {
	for code, status := range map[api.Code]int{
		api.CodeInvalid: 400, api.CodeForbidden: 403, api.CodeNotFound: 404, api.CodeConflict: 409, api.CodeTooLarge: 413,
		api.CodeMethod: 405, api.CodeMediaType: 415, api.CodeLimited: 429, api.CodeUnavailable: 503, api.CodeUnsupported: 501, api.CodeInternal: 500,
	} {
		if code.Status() != status || api.CodeOfStatus(status) != code {
			t.Errorf("%s: status %d, back %s", code, code.Status(), api.CodeOfStatus(status))
		}
	}
	if api.CodeNotLeader.Status() != 500 || api.CodeOfStatus(200) != "" || api.CodeOfStatus(418) != api.CodeInvalid || api.CodeOfStatus(502) != api.CodeInternal {
		t.Error("the rest of the table is wrong")
	}
}
