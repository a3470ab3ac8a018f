package logrotate

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Config says where the files are and how much they may hold.
type Config struct {
	Dir      *os.Root // stays the caller's; symbolic links can't lead out of it
	Name     string   // files are <Name>.<n>
	MaxFiles int      // at least 1
	MaxSize  int64    // bytes of one file, at least 1; see Writer.Write
}

// Position is a place in the stream: Offset bytes into file number Index.
type Position struct {
	Index  int
	Offset int64
}

// Writer appends to the newest file. It is not safe for concurrent use.
type Writer struct {
	cfg  Config
	file *os.File
	pos  Position
	line int64 // bytes of the unfinished line at the end of the file
}

// Open continues the newest file of cfg.Name, or creates the first one.
func Open(cfg Config) (*Writer, error) {
	if cfg.MaxFiles < 1 || cfg.MaxSize < 1 {
		return nil, fmt.Errorf("log %s: %d files of %d bytes: both must be at least 1", cfg.Name, cfg.MaxFiles, cfg.MaxSize)
	}
	w := &Writer{cfg: cfg}
	indexes, err := w.indexes()
	if err != nil {
		return nil, err
	}
	if len(indexes) > 0 {
		w.pos.Index = indexes[len(indexes)-1]
	}
	if err := w.open(); err != nil {
		return nil, err
	}
	return w, nil
}

// Write appends p and goes on to a new file where the next whole line would
// make the present one larger than MaxSize. A line that arrives in parts stays
// in the file where it began, which may so reach twice MaxSize before the line
// is split. On an error n bytes of p were written.
func (w *Writer) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		take, rotate := w.fit(p)
		if rotate {
			if err := w.rotate(); err != nil {
				return n, err
			}
			continue
		}
		m, err := w.file.Write(p[:take])
		n += m
		w.wrote(p[:m])
		if err != nil {
			return n, err
		}
		p = p[take:]
	}
	return n, nil
}

// Position returns the end of what was written.
func (w *Writer) Position() Position { return w.pos }

// Since returns how many bytes the files hold after pos. Files that were
// removed meanwhile count as if pos had been at their end.
func (w *Writer) Since(pos Position) (int64, error) {
	if pos.Index == w.pos.Index {
		return max(0, w.pos.Offset-pos.Offset), nil
	}
	indexes, err := w.indexes()
	if err != nil {
		return 0, err
	}
	var n int64
	for _, i := range indexes {
		if i < pos.Index {
			continue
		}
		info, err := w.cfg.Dir.Stat(w.name(i))
		if err != nil {
			return 0, err
		}
		n += info.Size()
		if i == pos.Index {
			n -= min(pos.Offset, info.Size())
		}
	}
	return n, nil
}

// Rotates reports whether Write(p) would begin with a new file. Who remembers
// positions should do so before, since an old file may be removed then.
func (w *Writer) Rotates(p []byte) bool {
	if len(p) == 0 {
		return false
	}
	_, rotate := w.fit(p)
	return rotate
}

// Close closes the file.
func (w *Writer) Close() error { return w.file.Close() }

// fit returns how much of p belongs into the present file, or that a new one
// is needed first.
func (w *Writer) fit(p []byte) (take int, rotate bool) {
	room := w.cfg.MaxSize - w.pos.Offset
	if w.line > 0 { // in the middle of a line: finish it here
		room = max(room, w.cfg.MaxSize-w.line)
		if room <= 0 {
			return 0, true
		}
		end := bytes.IndexByte(p, '\n') + 1
		if end == 0 {
			end = len(p)
		}
		return int(min(int64(end), room)), false
	}
	if room >= int64(len(p)) {
		return len(p), false
	}
	if room > 0 {
		if end := bytes.LastIndexByte(p[:room], '\n') + 1; end > 0 {
			return end, false
		}
	}
	if w.pos.Offset > 0 {
		return 0, true
	}
	return int(room), false // a line larger than a file
}

func (w *Writer) wrote(p []byte) {
	w.pos.Offset += int64(len(p))
	if end := bytes.LastIndexByte(p, '\n') + 1; end > 0 {
		w.line = int64(len(p) - end)
	} else {
		w.line += int64(len(p))
	}
}

func (w *Writer) rotate() error {
	old := w.file
	w.pos = Position{Index: w.pos.Index + 1}
	if err := w.open(); err != nil {
		w.pos.Index--
		return err
	}
	old.Close()
	indexes, err := w.indexes()
	if err != nil {
		return err
	}
	for _, i := range indexes {
		if i > w.pos.Index-w.cfg.MaxFiles {
			break
		}
		if err := w.cfg.Dir.Remove(w.name(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (w *Writer) open() error {
	f, err := w.cfg.Dir.OpenFile(w.name(w.pos.Index), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("log %s is not a regular file", w.name(w.pos.Index))
	}
	if err == nil {
		w.pos.Offset = info.Size()
		w.line, err = unfinished(f, info.Size())
	}
	if err != nil {
		f.Close()
		return err
	}
	w.file = f
	return nil
}

// unfinished returns the length of the last line of f when no newline ends it.
func unfinished(f *os.File, size int64) (int64, error) {
	buf := make([]byte, 4096)
	for end := size; end > 0; {
		start := max(0, end-int64(len(buf)))
		chunk := buf[:end-start]
		if _, err := f.ReadAt(chunk, start); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(chunk, '\n'); i >= 0 {
			return size - (start + int64(i) + 1), nil
		}
		end = start
	}
	return size, nil
}

func (w *Writer) name(index int) string { return w.cfg.Name + "." + strconv.Itoa(index) }

// indexes returns the numbers of the files there are, ascending.
func (w *Writer) indexes() ([]int, error) {
	dir, err := w.cfg.Dir.Open(".")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var indexes []int
	for _, name := range names {
		suffix, ok := strings.CutPrefix(name, w.cfg.Name+".")
		if !ok {
			continue
		}
		if i, err := strconv.Atoi(suffix); err == nil && i >= 0 && strconv.Itoa(i) == suffix {
			indexes = append(indexes, i)
		}
	}
	slices.Sort(indexes)
	return indexes, nil
}
