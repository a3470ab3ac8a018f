package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
)

var wide = Limits{Bytes: 1 << 30, Entries: 1000}

func open(t testing.TB, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root
}

func write(t *testing.T, name, text string, mode fs.FileMode) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o600), os.Chmod(name, mode)); err != nil {
		t.Fatal(err)
	}
}

// tree describes what is below a directory.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		info, err := d.Info()
		if err != nil {
			return err
		}
		line := rel + " " + info.Mode().String()
		switch {
		case info.Mode().IsRegular():
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			line += " " + string(b)
		case info.Mode()&fs.ModeSymlink != 0:
			to, _ := os.Readlink(p)
			line += " -> " + to
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// A tree arrives as it was: permissions, times, links; not what is hidden or
// special, and not set-user-ID.
func TestRoundTrip(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	write(t, src+"/d/a", "alpha", 0o640)
	write(t, src+"/d/e/run", "#!", 0o755|fs.ModeSetuid)
	write(t, src+"/d/ro/x", "x", 0o400)
	write(t, src+"/d/secrets/key", "hidden", 0o600)
	old := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	l, err := net.Listen("unix", src+"/d/socket")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = errors.Join(os.Symlink("../a", src+"/d/e/up"), os.Symlink("/etc/passwd", src+"/d/abs"), os.Symlink("../../etc", src+"/d/out"),
		os.Chmod(src+"/d/ro", 0o555), os.Chtimes(src+"/d/a", old, old))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(src+"/d/ro", 0o755); _ = os.Chmod(dst+"/new/ro", 0o755) })
	var buf bytes.Buffer
	sent, err := Write(t.Context(), &buf, open(t, src), "d", "d", func(p string) bool { return p == "secrets" }, wide)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(sent.Skipped, " ") != "d/secrets d/socket" {
		t.Errorf("skipped %q", sent.Skipped)
	}
	got, err := Extract(t.Context(), &buf, open(t, dst), Options{Limits: wide, As: "new"})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(got.Skipped, " ") != "new/abs new/out" {
		t.Errorf("skipped %q", got.Skipped)
	}
	want := `new drwxr-xr-x
new/a -rw-r----- alpha
new/e drwxr-xr-x
new/e/run -rwxr-xr-x #!
new/e/up Lrwxrwxrwx -> ../a
new/ro dr-xr-xr-x
new/ro/x -r-------- x`
	if text := tree(t, dst); text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	if info, err := os.Stat(dst + "/new/a"); err != nil || !info.ModTime().Equal(old) {
		t.Errorf("time: %v, %v", info.ModTime(), err)
	}
}

type entry struct {
	name, link string
	kind       byte
	size       int
}

func archiveOf(t testing.TB, list ...entry) *bytes.Buffer {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range list {
		h := &tar.Header{Name: e.name, Linkname: e.link, Typeflag: e.kind, Size: int64(e.size), Mode: 0o644}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, e.size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &buf
}

// Nothing that an archive says leads out of where it is unpacked.
func TestExtractRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		list []entry
		want string
		o    Options
	}{
		"up":              {[]entry{{name: "../evil", kind: tar.TypeReg}}, "leads out", Options{}},
		"up inside":       {[]entry{{name: "a/../../evil", kind: tar.TypeReg}}, "leads out", Options{}},
		"absolute":        {[]entry{{name: "/evil", kind: tar.TypeReg}}, "leads out", Options{}},
		"hard link":       {[]entry{{name: "a", link: "../outside", kind: tar.TypeLink}}, "hard link", Options{}},
		"over a link":     {[]entry{{name: "l", link: "d", kind: tar.TypeSymlink}, {name: "l/evil", kind: tar.TypeReg}}, "symbolic link", Options{}},
		"existing link":   {[]entry{{name: "out/evil", kind: tar.TypeReg}}, "symbolic link", Options{}},
		"dir over a link": {[]entry{{name: "out/", kind: tar.TypeDir}}, "symbolic link", Options{}},
		"file over dir":   {[]entry{{name: "dir", kind: tar.TypeReg}}, "is a directory", Options{}},
		"dir over file":   {[]entry{{name: "file/", kind: tar.TypeDir}}, "no directory", Options{}},
		"too large":       {[]entry{{name: "a", kind: tar.TypeReg, size: 11}}, "MiB", Options{Limits: Limits{Bytes: 10, Entries: 5}}},
		"too many":        {[]entry{{name: "a/", kind: tar.TypeDir}, {name: "b/", kind: tar.TypeDir}}, "more than 1 files", Options{Limits: Limits{Bytes: 10, Entries: 1}}},
		"too deep":        {[]entry{{name: strings.Repeat("d/", 102) + "x", kind: tar.TypeReg}}, "nested", Options{}},
		"two under one":   {[]entry{{name: "a", kind: tar.TypeReg}, {name: "b", kind: tar.TypeReg}}, "beside", Options{As: "c"}},
		"hidden":          {[]entry{{name: "a/secrets/k", kind: tar.TypeReg}}, "must not be written", Options{Hidden: func(p string) bool { return strings.HasPrefix(p, "a/secrets") }}},
	} {
		base := t.TempDir()
		dst := base + "/dst"
		write(t, dst+"/dir/x", "", 0o600)
		write(t, dst+"/file", "", 0o600)
		if err := os.Symlink("..", dst+"/out"); err != nil {
			t.Fatal(err)
		}
		if c.o.Limits.Entries == 0 {
			c.o.Limits = wide
		}
		_, err := Extract(t.Context(), archiveOf(t, c.list...), open(t, dst), c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) || api.ErrorCode(err) == api.CodeInternal {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if _, err := os.Lstat(base + "/evil"); err == nil {
			t.Errorf("%s: it led out", name)
		}
	}
	for _, text := range []string{"no archive at all, but long enough to be read as a header" + strings.Repeat("x", 1000), archiveOf(t, entry{name: "a", kind: tar.TypeReg, size: 5000}).String()[:2000]} {
		if _, err := Extract(t.Context(), strings.NewReader(text), open(t, t.TempDir()), Options{Limits: wide}); api.ErrorCode(err) != api.CodeInvalid {
			t.Errorf("%.10q: %v", text, err)
		}
	}
}

