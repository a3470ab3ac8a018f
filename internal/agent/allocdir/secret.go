package allocdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/drover-org/drover/api"
)

// secretTemp is the beginning of a secret's name until it is whole.
const secretTemp = ".secret-"

// WriteSecret puts a file into a task's directory, whole at any time, that its
// owner alone may read: username when the agent may give files away. Links
// that a task may have left there are neither followed nor written through.
func (d *Dir) WriteSecret(task, name, username string, data []byte) (err error) {
	if err := CheckTaskName(task); err != nil {
		return err
	}
	uid, gid, err := owner(username)
	if err != nil {
		return err
	}
	parent, last, err := d.parent(task, name)
	if err != nil {
		return err
	}
	defer func() { _ = parent.Close() }()
	temp := secretTemp + api.NewID()
	f, err := parent.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("write %s of task %q: %w", name, task, err)
	}
	_, err = f.Write(data)
	if err == nil && uid >= 0 {
		err = f.Chown(uid, gid)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = parent.Rename(temp, last)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s of task %q: %w", name, task, err), parent.Remove(temp))
	}
	return nil
}

// parent returns the directory below a task's that is to hold a file, and the
// file's name in it. Directories that are missing are made.
func (d *Dir) parent(task, name string) (*os.Root, string, error) {
	parts := strings.Split(strings.TrimPrefix(path.Clean("/"+name), "/"), "/")
	last := parts[len(parts)-1]
	if last == "" || path.IsAbs(name) || path.Clean(name) != strings.Join(parts, "/") {
		return nil, "", api.Errorf(api.CodeInvalid, "%q is no path of a file below the directory of task %q", name, task)
	}
	dir, err := d.open(false)
	if err != nil {
		return nil, "", err
	}
	for i, part := range append([]string{task}, parts[:len(parts)-1]...) {
		if i > 0 {
			if err := dir.Mkdir(part, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				_ = dir.Close()
				return nil, "", err
			}
		}
		next, err := step(dir, part, name)
		_ = dir.Close()
		if err != nil {
			return nil, "", err
		}
		dir = next
	}
	return dir, last, nil
}
