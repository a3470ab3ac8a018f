package allocdir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/drover-org/drover/api"
)

// retainedName holds what is kept of allocations whose directory was removed.
// It is on the same file system, so that logs move there at once.
const retainedName = ".retained"

// noteName is the file beside retained logs that says whose they are.
const noteName = stateName + "/note"

// Retained opens the tree of what is kept of removed allocations.
func (t *Tree) Retained() (*Tree, error) { return NewTree(filepath.Join(t.path, retainedName)) }

// RetainLogs moves the logs of an allocation into the retained tree, with a
// note on them, and returns their size. Without logs nothing is kept. What
// was kept before is replaced.
func (d *Dir) RetainLogs(retained *Tree, note []byte) (size int64, err error) {
	to := &Dir{tree: retained, id: d.id}
	logs, err := d.List(SharedName + "/" + LogsName)
	if err != nil && !api.IsNotFound(err) {
		return 0, err
	}
	for _, f := range logs {
		size += f.Size
	}
	if size == 0 {
		return 0, nil
	}
	if err := to.Remove(); err != nil {
		return 0, err
	}
	root := retained.root
	for _, dir := range []string{d.id, d.id + "/" + stateName, d.id + "/" + SharedName} {
		if err := mkdir(root, dir, 0o700); err != nil {
			return 0, err
		}
	}
	from, at := filepath.Join(d.id, SharedName, LogsName), filepath.Join(retainedName, d.id, SharedName, LogsName)
	if err = d.tree.root.Rename(from, at); err == nil {
		err = root.WriteFile(filepath.Join(d.id, noteName), note, 0o600)
	}
	if err != nil {
		return 0, errors.Join(err, to.Remove())
	}
	return size, nil
}

// Note returns the note on retained logs and their size.
func (d *Dir) Note() (note []byte, size int64, err error) {
	if note, err = d.tree.root.ReadFile(filepath.Join(d.id, noteName)); err != nil {
		return nil, 0, err
	}
	logs, err := d.List(SharedName + "/" + LogsName)
	for _, f := range logs {
		size += f.Size
	}
	return note, size, err
}

// RemoveStale removes what is no allocation's in the tree, and is called
// before anything else uses it.
func (t *Tree) RemoveStale(known func(id string) bool) error {
	ids, err := t.List()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if !known(id) {
			if err := t.root.RemoveAll(id); err != nil && !errors.Is(err, fs.ErrNotExist) && !os.IsPermission(err) {
				return err
			}
		}
	}
	return nil
}
