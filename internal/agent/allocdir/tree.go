package allocdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/drover-org/drover/api"
)

// Names inside an allocation.
const (
	SharedName  = "alloc"
	LogsName    = "logs"
	LocalName   = "local"
	SecretsName = "secrets"
	stateName   = ".state"
)

// Tree is the directory that holds all allocations of a node.
type Tree struct {
	path string
	root *os.Root
}

// NewTree opens the tree at an absolute path and makes it when it is missing.
func NewTree(path string) (*Tree, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("allocation directory %q is not absolute", path)
	}
	// Users of the machine may pass through but not list.
	if err := os.MkdirAll(path, 0o711); err != nil {
		return nil, fmt.Errorf("allocation directory: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("allocation directory: %w", err)
	}
	return &Tree{path: path, root: root}, nil
}

// Close releases the tree. Directories stay.
func (t *Tree) Close() error { return t.root.Close() }

// Path returns where the tree is.
func (t *Tree) Path() string { return t.path }

// Dir returns the directory of an allocation, which need not exist. The ID
// must be a UUID.
func (t *Tree) Dir(allocID string) (*Dir, error) {
	if _, ok := api.ParseID(allocID); !ok {
		return nil, api.Errorf(api.CodeInvalid, "allocation ID %q is not a UUID", allocID)
	}
	return &Dir{tree: t, id: allocID}, nil
}

// List returns the IDs of the allocations that have a directory.
func (t *Tree) List() ([]string, error) {
	f, err := t.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	names, err := f.Readdirnames(-1)
	ids := names[:0]
	for _, name := range names {
		if _, ok := api.ParseID(name); ok {
			ids = append(ids, name)
		}
	}
	return ids, err
}

// Dir is the directory of one allocation.
type Dir struct {
	tree *Tree
	id   string
}

// Path returns the allocation's root.
func (d *Dir) Path() string { return filepath.Join(d.tree.path, d.id) }

// Shared returns the directory that the tasks share.
func (d *Dir) Shared() string { return filepath.Join(d.Path(), SharedName) }

// Logs returns the directory of the log files.
func (d *Dir) Logs() string { return filepath.Join(d.Shared(), LogsName) }

// Task returns the directory of a task.
func (d *Dir) Task(name string) string { return filepath.Join(d.Path(), name) }

// Local returns the directory for a task's own data.
func (d *Dir) Local(task string) string { return filepath.Join(d.Task(task), LocalName) }

// Secrets returns the directory that nobody but the task may read.
func (d *Dir) Secrets(task string) string { return filepath.Join(d.Task(task), SecretsName) }

// State returns the drivers' own directory.
func (d *Dir) State() string { return filepath.Join(d.Path(), stateName) }

// Exists reports whether the directory was built.
func (d *Dir) Exists() bool {
	info, err := d.tree.root.Lstat(d.id)
	return err == nil && info.IsDir()
}

// shape lists the directories of an allocation and of a task with their modes.
// Tasks may run as other users, so what they write to is open to all; nobody
// but the agent may place files beside the logs, which it writes itself.
var (
	allocShape = []struct {
		name string
		mode fs.FileMode
	}{
		{".", 0o755}, {stateName, 0o700}, {SharedName, 0o755}, {SharedName + "/data", 0o777},
		{SharedName + "/" + LogsName, 0o755}, {SharedName + "/tmp", 0o777 | fs.ModeSticky},
	}
	taskShape = []struct {
		name string
		mode fs.FileMode
	}{
		{".", 0o777}, {LocalName, 0o777}, {SecretsName, 0o700}, {"tmp", 0o777 | fs.ModeSticky},
	}
)

// Build makes the allocation's own directories. Those that exist are kept.
func (d *Dir) Build() error {
	root, err := d.open(true)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	for _, s := range allocShape {
		if err := mkdir(root, s.name, s.mode); err != nil {
			return fmt.Errorf("allocation directory: %w", err)
		}
	}
	return nil
}

