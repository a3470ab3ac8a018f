package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
	"github.com/drover-org/drover/internal/logrotate"
	"pgregory.net/rapid"
)

// call sends a request and returns status and body.
func call(t *testing.T, method, url, body string) (int, string, http.Header) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

func TestOperations(t *testing.T) {
	w := newWorld(t, nil)
	a := w.run(forever(), func(_ *api.Allocation, g *api.TaskGroup) {
		g.Tasks = append(g.Tasks, &api.Task{Name: "init", Driver: "mock_driver", Lifecycle: &api.TaskLifecycle{Hook: api.HookPrestart}})
	})
	w.until(a.ID, func(u *api.AllocUpdate) bool { return u.TaskStates["main"].State == api.TaskStateRunning })
	s := w.server()
	alloc := s.URL + "/v1/client/allocation/" + a.ID
	for _, c := range []struct {
		method, url, body string
		status            int
		want              string
	}{
		{"PUT", alloc + "/signal", `{"Signal":"SIGHUP","Task":"main"}`, 200, "{}"},
		{"POST", alloc + "/signal", `{"Signal":"SIGHUP"}`, 409, `Task "init" is not running`},
		{"PUT", alloc + "/signal", `{"Task":"main"}`, 400, `"Signal" is required`},
		{"PUT", alloc + "/signal", `{"Signal":"SIGNOPE","Task":"main"}`, 400, `"SIGNOPE"`},
		{"PUT", alloc + "/signal", `{"Signal":"SIGHUP","Task":"x"}`, 400, `unknown task name "x"`},
		{"PUT", alloc + "/signal", ``, 400, "body is empty"},
		{"PUT", alloc + "/signal", `{"Signal":1}`, 400, "Signal"},
		{"GET", alloc + "/signal", ``, 405, "Invalid method"},
		{"PUT", alloc + "/restart", `{"Task":"main"}`, 200, "{}"},
		{"POST", alloc + "/restart", `{"TaskName":"init"}`, 409, "not running"},
		{"POST", alloc + "/restart", `{"TaskName":"x"}`, 400, `unknown task name "x"`},
		{"POST", alloc + "/restart", `{"TaskName":"main","Task":"init"}`, 400, "differ"},
		{"POST", alloc + "/restart", `{"TaskName":"main","AllTasks":true}`, 400, "task name cannot be set"},
		{"POST", alloc + "/restart", `{`, 400, "not valid JSON"},
		{"GET", alloc + "/checks", ``, 200, "{}"},
		{"GET", alloc + "/gc", ``, 409, "has not ended"},
		{"GET", s.URL + "/v1/client/allocation/" + api.NewID() + "/stats", ``, 404, "Unknown allocation"},
		{"GET", s.URL + "/v1/client/fs/ls", ``, 400, "must provide a valid alloc id"},
		{"GET", s.URL + "/v1/client/fs/nope/" + a.ID, ``, 404, ""},
		{"PUT", s.URL + "/v1/client/metadata", `{}`, 400, `"Meta" is required`},
		{"PUT", s.URL + "/v1/client/metadata", `{"Meta":{"rack":"r1"}}`, 200, `"Dynamic":{"rack":"r1"}`},
		{"GET", s.URL + "/v1/client/metadata", ``, 200, `"Meta":{"rack":"r1"}`},
		{"PUT", s.URL + "/v1/client/gc", ``, 200, ""},
	} {
		status, body, _ := call(t, c.method, c.url, c.body)
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s %s: %d %s, want %d %s", c.method, c.url, c.body, status, body, c.status, c.want)
		}
		w.until(a.ID, func(u *api.AllocUpdate) bool { return u.TaskStates["main"].State == api.TaskStateRunning })
	}
	if w.a.Node().Meta["rack"] != "r1" {
		t.Error("the node does not have the metadata")
	}
	u, _ := w.s.last(a.ID)
	if s := u.TaskStates["main"]; s.Restarts != 1 || !slices.Contains(kinds(s), api.EventRestartSignaled) {
		t.Errorf("state = %+v, %q", s, kinds(s))
	}

	status, body, _ := call(t, "PUT", alloc+"/restart", `{"AllTasks":true}`)
	if status != 200 {
		t.Errorf("%d %s", status, body)
	}
	w.until(a.ID, func(u *api.AllocUpdate) bool {
		return u.TaskStates["init"].Restarts == 1 && u.TaskStates["main"].State == api.TaskStateRunning && u.TaskStates["main"].StartedAt.After(u.TaskStates["init"].StartedAt)
	})

	w.assign(stopped(a))
	w.untilStatus(a.ID, api.AllocClientComplete)
	if status, body, _ := call(t, "PUT", alloc+"/restart", ``); status != 409 {
		t.Errorf("restart of an ended allocation: %d %s", status, body)
	}
	if status, body, _ := call(t, "PUT", alloc+"/gc", ``); status != 200 || body != "" {
		t.Errorf("gc: %d %s", status, body)
	}
	w.gone(a.ID)
	if status, body, _ := call(t, "GET", s.URL+"/v1/client/fs/ls/"+a.ID, ``); status != 404 || !strings.Contains(body, "not found on client") {
		t.Errorf("after gc: %d %s", status, body)
	}
}

