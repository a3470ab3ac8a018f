package rotate

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func testRotation(t interface {
	Helper()
	Fatal(...any)
}, dir string, files int, size int64) *Writer {
	t.Helper()
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := newWriter(d, "a.stdout.", files, size)
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	return r
}

// contents returns the files, oldest first, and their numbers.
func contents(t interface{ Fatal(...any) }, dir string) (files []string, numbers []int) {
	for n := range 10000 {
		b, err := os.ReadFile(filepath.Join(dir, "a.stdout."+strconv.Itoa(n)))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		files, numbers = append(files, string(b)), append(numbers, n)
	}
	return files, numbers
}

// Whatever is written, in whatever pieces and with restarts between them: the
// files in order are the end of it, nothing is missing in the middle, and a
// file ends in the middle of a line only if the line is longer than a file.
func TestRotationKeepsLinesWhole(t *testing.T) {
	base := t.TempDir()
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		dir := filepath.Join(base, strconv.Itoa(runs))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		size := rapid.Int64Range(1, 40).Draw(t, "size")
		keep := rapid.IntRange(1, 4).Draw(t, "files")
		r := testRotation(t, dir, keep, size)
		var all strings.Builder
		for range rapid.IntRange(0, 30).Draw(t, "writes") {
			piece := rapid.StringMatching(`[a-c\n]{0,30}`).Draw(t, "piece")
			r.Put([]byte(piece))
			all.WriteString(piece)
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 && strings.HasSuffix(all.String(), "\n") {
				r.close()
				_ = r.dir.Close()
				r = testRotation(t, dir, keep, size)
			}
		}
		r.close()
		_ = r.dir.Close()

		files, numbers := contents(t, dir)
		joined := strings.Join(files, "")
		if !strings.HasSuffix(all.String(), joined) {
			t.Fatalf("the files hold %q, written was %q", joined, all.String())
		}
		if len(files) > keep {
			t.Fatalf("%d files, allowed are %d", len(files), keep)
		}
		if len(files) < keep && joined != all.String() {
			t.Fatalf("output is missing although only %d of %d files are used", len(files), keep)
		}
		offset := all.Len() - len(joined)
		for i, f := range files {
			if i > 0 && numbers[i] != numbers[i-1]+1 {
				t.Fatalf("numbers %v", numbers)
			}
			if int64(len(f)) >= 2*size {
				t.Fatalf("a file has %d bytes, more than a line over %d", len(f), size)
			}
			offset += len(f)
			if i == len(files)-1 || strings.HasSuffix(f, "\n") {
				continue
			}
			text := all.String()
			line := text[strings.LastIndexByte(text[:offset], '\n')+1:]
			if end := strings.IndexByte(line, '\n'); end >= 0 {
				line = line[:end+1]
			}
			if int64(len(line)) <= size {
				t.Fatalf("line %q, shorter than %d, was split", line, size)
			}
		}
	})
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	r := testRotation(t, dir, 3, 1000)
	room := 10
	r.write = func(fd int, b []byte) (int, error) {
		if len(b) <= room {
			room -= len(b)
			return unix.Write(fd, b)
		}
		n, _ := unix.Write(fd, b[:room])
		room = 0
		return n, unix.ENOSPC
	}
	r.Put([]byte("whole\ntorn line\n")) // 10 of 16
	r.Put([]byte("lost\n"))
	room = 1000
	r.Put([]byte("back\n"))
	r.Put([]byte("again\n"))
	files, _ := contents(t, dir)
	want := "whole\ntorn\n[drover: 11 bytes of output lost: no space left on device]\nback\nagain\n"
	if got := strings.Join(files, ""); got != want {
		t.Errorf("log %q, want %q", got, want)
	}
}

func TestContinuesNumbersAndRemovesOld(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []int{3, 4, 7, 11} {
		name := filepath.Join(dir, "a.stdout."+strconv.Itoa(n))
		if err := os.WriteFile(name, fmt.Appendf(nil, "%d\n", n), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r := testRotation(t, dir, 5, 4)
	r.Put([]byte("12345\n"))
	_, numbers := contents(t, dir)
	if fmt.Sprint(numbers) != "[11 12 13]" {
		t.Errorf("numbers %v", numbers)
	}
}

// A task owns the log directory's surroundings; its supervisor must not follow
// it anywhere.
func TestDoesNotFollowLinks(t *testing.T) {
	for name, plant := range map[string]func(victim, at string) error{
		"symlink": os.Symlink,
		"link":    os.Link,
		"fifo":    func(_, at string) error { return unix.Mkfifo(at, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, victim := t.TempDir(), filepath.Join(t.TempDir(), "victim")
			if err := os.WriteFile(victim, []byte("precious"), 0o644); err != nil {
				t.Fatal(err)
			}
			for _, n := range []string{"0", "1", "2"} {
				if err := plant(victim, filepath.Join(dir, "a.stdout."+n)); err != nil {
					t.Fatal(err)
				}
			}
			r := testRotation(t, dir, 3, 8)
			r.Put(bytes.Repeat([]byte("evil\n"), 10))
			if b, err := os.ReadFile(victim); err != nil || string(b) != "precious" {
				t.Errorf("the file elsewhere holds %q, %v", b, err)
			}
			if r.dropped != 0 {
				t.Errorf("%d bytes dropped: %v", r.dropped, r.reason)
			}
		})
	}
}
