package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// noHash stands before the first line of a chain.
var noHash = strings.Repeat("0", 64)

// file is the open file and where the chain is.
type file struct {
	cfg   *Config
	f     *os.File
	size  int64
	since time.Time // of the first line
	prev  string    // hash of the last line
}

func openFile(cfg *Config) (*file, error) {
	if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o700); err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	f := &file{cfg: cfg, prev: noHash}
	if err := f.open(); err != nil {
		return nil, err
	}
	last, torn, err := f.repair()
	if err == nil && last == nil {
		last, err = f.lastRotated()
	}
	if err == nil && last != nil {
		f.prev = hashOf(last)
	}
	if err == nil && torn > 0 {
		err = f.noteRepair(torn)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("audit log %s: %w", cfg.Path, err), f.f.Close())
	}
	return f, nil
}

// open opens or makes the file, which must be a regular one of its own.
func (f *file) open() error {
	var err error
	f.f, err = os.OpenFile(f.cfg.Path, os.O_RDWR|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW, f.cfg.Mode)
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	info, err := f.f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err == nil && info.Mode().Perm() != f.cfg.Mode {
		err = f.f.Chmod(f.cfg.Mode)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("audit log %s: %w", f.cfg.Path, err), f.f.Close())
	}
	f.size, f.since = info.Size(), time.Time{}
	return nil
}

// repair cuts off what follows the last newline, which only a crash leaves
// there, and returns the last line and how many bytes were cut.
func (f *file) repair() (last []byte, torn int64, err error) {
	last, end, err := lastLine(f.f, f.size)
	if err != nil {
		return nil, 0, err
	}
	if torn = f.size - end; torn > 0 {
		if err := f.f.Truncate(end); err != nil {
			return nil, 0, err
		}
		f.size = end
	}
	if first, err := firstLine(f.f); err == nil && first != nil {
		var r Record
		if json.Unmarshal(first, &r) == nil {
			f.since = r.Time
		}
	}
	return last, torn, nil
}

// noteRepair says in the log itself what was removed.
func (f *file) noteRepair(torn int64) error {
	f.cfg.Log.Warn("the audit log ended in the middle of a line, which a crash had torn; it was removed", "path", f.cfg.Path, "bytes", torn)
	record, err := encode(&Record{Time: f.cfg.Now().UTC(), Stage: Repaired, Error: fmt.Sprintf("%d bytes of a line torn by a crash were removed", torn)})
	if err != nil {
		return err
	}
	return f.append([][]byte{record})
}