// BuildTask makes the directories of a task; username, if not empty, becomes
// the owner of its secrets when the agent may do that.
func (d *Dir) BuildTask(task, username string) error {
	if err := CheckTaskName(task); err != nil {
		return err
	}
	root, err := d.open(false)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	for _, s := range taskShape {
		if err := mkdir(root, filepath.Join(task, s.name), s.mode); err != nil {
			return fmt.Errorf("directory of task %q: %w", task, err)
		}
	}
	return chownSecrets(root, filepath.Join(task, SecretsName), username)
}

// CheckTaskName refuses names that can't be directories beside the shared one.
func CheckTaskName(task string) error {
	if task == "" || task == SharedName || strings.HasPrefix(task, ".") || strings.ContainsAny(task, "/\\\x00") {
		return api.Errorf(api.CodeInvalid, `task name %q can't be a directory: it must not be empty or %q, start with a dot or hold a slash`, task, SharedName)
	}
	return nil
}

// Remove deletes the directory with all that is in it. Idempotent.
func (d *Dir) Remove() error {
	if err := d.tree.root.RemoveAll(d.id); err != nil {
		return fmt.Errorf("remove the directory of allocation %s: %w", d.id, err)
	}
	return nil
}

// MoveFrom takes over what a predecessor on this node leaves to its
// replacement: the shared data and each task's local directory. What it does
// not have is skipped. Both directories are built.
func (d *Dir) MoveFrom(prev *Dir, tasks []string) error {
	names := []string{SharedName + "/data"}
	for _, task := range tasks {
		if err := CheckTaskName(task); err != nil {
			return err
		}
		names = append(names, filepath.Join(task, LocalName))
	}
	for _, name := range names {
		from, to := filepath.Join(prev.id, name), filepath.Join(d.id, name)
		info, err := d.tree.root.Lstat(from)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
			continue
		}
		if err == nil {
			err = d.tree.root.MkdirAll(filepath.Dir(to), 0o755)
		}
		if err == nil {
			err = d.tree.root.RemoveAll(to)
		}
		if err == nil {
			err = d.tree.root.Rename(from, to)
		}
		if err != nil {
			return fmt.Errorf("move %s of allocation %s: %w", name, prev.id, err)
		}
	}
	return nil
}

// open returns the root of the allocation.
func (d *Dir) open(create bool) (*os.Root, error) {
	if create {
		if err := d.tree.root.Mkdir(d.id, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("allocation directory: %w", err)
		}
	}
	root, err := d.tree.root.OpenRoot(d.id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, api.Errorf(api.CodeNotFound, "state for allocation %s not found on client: its files were removed", d.id)
	}
	return root, err
}

// mkdir makes one directory with exactly this mode, whatever the umask.
func mkdir(root *os.Root, name string, mode fs.FileMode) error {
	if err := root.Mkdir(name, mode.Perm()); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := root.Lstat(name)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is in the way: it is no directory", name)
	case info.Mode()&(fs.ModePerm|fs.ModeSticky) == mode:
		return nil
	}
	return root.Chmod(name, mode)
}

func chownSecrets(root *os.Root, name, username string) error {
	uid, gid, err := owner(username)
	if err != nil || uid < 0 {
		return err
	}
	return root.Lchown(name, uid, gid)
}

// owner returns whose a task's secrets are: the IDs of a user, or -1 to leave
// them the agent's.
func owner(username string) (uid, gid int, err error) {
	if username == "" || os.Geteuid() != 0 {
		return -1, -1, nil
	}
	u, err := user.Lookup(username)
	if err != nil {
		return -1, -1, api.Errorf(api.CodeInvalid, "user %q of the task: %w", username, err)
	}
	uid, errUID := strconv.Atoi(u.Uid)
	gid, errGID := strconv.Atoi(u.Gid)
	if err := errors.Join(errUID, errGID); err != nil {
		return -1, -1, fmt.Errorf("user %q of the task: %w", username, err)
	}
	return uid, gid, nil
}
