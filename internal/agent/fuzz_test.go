package agent

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/agent/allocdir"
)

// FuzzLogOffsets holds the reading of rotated logs from any place against the
// text that was written.
func FuzzLogOffsets(f *testing.F) {
	f.Add([]byte{3, 5, 0, 2}, int64(4), false, uint8(3))
	f.Add([]byte{0, 0, 1}, int64(1), true, uint8(1))
	f.Add([]byte{}, int64(0), false, uint8(0))
	f.Add([]byte{200}, int64(1<<62), true, uint8(255))
	f.Add([]byte{10, 10}, int64(1<<62), false, uint8(7))
	f.Fuzz(func(t *testing.T, sizes []byte, offset int64, fromEnd bool, chunk uint8) {
		if len(sizes) > 8 || offset < 0 {
			return
		}
		parent, id := t.TempDir(), api.NewID()
		tree, err := allocdir.NewTree(parent)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tree.Close() }()
		root := filepath.Join(parent, id)
		if err := os.MkdirAll(filepath.Join(root, filepath.FromSlash(logsDir)), 0o755); err != nil {
			t.Fatal(err)
		}
		var all []byte
		first := 3 // the oldest have been removed
		for i, n := range sizes {
			text := bytes.Repeat([]byte{'a' + byte(i)}, int(n))
			all = append(all, text...)
			if err := os.WriteFile(filepath.Join(root, filepath.FromSlash(logsDir), fmt.Sprintf("t.stdout.%d", first+i)), text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		dir, err := tree.Dir(id)
		if err != nil {
			t.Fatal(err)
		}
		set := &logSet{dir: dir, prefix: "t.stdout."}
		defer set.close()
		files, err := set.list()
		if err != nil || len(files) != len(sizes) {
			t.Fatalf("%d files, %v", len(files), err)
		}
		where := span{offset: offset, fromEnd: fromEnd}
		set.seek(files, where)
		from := offset
		if fromEnd {
			from = int64(len(all)) - min(offset, int64(len(all)))
		}
		var got []byte
		p := make([]byte, int(chunk)+1)
		for {
			at := set.offset
			n, err := set.read(p)
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				break
			}
			if want := from + int64(len(got)); at != want {
				t.Fatalf("a frame says it begins at %d, and it does at %d", at, want)
			}
			got = append(got, p[:n]...)
		}
		if want := all[min(from, int64(len(all))):]; !bytes.Equal(got, want) {
			t.Fatalf("from %d (end: %t) of %d bytes in %v: %q, want %q", offset, fromEnd, len(all), sizes, got, want)
		}
	})
}

// FuzzFileParameters holds that no parameters of the routes for files and logs
// make the node fail or lead it out of the allocation's directory.
func FuzzFileParameters(f *testing.F) {
	for _, s := range []string{"", "path=/", "path=alloc/logs", "path=../../../../etc/passwd", "path=%2e%2e%2fsecret", "path=main/local/out", "path=\x00", "path=a/./../main/local/out",
		"path=main/local/out&offset=1&limit=2", "path=main/local/out&offset=-1", "path=main/local/out&offset=9223372036854775807&limit=9223372036854775807", "path=main/secrets/token&offset=0",
		"path=main/local/link&offset=0", "path=main/local/out2", "task=main&type=stdout", "task=../main&type=stdout", "task=main&type=stdout&plain=true&offset=5&origin=end", "task=main&type=x", "origin=middle", "follow=maybe",
		"task=main&type=stderr&origin=end&offset=9223372036854775807", "path=main//local///out"} {
		for verb := range uint8(6) {
			f.Add(verb, s)
		}
	}
	w := newWorld(f, nil)
	a := w.run(forever())
	local := filepath.Join(w.dir, "alloc", a.ID, "main", "local")
	for name, text := range map[string]string{"out": "0123456789", "../secrets/token": "s3cret", "../../alloc/logs/main.stdout.0": "line\n"} {
		if err := os.WriteFile(filepath.Join(local, filepath.FromSlash(name)), []byte(text), 0o600); err != nil {
			f.Fatal(err)
		}
	}
	for name, to := range map[string]string{"link": "../secrets/token", "out2": "/etc/passwd"} {
		if err := os.Symlink(to, filepath.Join(local, name)); err != nil {
			f.Fatal(err)
		}
	}
	h := w.a.Handler()
	gone, cancel := context.WithCancel(context.Background()) // what follows ends at once
	cancel()
	verbs := []string{"ls", "stat", "cat", "readat", "stream", "logs"}
	f.Fuzz(func(t *testing.T, verb uint8, query string) {
		r := httptest.NewRequest("GET", "/v1/client/fs/"+verbs[int(verb)%len(verbs)]+"/"+a.ID, nil).WithContext(gone)
		r.URL.RawQuery = query
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		body := rec.Body.String()
		if rec.Code >= 500 {
			t.Fatalf("%d %s", rec.Code, body)
		}
		if strings.Contains(body, "s3cret") || strings.Contains(body, "czNjcmV0") || strings.Contains(body, "root:") {
			t.Fatalf("it led out: %s", body)
		}
	})
}