// append writes records as lines, all or none, and syncs them when delivery is
// enforced.
func (f *file) append(records [][]byte) error {
	if err := f.rotateIfDue(); err != nil {
		// Writing on is better than not writing; the next batch tries again.
		f.cfg.Log.Error("the audit log is not rotated", "path", f.cfg.Path, "error", err)
	}
	if f.f == nil {
		if err := f.open(); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	prev := f.prev
	for _, line := range records {
		if f.cfg.Chain {
			line = chained(line, prev)
		}
		prev = hashOf(line)
		b.Write(line)
		b.WriteByte('\n')
	}
	_, err := f.f.Write(b.Bytes())
	if err == nil && f.cfg.Enforced {
		err = f.f.Sync()
	}
	if err != nil {
		if undo := f.f.Truncate(f.size); undo != nil {
			err = errors.Join(err, undo)
		}
		return fmt.Errorf("audit log: %w", err)
	}
	if f.size == 0 {
		f.since = f.cfg.Now()
	}
	f.size += int64(b.Len())
	f.prev = prev
	return nil
}

func (f *file) rotateIfDue() error {
	old := f.cfg.RotateAge > 0 && !f.since.IsZero() && f.cfg.Now().Sub(f.since) >= f.cfg.RotateAge
	big := f.cfg.RotateBytes > 0 && f.size >= f.cfg.RotateBytes
	if f.f == nil || f.size == 0 || !old && !big {
		return nil
	}
	if err := f.f.Sync(); err != nil {
		return err
	}
	name, err := f.rotatedName(f.cfg.Now())
	if err != nil {
		return err
	}
	if err := os.Rename(f.cfg.Path, name); err != nil {
		return err
	}
	err = f.f.Close()
	f.f = nil
	return errors.Join(err, f.open(), f.removeOld())
}

// stampForm is the time in a rotated file's name, so that names sort by age.
const stampForm = "20060102T150405.000000000Z"

// rotatedName returns a name that sorts behind those of all rotated files,
// also when the clock stands or goes back.
func (f *file) rotatedName(now time.Time) (string, error) {
	names, err := f.rotated()
	if err != nil {
		return "", err
	}
	ext := filepath.Ext(f.cfg.Path)
	stem := strings.TrimSuffix(f.cfg.Path, ext) + "-"
	if len(names) > 0 {
		newest := names[len(names)-1]
		last, err := time.Parse(stampForm, strings.TrimSuffix(filepath.Base(newest)[len(filepath.Base(stem)):], ext))
		if err != nil {
			return "", err
		}
		if !now.After(last) {
			now = last.Add(time.Nanosecond)
		}
	}
	return stem + now.UTC().Format(stampForm) + ext, nil
}

// rotated lists the rotated files, the oldest first.
func (f *file) rotated() ([]string, error) {
	ext := filepath.Ext(f.cfg.Path)
	entries, err := os.ReadDir(filepath.Dir(f.cfg.Path))
	if err != nil {
		return nil, err
	}
	prefix := strings.TrimSuffix(filepath.Base(f.cfg.Path), ext) + "-"
	var out []string
	for _, e := range entries {
		stamp, found := strings.CutPrefix(strings.TrimSuffix(e.Name(), ext), prefix)
		if _, err := time.Parse(stampForm, stamp); found && err == nil && strings.HasSuffix(e.Name(), ext) {
			out = append(out, filepath.Join(filepath.Dir(f.cfg.Path), e.Name()))
		}
	}
	slices.Sort(out)
	return out, nil
}

func (f *file) removeOld() error {
	if f.cfg.RotateMaxFiles == 0 {
		return nil
	}
	names, err := f.rotated()
	if err != nil {
		return err
	}
	var errs []error
	for len(names) > f.cfg.RotateMaxFiles {
		errs = append(errs, os.Remove(names[0]))
		names = names[1:]
	}
	return errors.Join(errs...)
}

// lastRotated returns the last line of the newest rotated file.
func (f *file) lastRotated() ([]byte, error) {
	names, err := f.rotated()
	if err != nil || len(names) == 0 {
		return nil, err
	}
	old, err := os.Open(names[len(names)-1])
	if err != nil {
		return nil, err
	}
	defer func() { _ = old.Close() }()
	info, err := old.Stat()
	if err != nil {
		return nil, err
	}
	last, _, err := lastLine(old, info.Size())
	return last, err
}

func (f *file) close() error {
	if f.f == nil {
		return nil
	}
	return errors.Join(f.f.Sync(), f.f.Close())
}

// maxLine bounds a line: what Record can hold is far less.
const maxLine = 1 << 20

// lastLine returns the last whole line without its newline, nil if there is
// none, and where it ends.
func lastLine(f io.ReaderAt, size int64) (line []byte, end int64, err error) {
	n := min(size, 2*maxLine)
	b := make([]byte, n)
	if _, err := f.ReadAt(b, size-n); err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	at := bytes.LastIndexByte(b, '\n')
	if at < 0 {
		if n < size {
			return nil, 0, fmt.Errorf("its last %d bytes hold no end of a line: this is not an audit log", n)
		}
		return nil, 0, nil
	}
	return b[bytes.LastIndexByte(b[:at], '\n')+1 : at], size - n + int64(at) + 1, nil
}

func firstLine(f io.ReaderAt) ([]byte, error) {
	b := make([]byte, maxLine)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	line, _, found := bytes.Cut(b[:n], []byte("\n"))
	if !found {
		return nil, nil
	}
	return line, nil
}
