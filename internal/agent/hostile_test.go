package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a task wrote is never a page or a script to a browser, through whatever
// endpoint and under whatever name it is read.
func TestFilesAreNeverPages(t *testing.T) {
	w := newWorld(t, nil)
	a := w.run(forever())
	s := w.server()
	dir := filepath.Join(w.dir, "alloc", a.ID)
	const page = "<html><script>alert(1)</script>"
	names := []string{"page.html", "page.svg", "page.xml", "page.js", "page", "page.xhtml", "page.pdf", "page.mht", `a";b.html`}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, "main", "local", name), []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "alloc", "logs", "main.stdout.0"), []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	urls := []string{"logs/" + a.ID + "?task=main&type=stdout", "logs/" + a.ID + "?task=main&type=stdout&plain=true"}
	for _, name := range names {
		file := "/" + a.ID + "?path=main/local/" + strings.ReplaceAll(strings.ReplaceAll(name, ";", "%3B"), `"`, "%22")
		urls = append(urls, "cat"+file, "readat"+file+"&offset=0&limit=100", "stream"+file+"&follow=false", "stream"+file+"&follow=false&plain=true", "stat"+file)
	}
	for _, url := range urls {
		status, _, h := call(t, "GET", s.URL+"/v1/client/fs/"+url, "")
		kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
		if status != 200 || kind != "text/plain" && kind != "application/json" && kind != "application/octet-stream" {
			t.Errorf("%s: %d, %q", url, status, h.Get("Content-Type"))
		}
		if kind != "application/json" && h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: a browser may guess: %v", url, h)
		}
	}
}

// A task that may write to its log folder can't make the agent read something
// else for it.
func TestSwappedLogFile(t *testing.T) {
	w := newWorld(t, nil)
	a := w.run(forever())
	s := w.server()
	logs := filepath.Join(w.dir, "alloc", a.ID, "alloc", "logs")
	outside := filepath.Join(w.dir, "shadow")
	if err := os.WriteFile(outside, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(w.dir, "alloc", a.ID, "main", "secrets", "token")
	if err := os.WriteFile(secret, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{outside, "../../main/secrets/token", "../../../../shadow", "/dev/zero"} {
		for _, file := range []string{"main.stdout.0", "main.stdout.7"} {
			name := filepath.Join(logs, file)
			_ = os.Remove(name)
			if err := os.Symlink(target, name); err != nil {
				t.Fatal(err)
			}
			for _, how := range []string{"", "&plain=true", "&origin=end&offset=6"} {
				if _, body, _ := call(t, "GET", s.URL+"/v1/client/fs/logs/"+a.ID+"?task=main&type=stdout"+how, ""); strings.Contains(body, "s3cret") || strings.Contains(body, "czNjcmV0") {
					t.Errorf("%s -> %s came out: %s", file, target, body)
				}
			}
			_ = os.Remove(name)
		}
	}
	// The whole folder.
	if err := os.Rename(logs, logs+".aside"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../main/secrets", logs); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(secret), "main.stdout.0"), []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, body, _ := call(t, "GET", s.URL+"/v1/client/fs/logs/"+a.ID+"?task=main&type=stdout&plain=true", ""); strings.Contains(body, "s3cret") {
		t.Errorf("a secret came out of a folder that was swapped: %s", body)
	}
}