// What is there is replaced and not written through.
func TestExtractReplaces(t *testing.T) {
	base := t.TempDir()
	write(t, base+"/outside", "safe", 0o600)
	write(t, base+"/dst/old", "old", 0o600)
	if err := os.Symlink("../outside", base+"/dst/link"); err != nil {
		t.Fatal(err)
	}
	_, err := Extract(t.Context(), archiveOf(t, entry{name: "link", kind: tar.TypeReg}, entry{name: "old", kind: tar.TypeReg}, entry{name: "dev", kind: tar.TypeChar}), open(t, base+"/dst"), Options{Limits: wide})
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(base + "/outside"); string(b) != "safe" {
		t.Error("a link was written through")
	}
	if got := tree(t, base+"/dst"); got != "link -rw-r--r-- \nold -rw-r--r-- " {
		t.Errorf("%s", got)
	}
}

func TestWriteBounds(t *testing.T) {
	src := t.TempDir()
	write(t, src+"/d/a", "12345", 0o600)
	write(t, src+"/d/b", "12345", 0o600)
	for _, l := range []Limits{{Bytes: 9, Entries: 10}, {Bytes: 10, Entries: 2}, {Bytes: 10, Entries: 1}} {
		if _, err := Write(t.Context(), io.Discard, open(t, src), "d", "d", nil, l); api.ErrorCode(err) != api.CodeTooLarge {
			t.Errorf("%+v: %v", l, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Write(ctx, io.Discard, open(t, src), "d", "d", nil, wide); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// FuzzExtract unpacks anything that may come and looks whether something came
// to be outside.
func FuzzExtract(f *testing.F) {
	f.Add(archiveOf(f, entry{name: "a/b", kind: tar.TypeReg, size: 3}, entry{name: "l", link: "a", kind: tar.TypeSymlink}).Bytes())
	f.Add(archiveOf(f, entry{name: "l", link: "..", kind: tar.TypeSymlink}, entry{name: "l/x", kind: tar.TypeReg}).Bytes())
	f.Add(archiveOf(f, entry{name: "a/l", link: "../..", kind: tar.TypeSymlink}, entry{name: "../x", kind: tar.TypeReg}).Bytes())
	f.Fuzz(func(t *testing.T, in []byte) {
		base := t.TempDir()
		if err := os.Mkdir(base+"/dst", 0o755); err != nil {
			t.Fatal(err)
		}
		_, _ = Extract(t.Context(), bytes.NewReader(in), open(t, base+"/dst"), Options{Limits: Limits{Bytes: 1 << 20, Entries: 50}})
		list, err := os.ReadDir(base)
		if err != nil || len(list) != 1 {
			t.Errorf("%v, %v", list, err)
		}
	})
}
