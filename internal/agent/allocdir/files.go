package allocdir

import (
	"cmp"
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

// MaxEntries is how many entries of a directory are listed; one with more is
// an error, since its size is the task's choice.
const MaxEntries = 50_000

// List returns the entries of a directory, by name. Symbolic links are listed
// as such.
func (d *Dir) List(name string) ([]*api.AllocFileInfo, error) {
	f, info, err := d.openPath(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if !info.IsDir() {
		return []*api.AllocFileInfo{describe(info)}, nil
	}
	parts, _ := split(name) // openPath has accepted it
	top := len(parts) == 0
	list := []*api.AllocFileInfo{}
	for {
		entries, err := f.ReadDir(1024)
		for _, e := range entries {
			if top && e.Name() == stateName {
				continue
			}
			info, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue // removed since
			}
			if err != nil {
				return nil, err
			}
			list = append(list, describe(info))
		}
		if len(list) > MaxEntries {
			return nil, api.Errorf(api.CodeTooLarge, "directory %q has more than %d entries", name, MaxEntries)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, func(a, b *api.AllocFileInfo) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// Stat describes a file, a directory or, without following it, a link.
func (d *Dir) Stat(name string) (*api.AllocFileInfo, error) {
	parent, last, err := d.walk(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = parent.Close() }()
	info, err := parent.Lstat(last)
	if err != nil {
		return nil, notFound(name, err)
	}
	return describe(info), nil
}

// Open opens a regular file for reading.
func (d *Dir) Open(name string) (*os.File, error) {
	f, info, err := d.openPath(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		_ = f.Close()
		return nil, api.Errorf(api.CodeInvalid, "path %q is a directory; name a file in it", name)
	}
	return f, nil
}

// OpenDir opens a directory, for instance to watch it.
func (d *Dir) OpenDir(name string) (*os.File, error) {
	f, info, err := d.openPath(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		_ = f.Close()
		return nil, api.Errorf(api.CodeInvalid, "path %q is not a directory", name)
	}
	return f, nil
}

// Parent returns the directory that holds the last name of a path, and that
// name, "." for the allocation itself. The caller closes it.
func (d *Dir) Parent(name string) (*os.Root, string, error) { return d.walk(name) }

// Root returns a directory to work in. The caller closes it.
func (d *Dir) Root(name string) (*os.Root, error) {
	parent, last, err := d.walk(name)
	if err != nil {
		return nil, err
	}
	if last == "." {
		return parent, nil
	}
	defer func() { _ = parent.Close() }()
	return step(parent, last, name)
}

func describe(info fs.FileInfo) *api.AllocFileInfo {
	return &api.AllocFileInfo{
		Name: info.Name(), IsDir: info.IsDir(), Size: info.Size(), FileMode: info.Mode().String(), ModTime: info.ModTime(),
	}
}

// openPath opens a directory or regular file. What is opened is what was
// looked at before: a task that swaps a name in between gets an error.
func (d *Dir) openPath(name string) (*os.File, fs.FileInfo, error) {
	parent, last, err := d.walk(name)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = parent.Close() }()
	before, err := parent.Lstat(last)
	if err != nil {
		return nil, nil, notFound(name, err)
	}
	if err := plain(name, before); err != nil {
		return nil, nil, err
	}
	f, err := parent.OpenFile(last, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, nil, notFound(name, err)
	}
	info, err := f.Stat()
	if err == nil && !os.SameFile(before, info) {
		err = changed(name)
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// walk returns the directory that holds the last name of a path, and that
// name. The path is relative to the allocation, a leading slash means the
// same. No link is followed on the way.
func (d *Dir) walk(name string) (*os.Root, string, error) {
	parts, err := split(name)
	if err != nil {
		return nil, "", err
	}
	root, err := d.open(false)
	if err != nil {
		return nil, "", err
	}
	for len(parts) > 1 {
		next, err := step(root, parts[0], name)
		_ = root.Close()
		if err != nil {
			return nil, "", err
		}
		root, parts = next, parts[1:]
	}
	if len(parts) == 0 {
		return root, ".", nil
	}
	return root, parts[0], nil
}

func step(root *os.Root, part, name string) (*os.Root, error) {
	before, err := root.Lstat(part)
	if err != nil {
		return nil, notFound(name, err)
	}
	if !before.IsDir() {
		if err := plain(name, before); err != nil {
			return nil, err
		}
		return nil, api.Errorf(api.CodeInvalid, "path %q: %q is not a directory", name, part)
	}
	next, err := root.OpenRoot(part)
	if err != nil {
		return nil, notFound(name, err)
	}
	info, err := next.Stat(".")
	if err == nil && !os.SameFile(before, info) {
		err = changed(name)
	}
	if err != nil {
		_ = next.Close()
		return nil, err
	}
	return next, nil
}

// split cuts a path into names and refuses those that lead out of the
// allocation or to what only tasks and drivers may read.
func split(name string) ([]string, error) {
	if strings.ContainsRune(name, 0) {
		return nil, api.Errorf(api.CodeInvalid, "path %q holds a NUL byte", name)
	}
	depth := 0
	for part := range strings.SplitSeq(name, "/") {
		switch part {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return nil, api.Errorf(api.CodeInvalid, "Path escapes the alloc directory: %q", name)
			}
		default:
			depth++
		}
	}
	clean := strings.TrimPrefix(path.Clean("/"+name), "/")
	if clean == "" {
		return nil, nil
	}
	parts := strings.Split(clean, "/")
	if private(parts) {
		return nil, api.Errorf(api.CodeForbidden, "Reading secret file prohibited: %q", name)
	}
	return parts, nil
}

func private(parts []string) bool {
	return parts[0] == stateName || len(parts) > 1 && parts[0] != SharedName && parts[1] == SecretsName
}

// Private reports whether a clean path within an allocation is for tasks and
// drivers alone.
func Private(name string) bool { return private(strings.Split(name, "/")) }

func plain(name string, info fs.FileInfo) error {
	switch {
	case info.IsDir(), info.Mode().IsRegular():
		return nil
	case info.Mode()&fs.ModeSymlink != 0:
		return api.Errorf(api.CodeInvalid, "path %q leads over the symbolic link %q; links are not followed", name, info.Name())
	}
	return api.Errorf(api.CodeInvalid, "path %q is neither a file nor a directory (%s)", name, info.Mode())
}

func changed(name string) error {
	return api.Errorf(api.CodeConflict, "path %q changed while it was opened; try again", name)
}

func notFound(name string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return api.Errorf(api.CodeNotFound, "path %q does not exist in the allocation", name)
	case errors.Is(err, fs.ErrPermission):
		return api.Errorf(api.CodeForbidden, "path %q: the agent may not read it: %w", name, err)
	case errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.ENOTDIR):
		return changed(name)
	case errors.Is(err, syscall.ENAMETOOLONG):
		return api.Errorf(api.CodeInvalid, "path %q has a name that is too long", name)
	}
	return err
}