func TestStats(t *testing.T) {
	w := newWorld(t, nil)
	a := w.run(forever())
	s := w.server()
	_, body, _ := call(t, "GET", s.URL+"/v1/client/allocation/"+a.ID+"/stats", "")
	var u api.AllocResourceUsage
	if err := json.Unmarshal([]byte(body), &u); err != nil || u.Tasks["main"] == nil || u.ResourceUsage.MemoryStats.RSS == 0 || u.Timestamp == 0 {
		t.Errorf("stats = %s, %v", body, err)
	}
	_, body, _ = call(t, "GET", s.URL+"/v1/client/allocation/"+a.ID+"/stats?task=x", "")
	if !strings.Contains(body, `"Tasks":{}`) {
		t.Errorf("of an unknown task: %s", body)
	}
	var h api.HostStats
	status, body, _ := call(t, "GET", s.URL+"/v1/client/stats", "")
	if err := json.Unmarshal([]byte(body), &h); err != nil || status != 200 || h.Memory.Total == 0 || len(h.CPU) == 0 || h.AllocDirStats == nil || h.Uptime == 0 {
		t.Errorf("host = %d %s, %v", status, body, err)
	}
}

func TestFiles(t *testing.T) {
	w := newWorld(t, nil)
	a := w.run(forever())
	s := w.server()
	local := filepath.Join(w.dir, "alloc", a.ID, "main", "local")
	for name, text := range map[string]string{"page.html": "<script>", "data": "0123456789", "../secrets/token": "s3cret"} {
		if err := os.WriteFile(filepath.Join(local, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../secrets/token", filepath.Join(local, "link")); err != nil {
		t.Fatal(err)
	}
	fs := func(verb, query string) string { return s.URL + "/v1/client/fs/" + verb + "/" + a.ID + "?" + query }
	for _, c := range []struct {
		url    string
		status int
		want   string
	}{
		{fs("ls", ""), 200, `"Name":"alloc"`},
		{fs("ls", "path=main/local"), 200, `"Name":"data","IsDir":false,"Size":10`},
		{fs("ls", "path=nope"), 404, "nope"},
		{fs("ls", "path=main/secrets"), 403, "prohibited"},
		{fs("stat", ""), 400, "must provide a file name"},
		{fs("stat", "path=main/local/page.html"), 200, `"ContentType":"text/html`},
		{fs("cat", "path=main/local/data"), 200, "0123456789"},
		{fs("cat", "path=main/local"), 400, "is a directory"},
		{fs("cat", "path=main/local/link"), 400, "symbolic link"},
		{fs("cat", "path=main/secrets/token"), 403, "prohibited"},
		{fs("cat", "path=../../x"), 400, "escapes"},
		{fs("readat", "path=main/local/data&offset=3&limit=4"), 200, "3456"},
		{fs("readat", "path=main/local/data&offset=8"), 200, "89"},
		{fs("readat", "path=main/local/data&offset=99"), 200, ""},
		{fs("readat", "path=main/local/data"), 400, `"offset" is required`},
		{fs("readat", "path=main/local/data&offset=-1"), 400, `"offset"`},
		{fs("stream", "path=main/local/data&follow=false&offset=7"), 200, `{"Offset":7,"Data":"Nzg5","File":"main/local/data"}`},
		{fs("stream", "path=main/local/data&follow=false&offset=2&origin=end"), 200, `{"Offset":8,"Data":"ODk=","File":"main/local/data"}`},
		{fs("stream", "path=main/local/data&follow=x"), 400, `"follow"`},
		{fs("stream", "path=main/local/data&origin=x"), 400, "origin must be start or end"},
		{fs("logs", ""), 400, "must provide task name"},
		{fs("logs", "task=main"), 400, "must provide log type"},
		{fs("logs", "task=x&type=stdout"), 400, `unknown task name "x"`},
	} {
		status, body, _ := call(t, "GET", c.url, "")
		if status != c.status || !strings.Contains(body, c.want) || strings.Contains(body, "s3cret") {
			t.Errorf("%s: %d %s, want %d %s", c.url, status, body, c.status, c.want)
		}
	}
	_, _, h := call(t, "GET", fs("cat", "path=main/local/page.html"), "")
	if !strings.HasPrefix(h.Get("Content-Type"), "text/plain") || h.Get("Content-Security-Policy") == "" || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers of a page = %v", h)
	}
}

// follower reads the frames of a stream.
type follower struct {
	t   *testing.T
	dec *json.Decoder
}

func follow(t *testing.T, url string) *follower {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return &follower{t, json.NewDecoder(resp.Body)}
}

// next returns the next frame that is no heartbeat.
func (f *follower) next() (api.StreamFrame, bool) {
	f.t.Helper()
	for {
		var frame api.StreamFrame
		if err := f.dec.Decode(&frame); err != nil {
			return frame, false
		}
		if frame.Data != nil || frame.FileEvent != "" {
			return frame, true
		}
	}
}

func TestFollowFile(t *testing.T) {
	w := newWorld(t, nil)
	a := w.run(forever())
	s := w.server()
	name := filepath.Join(w.dir, "alloc", a.ID, "main", "local", "data")
	write := func(flag int, text string) {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|flag, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = f.WriteString(text)
		_ = f.Close()
	}
	write(os.O_TRUNC, "one")
	f := follow(t, s.URL+"/v1/client/fs/stream/"+a.ID+"?path=main/local/data")
	expect := func(data, event string, offset int64) {
		t.Helper()
		if frame, ok := f.next(); !ok || string(frame.Data) != data || frame.FileEvent != event || frame.Offset != offset {
			t.Errorf("frame = %+v %q, want %q %q", frame, frame.Data, data, event)
		}
	}
	expect("one", "", 0)
	write(os.O_APPEND, "two")
	expect("two", "", 3)
	write(os.O_TRUNC, "")
	expect("", api.FileTruncated, 0)
	write(os.O_APPEND, "new")
	expect("new", "", 0)
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	expect("", api.FileDeleted, 0)
	if _, ok := f.next(); ok {
		t.Error("the stream goes on")
	}
}

// TestFollowLogs follows a task from before its first output to its end.
func TestFollowLogs(t *testing.T) {
	w := newWorld(t, nil)
	a := w.run(map[string]any{"run_for": "200ms", "stdout_string": "line\n", "stdout_repeat": 5, "stdout_repeat_duration": "20ms"})
	s := w.server()
	f := follow(t, s.URL+"/v1/client/fs/logs/"+a.ID+"?task=main&type=stdout&follow=true")
	var got bytes.Buffer
	for {
		frame, ok := f.next()
		if !ok {
			break // the task has ended
		}
		if frame.Offset != int64(got.Len()) || frame.File != "alloc/logs/main.stdout.0" {
			t.Errorf("frame = %+v", frame)
		}
		got.Write(frame.Data)
	}
	_, plain, h := call(t, "GET", s.URL+"/v1/client/fs/logs/"+a.ID+"?task=main&type=stdout&plain=true", "")
	if got.String() != plain || !strings.HasPrefix(plain, "line\n") || !strings.HasPrefix(h.Get("Content-Type"), "text/plain") {
		t.Errorf("followed %q, plain %q", got.String(), plain)
	}
	_, end, _ := call(t, "GET", s.URL+"/v1/client/fs/logs/"+a.ID+"?task=main&type=stdout&plain=true&origin=end&offset=3", "")
	if end != "ne\n" {
		t.Errorf("the end is %q", end)
	}
}

// TestFollowBeforeStart follows a task that has not started: without follow
// that is an error, with it the caller waits.
func TestFollowBeforeStart(t *testing.T) {
	w := newWorld(t, nil)
	a := w.alloc(map[string]any{"run_for": "1ms", "stdout_string": "hello"}, func(_ *api.Allocation, g *api.TaskGroup) {
		g.Tasks = append(g.Tasks, &api.Task{Name: "init", Driver: "mock_driver", Config: map[string]any{"run_for": "150ms"}, Lifecycle: &api.TaskLifecycle{Hook: api.HookPrestart}})
	})
	w.assign(a)
	w.untilStatus(a.ID, api.AllocClientRunning) // init runs, main waits
	url := w.server().URL + "/v1/client/fs/logs/" + a.ID + "?type=stdout&task=main"
	if status, body, _ := call(t, "GET", url, ""); status != 404 || !strings.Contains(body, "not started yet") {
		t.Errorf("without follow: %d %s", status, body)
	}
	if _, body, _ := call(t, "GET", url+"&follow=true&plain=true", ""); body != "hello" {
		t.Errorf("with follow: %q", body)
	}
}

// TestLogRotation writes random lines through rotating files while they are
// read, and wants each byte once and in order.
func TestLogRotation(t *testing.T) {
	w := newWorld(t, nil)
	a := w.run(forever())
	r := w.a.runner(a.ID)
	logs, err := os.OpenRoot(filepath.Join(w.dir, "alloc", a.ID, "alloc", "logs"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = logs.Close() }()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		task := "prop" + strconv.Itoa(n)
		out, err := logrotate.Open(logrotate.Config{Dir: logs, Name: task + ".stdout", MaxFiles: 1000, MaxSize: int64(rapid.IntRange(16, 200).Draw(rt, "size"))})
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = out.Close() }()
		set := &logSet{dir: r.dir, prefix: task + ".stdout."}
		defer set.close()
		var want, got bytes.Buffer
		buf := make([]byte, rapid.IntRange(1, 64).Draw(rt, "buffer"))
		read := func(times int) {
			for range times {
				k, err := set.read(buf)
				if err != nil {
					rt.Fatal(err)
				}
				if k == 0 {
					return
				}
				got.Write(buf[:k])
			}
		}
		for i := range rapid.IntRange(1, 60).Draw(rt, "lines") {
			line := fmt.Sprintf("%d %s\n", i, strings.Repeat("x", rapid.IntRange(0, 40).Draw(rt, "length")))
			if _, err := out.Write([]byte(line)); err != nil {
				rt.Fatal(err)
			}
			want.WriteString(line)
			read(rapid.IntRange(0, 5).Draw(rt, "reads"))
		}
		read(1 << 20)
		if got.String() != want.String() {
			rt.Fatalf("read %q\nwant %q", got.String(), want.String())
		}
		// From any offset, counted over all files, comes the rest.
		offset := int64(rapid.IntRange(0, want.Len()).Draw(rt, "offset"))
		tail := &logSet{dir: r.dir, prefix: set.prefix}
		defer tail.close()
		files, err := tail.list()
		if err != nil {
			rt.Fatal(err)
		}
		tail.seek(files, span{offset: offset})
		set, got = tail, bytes.Buffer{}
		read(1 << 20)
		if got.String() != want.String()[offset:] {
			rt.Fatalf("from %d: %q\nwant %q", offset, got.String(), want.String()[offset:])
		}
		for _, f := range files {
			_ = logs.Remove(fmt.Sprintf("%s.stdout.%d", task, f.index))
		}
	})
}

