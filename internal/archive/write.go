package archive

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/drover-org/drover/api"
)

// Limits bound a copy.
type Limits struct {
	Bytes   int64
	Entries int
}

// maxDepth bounds how deep directories are nested.
const maxDepth = 100

// Stats tell what was copied.
type Stats struct {
	Files   int
	Bytes   int64
	Skipped []string // names that were left out, the first few
}

// maxSkipped is how many names Stats keep.
const maxSkipped = 20

func (s *Stats) skip(name string) {
	if len(s.Skipped) < maxSkipped {
		s.Skipped = append(s.Skipped, name)
	}
}

func (s *Stats) count(l Limits, name string, size int64) error {
	s.Files++
	s.Bytes += size
	switch {
	case s.Files > l.Entries:
		return api.Errorf(api.CodeTooLarge, "more than %d files: copy a part of them at a time", l.Entries)
	case s.Bytes > l.Bytes:
		return api.Errorf(api.CodeTooLarge, "%q makes it more than %d MiB: copy a part at a time", name, l.Bytes>>20)
	}
	return nil
}

// Write writes a file or a directory with all below it, as a tar stream in
// which it is called as. hidden names what is left out, by its path from
// name. A file that changes its size meanwhile is an error.
func Write(ctx context.Context, out io.Writer, root *os.Root, name, as string, hidden func(path string) bool, l Limits) (Stats, error) {
	w := &writer{ctx: ctx, tar: tar.NewWriter(out), hidden: hidden, limits: l}
	if err := w.add(root, name, as, "", 0); err != nil {
		return w.stats, err
	}
	return w.stats, w.tar.Close()
}

type writer struct {
	ctx    context.Context
	tar    *tar.Writer
	hidden func(string) bool
	limits Limits
	stats  Stats
}

func (w *writer) add(root *os.Root, name, as, below string, depth int) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	info, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) && depth > 0 {
		return nil // removed since
	}
	if err != nil {
		return err
	}
	header := &tar.Header{Name: as, Mode: int64(info.Mode().Perm()), ModTime: info.ModTime(), Format: tar.FormatPAX}
	switch {
	case info.Mode().IsRegular():
		return w.file(root, name, header, info)
	case info.IsDir():
		header.Typeflag, header.Name = tar.TypeDir, as+"/"
		return w.dir(root, name, header, below, depth)
	case info.Mode()&fs.ModeSymlink != 0:
		if header.Linkname, err = root.Readlink(name); err != nil {
			return err
		}
		header.Typeflag = tar.TypeSymlink
		if err := w.stats.count(w.limits, as, 0); err != nil {
			return err
		}
		return w.tar.WriteHeader(header)
	case depth == 0:
		return api.Errorf(api.CodeInvalid, "%q is neither a file nor a directory (%s)", as, info.Mode())
	}
	w.stats.skip(as)
	return nil
}

func (w *writer) file(root *os.Root, name string, header *tar.Header, before fs.FileInfo) error {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(before, info) {
		return changed(header.Name)
	}
	header.Typeflag, header.Size = tar.TypeReg, info.Size()
	if err := w.stats.count(w.limits, header.Name, header.Size); err != nil {
		return err
	}
	if err := w.tar.WriteHeader(header); err != nil {
		return err
	}
	// What is appended meanwhile, as to a log, is not part of the copy.
	if _, err := io.CopyN(w.tar, f, header.Size); err != nil {
		if errors.Is(err, io.EOF) {
			return changed(header.Name)
		}
		return err
	}
	return nil
}

func (w *writer) dir(root *os.Root, name string, header *tar.Header, below string, depth int) error {
	if depth >= maxDepth {
		return api.Errorf(api.CodeTooLarge, "directories are nested more than %d deep at %q", maxDepth, header.Name)
	}
	inner, err := root.OpenRoot(name)
	if err != nil {
		return err
	}
	defer func() { _ = inner.Close() }()
	f, err := inner.Open(".")
	if err != nil {
		return err
	}
	names, err := f.Readdirnames(w.limits.Entries + 1)
	_ = f.Close()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := w.stats.count(w.limits, header.Name, 0); err != nil {
		return err
	}
	if len(names) > w.limits.Entries {
		return api.Errorf(api.CodeTooLarge, "%q has more than %d files: copy a part of them at a time", header.Name, w.limits.Entries)
	}
	if err := w.tar.WriteHeader(header); err != nil {
		return err
	}
	slices.Sort(names)
	for _, n := range names {
		at := path.Join(below, n)
		if w.hidden != nil && w.hidden(at) {
			w.stats.skip(strings.TrimSuffix(header.Name, "/") + "/" + n)
			continue
		}
		if err := w.add(inner, n, header.Name+n, at, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func changed(name string) error {
	return api.Errorf(api.CodeConflict, "%q changed while it was copied; try again", name)
}
