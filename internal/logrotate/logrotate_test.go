package logrotate

import (
	"bytes"
	"os"
	"testing"

	"pgregory.net/rapid"
)

func openRoot(t interface {
	Fatal(...any)
	Cleanup(func())
}, dir string) *os.Root {
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// contents returns the files in order.
func contents(t interface{ Fatal(...any) }, w *Writer) (indexes []int, files [][]byte) {
	indexes, err := w.indexes()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range indexes {
		b, err := w.cfg.Dir.ReadFile(w.name(i))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, b)
	}
	return indexes, files
}

func TestWriterKeepsLinesWhole(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		cfg := Config{
			Dir:      openRoot(rt, dir),
			Name:     "web.stdout",
			MaxFiles: rapid.IntRange(1, 4).Draw(rt, "files"),
			MaxSize:  int64(rapid.IntRange(1, 60).Draw(rt, "size")),
		}
		w, err := Open(cfg)
		if err != nil {
			rt.Fatal(err)
		}
		var all []byte
		for range rapid.IntRange(0, 60).Draw(rt, "writes") {
			chunk := rapid.SliceOfN(rapid.SampledFrom([]byte("ab\n")), 0, 50).Draw(rt, "chunk")
			before, rotates := w.Position(), w.Rotates(chunk)
			if n, err := w.Write(chunk); err != nil || n != len(chunk) {
				rt.Fatalf("Write: %d of %d, %v", n, len(chunk), err)
			}
			all = append(all, chunk...)
			if rotates && w.pos.Index == before.Index {
				rt.Fatalf("Rotates(%q) at %v, but the file is the same", chunk, before)
			}
			if since, err := w.Since(before); err != nil {
				rt.Fatal(err)
			} else if w.pos.Index-before.Index < cfg.MaxFiles && since != int64(len(chunk)) {
				rt.Fatalf("Since(%v) = %d after %d bytes", before, since, len(chunk))
			}
			if rapid.IntRange(0, 3).Draw(rt, "reopen") == 0 {
				pos, line := w.pos, w.line
				w.Close()
				if w, err = Open(cfg); err != nil {
					rt.Fatal(err)
				}
				if w.pos != pos || w.line != line {
					rt.Fatalf("reopened at %v line %d, was at %v line %d", w.pos, w.line, pos, line)
				}
			}
		}
		defer w.Close()
		indexes, files := contents(rt, w)
		if len(files) > cfg.MaxFiles {
			rt.Fatalf("%d files, at most %d wanted", len(files), cfg.MaxFiles)
		}
		if !bytes.HasSuffix(all, bytes.Join(files, nil)) {
			rt.Fatalf("files hold %q, which is not the end of %q", files, all)
		}
		if indexes[0] == 0 && !bytes.Equal(all, bytes.Join(files, nil)) {
			rt.Fatalf("nothing was removed but %q is not %q", files, all)
		}
		for i, f := range files {
			if int64(len(f)) >= 2*cfg.MaxSize && len(f) > 1 {
				rt.Fatalf("file %d holds %d bytes, size is %d", i, len(f), cfg.MaxSize)
			}
			if i+1 < len(files) && !bytes.HasSuffix(f, []byte("\n")) && longestLine(all) <= int(cfg.MaxSize) {
				rt.Fatalf("file %d ends inside a line: %q", i, f)
			}
		}
	})
}

func longestLine(p []byte) int {
	longest := 0
	for line := range bytes.Lines(p) {
		longest = max(longest, len(line))
	}
	return longest
}

func TestOpenStaysInsideItsDirectory(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()+"/target"
	if err := os.Symlink(outside, dir+"/web.stdout.0"); err != nil {
		t.Fatal(err)
	}
	w, err := Open(Config{Dir: openRoot(t, dir), Name: "web.stdout", MaxFiles: 1, MaxSize: 10})
	if err == nil {
		w.Close()
		t.Fatal("a link out of the directory was opened")
	}
	if _, err := os.Stat(outside); err == nil {
		t.Fatal("a file was created outside the directory")
	}
}

func TestOpenRefusesEmptyBounds(t *testing.T) {
	if _, err := Open(Config{Dir: openRoot(t, t.TempDir()), Name: "x", MaxFiles: 0, MaxSize: 1}); err == nil {
		t.Error("0 files accepted")
	}
	if _, err := Open(Config{Dir: openRoot(t, t.TempDir()), Name: "x", MaxFiles: 1, MaxSize: 0}); err == nil {
		t.Error("0 bytes accepted")
	}
}