// TestLogsResume breaks a stream of a log anywhere, removes old files as
// rotation does, and goes on: each byte comes once, or its absence is told.
func TestLogsResume(t *testing.T) {
	w := newWorld(t, nil)
	a := w.run(forever())
	dir := filepath.Join(w.dir, "alloc", a.ID, "alloc", "logs")
	c, err := client.New(client.Config{Address: w.server().URL})
	if err != nil {
		t.Fatal(err)
	}
	open := func(rt *rapid.T, o client.StreamOptions) *client.Stream {
		st, err := c.FS().Logs(t.Context(), a.ID, "main", client.Stderr, o)
		if err != nil {
			rt.Fatal(err)
		}
		return st
	}
	rapid.Check(t, func(rt *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(0, 9), 1, 6).Draw(rt, "sizes")
		first := rapid.IntRange(0, 3).Draw(rt, "first")
		name := func(i int) string { return filepath.Join(dir, fmt.Sprintf("main.stderr.%d", first+i)) }
		var all string
		ends := make([]int, len(sizes)) // of the files, in the whole text
		for i, n := range sizes {
			text := strings.Repeat(string(rune('a'+i)), n)
			all += text
			ends[i] = len(all)
			if err := os.WriteFile(name(i), []byte(text), 0o600); err != nil {
				rt.Fatal(err)
			}
		}
		defer func() {
			for i := range sizes {
				_ = os.Remove(name(i))
			}
		}()
		o := client.StreamOptions{Offset: int64(rapid.IntRange(0, len(all)).Draw(rt, "offset"))}
		st := open(rt, o)
		begin := make([]byte, rapid.IntRange(0, len(all)-int(o.Offset)).Draw(rt, "length"))
		if _, err := io.ReadFull(st, begin); err != nil || !strings.HasPrefix(all[o.Offset:], string(begin)) {
			rt.Fatalf("from %d: %q, %v", o.Offset, begin, err)
		}
		rest := st.Resume(false)
		_ = st.Close()
		at := int(o.Offset) + len(begin)
		removed := rapid.IntRange(0, len(sizes)-1).Draw(rt, "removed")
		for i := range removed {
			_ = os.Remove(name(i))
		}
		st = open(rt, rest)
		defer func() { _ = st.Close() }()
		var got, told string
		for {
			f, err := st.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				rt.Fatal(err)
			}
			got += string(f.Data)
			if f.FileEvent != "" {
				told += f.FileEvent + " " + f.File
			}
		}
		kept := 0 // where what is left begins
		if removed > 0 {
			kept = ends[removed-1]
		}
		if want := all[max(at, kept):]; got != want {
			rt.Fatalf("after %d bytes and the removal of %d files of %v: %q, want %q", at, removed, sizes, got, want)
		}
		if at < kept && got != "" && !strings.HasPrefix(told, api.FileDeleted+" alloc/logs/main.stderr.") {
			rt.Fatalf("%d bytes are missing, told %q", kept-at, told)
		}
		if at > kept && told != "" {
			rt.Fatalf("nothing is missing, told %q", told)
		}
	})
	for _, bad := range []string{"1", "x:1", "1:x", "-1:0", "1:0&offset=3", "1:0&origin=end"} {
		status, body, _ := call(t, "GET", w.server().URL+"/v1/client/fs/logs/"+a.ID+"?task=main&type=stdout&from="+bad, "")
		if status != 400 || !strings.Contains(body, "from ") {
			t.Errorf("from=%s: %d %s", bad, status, body)
		}
	}
}

func TestStreamBound(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxStreams = 1 })
	a := w.run(forever())
	s := w.server()
	name := filepath.Join(w.dir, "alloc", a.ID, "main", "local", "data")
	if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	url := s.URL + "/v1/client/fs/stream/" + a.ID + "?path=main/local/data"
	f := follow(t, url)
	if _, ok := f.next(); !ok {
		t.Fatal("no frame")
	}
	if status, body, _ := call(t, "GET", url, ""); status != 429 {
		t.Errorf("%d %s", status, body)
	}
	if status, _, _ := call(t, "GET", url+"&follow=false", ""); status != 200 {
		t.Errorf("without follow: %d", status)
	}
}
