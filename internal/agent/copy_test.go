package agent

import (
	"archive/tar"
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drover-org/drover/api"
)

// tarOf makes an archive of files and their text.
func tarOf(t *testing.T, files ...string) *bytes.Buffer {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1])), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &buf
}

// Files go in and come out, into directories and under new names; what tasks
// and drivers keep to themselves is neither read nor written, nor are logs
// written, and nothing leads out.
func TestCopy(t *testing.T) {
	w := newWorld(t, nil)
	a := w.alloc(map[string]any{"run_for": "1h"})
	a.AllocatedResources = &api.AllocatedResources{Shared: api.AllocatedSharedResources{DiskMB: 1}}
	w.assign(a)
	w.untilStatus(a.ID, api.AllocClientRunning)
	s := w.server()
	base := s.URL + "/v1/client/allocation/" + a.ID + "/copy?path="
	put := func(path string, body io.Reader) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, base+path, body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
	for _, c := range []struct {
		path   string
		files  []string
		status int
		want   string
	}{
		{"main/local", []string{"in/a", "alpha", "in/b", "beta"}, 200, `{"Files":2,"Bytes":9}`},
		{"alloc/data/renamed", []string{"x", "one"}, 200, `{"Files":1,"Bytes":3}`},
		{"alloc/data/renamed", []string{"x", "two"}, 200, `{"Files":1,"Bytes":3}`},
		{"", []string{"x", ""}, 400, `"path"`},
		{"alloc/data/none/", []string{"x", ""}, 404, "does not exist"},
		{"alloc/data/none/x", []string{"x", ""}, 404, "does not exist"},
		{"main/local", []string{"../../x", ""}, 400, "leads out"},
		{"main/../..", []string{"x", ""}, 400, "Path escapes"},
		{"main/secrets", []string{"x", ""}, 403, "prohibited"},
		{"main", []string{"secrets/x", ""}, 403, "must not be written"},
		{"alloc/logs", []string{"main.stdout.0", ""}, 403, "must not be written"},
		{"/", []string{"x", ""}, 403, "must not be written"},
		{"main/local", []string{"big", strings.Repeat("x", 1<<20+1)}, 413, "more than 1 MiB"},
	} {
		if status, text := put(c.path, tarOf(t, c.files...)); status != c.status || !strings.Contains(text, c.want) {
			t.Errorf("put %q %q: %d %s; want %d %s", c.path, c.files[0], status, text, c.status, c.want)
		}
	}
	if status, text := put("main/local", strings.NewReader(strings.Repeat("x", 600))); status != 400 || !strings.Contains(text, "tar archive") {
		t.Errorf("%d %s", status, text)
	}
	if err := os.Symlink("/etc", filepath.Join(w.dir, "alloc", a.ID, "main", "local", "etc")); err != nil {
		t.Fatal(err)
	}
	if status, text := put("main/local/etc/x", tarOf(t, "x", "")); status != 400 || !strings.Contains(text, "symbolic link") {
		t.Errorf("%d %s", status, text)
	}

	get := func(path string) (int, string) {
		t.Helper()
		resp, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != 200 {
			b, _ := io.ReadAll(resp.Body)
			return resp.StatusCode, string(b)
		}
		var names []string
		r := tar.NewReader(resp.Body)
		for {
			h, err := r.Next()
			if err != nil {
				break
			}
			b, _ := io.ReadAll(r)
			names = append(names, strings.TrimSpace(h.Name+" "+string(b)))
		}
		return 200, strings.Join(names, ", ")
	}
	for _, c := range []struct {
		path   string
		status int
		want   string
	}{
		{"main/local/in", 200, "in/, in/a alpha, in/b beta"},
		{"alloc/data/renamed", 200, "renamed two"},
		{"main/local/etc", 200, "etc"}, // the link itself
		{"main/secrets", 403, "prohibited"},
		{"none", 404, "does not exist"},
		{"", 400, `"path"`},
		{"../x", 400, "Path escapes"},
	} {
		if status, text := get(c.path); status != c.status || !strings.Contains(text, c.want) {
			t.Errorf("get %q: %d %s; want %d %s", c.path, status, text, c.status, c.want)
		}
	}
	if _, text := get("/"); strings.Contains(text, "secrets") || strings.Contains(text, ".state") || !strings.Contains(text, a.ID+"/main/local/in/a alpha") {
		t.Errorf("the root: %s", text)
	}
}
