package archive

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
)

// Options say how a stream is unpacked.
type Options struct {
	Limits Limits
	// As is the name of what the stream holds, in the place of its own. Empty
	// leaves the names. With it the stream must hold one tree.
	As string
	// UID and GID own what is made, if Chown is set.
	Chown    bool
	UID, GID int
	// Hidden names what must not be written, by its path below the root.
	Hidden func(path string) bool
}

// Extract unpacks a tar stream below root. What is there under the same name
// is replaced, except that a directory stays and no file takes its place.
// After an error, what was unpacked before it is there. Names that lead out,
// hard links and links over links are refused; links that lead out and
// special files are left out.
func Extract(ctx context.Context, in io.Reader, root *os.Root, o Options) (Stats, error) {
	x := &extractor{root: root, o: o}
	r := tar.NewReader(in)
	for {
		if err := ctx.Err(); err != nil {
			return x.stats, err
		}
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return x.stats, x.finish()
		}
		if err == nil {
			err = x.entry(h, r)
		}
		if errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = api.Errorf(api.CodeInvalid, "the stream is no whole tar archive: %w", err)
		}
		if err != nil {
			return x.stats, err
		}
	}
}

type extractor struct {
	root  *os.Root
	o     Options
	stats Stats
	top   string    // the first name of the stream
	dirs  []dirMode // set when all is in them
}

type dirMode struct {
	name string
	mode fs.FileMode
	time time.Time
}

func (x *extractor) entry(h *tar.Header, r io.Reader) error {
	name, err := x.place(h.Name)
	if err != nil {
		return err
	}
	if err := x.stats.count(x.o.Limits, h.Name, max(0, h.Size)); err != nil {
		return err
	}
	mode := fs.FileMode(h.Mode) & fs.ModePerm
	switch h.Typeflag {
	case tar.TypeDir:
		if err := x.parents(name, true); err != nil {
			return err
		}
		x.dirs = append(x.dirs, dirMode{name, mode, h.ModTime})
		return nil
	case tar.TypeReg:
		return x.file(name, mode, h, r)
	case tar.TypeSymlink:
		return x.link(name, h.Linkname)
	case tar.TypeLink:
		return api.Errorf(api.CodeInvalid, "%q is a hard link, which is not unpacked: make the archive without (tar --hard-dereference)", h.Name)
	}
	x.stats.Files--
	x.stats.skip(h.Name)
	return nil
}

// place checks a name of the stream and returns where it goes.
func (x *extractor) place(name string) (string, error) {
	clean := path.Clean(name)
	switch {
	case name == "" || strings.ContainsRune(name, 0):
		return "", api.Errorf(api.CodeInvalid, "the archive has a name that is empty or holds a NUL byte")
	case path.IsAbs(name), clean == "..", strings.HasPrefix(clean, "../"):
		return "", api.Errorf(api.CodeInvalid, "the archive has the name %q, which leads out of where it is unpacked", name)
	case strings.Count(clean, "/") > maxDepth:
		return "", api.Errorf(api.CodeTooLarge, "directories are nested more than %d deep at %q", maxDepth, name)
	}
	if x.o.As != "" {
		top, rest, _ := strings.Cut(clean, "/")
		if x.top == "" {
			x.top = top
		}
		if top != x.top {
			return "", api.Errorf(api.CodeInvalid, "the archive holds %q beside %q: only one file or directory can get another name; copy into an existing directory", top, x.top)
		}
		clean = path.Join(x.o.As, rest)
	}
	if x.o.Hidden != nil && x.o.Hidden(clean) {
		return "", api.Errorf(api.CodeForbidden, "%q must not be written", name)
	}
	return clean, nil
}

// parents makes the directories above name and, with self, name as well. All
// of them must be directories and no links.
func (x *extractor) parents(name string, self bool) error {
	parts := strings.Split(name, "/")
	if !self {
		parts = parts[:len(parts)-1]
	}
	for i := range parts {
		at := strings.Join(parts[:i+1], "/")
		info, err := x.root.Lstat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if err := x.root.Mkdir(at, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
			if err := x.own(at); err != nil {
				return err
			}
		case err != nil:
			return err
		case info.Mode()&fs.ModeSymlink != 0:
			return api.Errorf(api.CodeInvalid, "%q is a symbolic link where the archive has a directory; links are not followed", at)
		case !info.IsDir():
			return api.Errorf(api.CodeConflict, "%q is in the way: it is no directory", at)
		}
	}
	return nil
}

// clear removes what is in the place of a new file.
func (x *extractor) clear(name string) error {
	if err := x.parents(name, false); err != nil {
		return err
	}
	info, err := x.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.IsDir():
		return api.Errorf(api.CodeConflict, "%q is a directory and is not replaced by a file", name)
	}
	return x.root.Remove(name)
}

func (x *extractor) file(name string, mode fs.FileMode, h *tar.Header, r io.Reader) error {
	if err := x.clear(name); err != nil {
		return err
	}
	f, err := x.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err == nil && x.o.Chown {
		err = f.Chown(x.o.UID, x.o.GID)
	}
	if err == nil {
		err = f.Chmod(mode)
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = x.root.Chtimes(name, time.Time{}, h.ModTime)
	}
	return err
}

// link makes a link that stays inside, and leaves others out. A target that
// is not in its shortest form could lead out over another link.
func (x *extractor) link(name, target string) error {
	inside := path.Join(path.Dir(name), target)
	if path.IsAbs(target) || path.Clean(target) != target || inside == ".." || strings.HasPrefix(inside, "../") || strings.ContainsRune(target, 0) {
		x.stats.Files--
		x.stats.skip(name)
		return nil
	}
	if err := x.clear(name); err != nil {
		return err
	}
	if err := x.root.Symlink(target, name); err != nil {
		return err
	}
	return x.own(name)
}

func (x *extractor) own(name string) error {
	if !x.o.Chown {
		return nil
	}
	return x.root.Lchown(name, x.o.UID, x.o.GID)
}

// finish sets the modes of directories, the innermost first.
func (x *extractor) finish() error {
	for i := len(x.dirs) - 1; i >= 0; i-- {
		d := x.dirs[i]
		if info, err := x.root.Lstat(d.name); err != nil || !info.IsDir() {
			continue // a task has replaced it since
		}
		if d.name == "." {
			continue
		}
		if err := x.root.Chmod(d.name, d.mode); err != nil {
			return err
		}
		if err := x.root.Chtimes(d.name, time.Time{}, d.time); err != nil {
			return err
		}
	}
	return nil
}
