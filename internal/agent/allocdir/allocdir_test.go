package allocdir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/drover-org/drover/api"
)

func build(t *testing.T, tasks ...string) (*Tree, *Dir) {
	t.Helper()
	tree, err := NewTree(filepath.Join(t.TempDir(), "allocs"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tree.Close() })
	return tree, buildIn(t, tree, tasks...)
}

func buildIn(t *testing.T, tree *Tree, tasks ...string) *Dir {
	t.Helper()
	d, err := tree.Dir(api.NewID())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Build(); err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		if err := d.BuildTask(task, ""); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestModes(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	_, d := build(t, "web")
	for name, want := range map[string]fs.FileMode{
		".state": 0o700, "alloc/data": 0o777, "alloc/logs": 0o755, "alloc/tmp": 0o777 | fs.ModeSticky,
		"web": 0o777, "web/local": 0o777, "web/secrets": 0o700, "web/tmp": 0o777 | fs.ModeSticky,
	} {
		info, err := os.Lstat(filepath.Join(d.Path(), name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode() &^ fs.ModeDir; got != want {
			t.Errorf("%s has mode %v, want %v", name, got, want)
		}
	}
}

// TestRefused holds every way to what a caller must not read.
func TestRefused(t *testing.T) {
	_, d := build(t, "web")
	write(t, filepath.Join(d.Secrets("web"), "token"), "s3cret")
	write(t, filepath.Join(d.State(), "shim"), "state")
	outside := filepath.Join(filepath.Dir(d.tree.path), "passwd")
	write(t, outside, "root")
	local := d.Local("web")
	for link, target := range map[string]string{
		"abs": outside, "rel": "../../../../passwd", "dir": "/", "secret": "../secrets/token", "secrets": "../secrets", "dangling": "nowhere",
	} {
		if err := os.Symlink(target, filepath.Join(local, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(local, "fifo"), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]api.Code{
		"../passwd": api.CodeInvalid, "web/../../passwd": api.CodeInvalid, "/..": api.CodeInvalid, "a\x00b": api.CodeInvalid,
		"web/secrets/token": api.CodeForbidden, "/web//secrets/./token": api.CodeForbidden, "web/local/../secrets/token": api.CodeForbidden,
		"web/secrets": api.CodeForbidden, ".state/shim": api.CodeForbidden, "web/../.state": api.CodeForbidden,
		"web/local/abs": api.CodeInvalid, "web/local/rel": api.CodeInvalid, "web/local/dir/etc/passwd": api.CodeInvalid,
		"web/local/secret": api.CodeInvalid, "web/local/secrets/token": api.CodeInvalid, "web/local/dangling": api.CodeInvalid,
		"web/local/fifo": api.CodeInvalid, "web/local": api.CodeInvalid, "web/none": api.CodeNotFound, "none/at/all": api.CodeNotFound,
	} {
		f, err := d.Open(name)
		if err == nil {
			_ = f.Close()
		}
		if got := api.ErrorCode(err); got != want {
			t.Errorf("Open(%q) = %v, want %s", name, err, want)
		}
	}
	if _, err := d.List("web/secrets"); api.ErrorCode(err) != api.CodeForbidden {
		t.Errorf("List of secrets = %v", err)
	}
	if _, err := d.Stat("web/secrets/token"); api.ErrorCode(err) != api.CodeForbidden {
		t.Errorf("Stat of a secret = %v", err)
	}
}

// TestSwappedDirectory replaces a directory by a link to the secrets while it
// is read; whatever the moment, no secret may come out.
func TestSwappedDirectory(t *testing.T) {
	_, d := build(t, "web")
	write(t, filepath.Join(d.Secrets("web"), "token"), "s3cret")
	write(t, filepath.Join(d.Local("web"), "token"), "public")
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		local, aside := d.Local("web"), filepath.Join(d.Task("web"), "aside")
		for {
			select {
			case <-stop:
				return
			default:
			}
			_ = os.Rename(local, aside)
			_ = os.Symlink("secrets", local)
			_ = os.Remove(local)
			_ = os.Rename(aside, local)
		}
	}()
	for range 3000 {
		f, err := d.Open("web/local/token")
		if err != nil {
			continue
		}
		var buf [6]byte
		if _, err := f.Read(buf[:]); err == nil && string(buf[:]) == "s3cret" {
			t.Error("a secret came out")
		}
		_ = f.Close()
	}
	close(stop)
	<-done
}

func TestListAndStat(t *testing.T) {
	_, d := build(t, "web")
	write(t, filepath.Join(d.Local("web"), "b"), "22")
	write(t, filepath.Join(d.Local("web"), "a"), "1")
	list, err := d.List("/web/local")
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].Name != "a" || list[1].Size != 2 || list[0].FileMode != "-rw-------" {
		t.Errorf("List = %+v", list)
	}
	top, err := d.List("/")
	if err != nil || len(top) != 2 {
		t.Errorf("List of the root = %v, %v", top, err)
	}
	info, err := d.Stat("web/local/b")
	if err != nil || info.Size != 2 || info.IsDir {
		t.Errorf("Stat = %+v, %v", info, err)
	}
}

func TestMoveAndRemove(t *testing.T) {
	tree, prev := build(t, "web")
	write(t, filepath.Join(prev.Shared(), "data", "db"), "rows")
	write(t, filepath.Join(prev.Local("web"), "cache"), "warm")
	next := buildIn(t, tree, "web", "new")
	if err := next.MoveFrom(prev, []string{"web", "new"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"alloc/data/db", "web/local/cache"} {
		f, err := next.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
	}
	for range 2 {
		if err := prev.Remove(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Lstat(prev.Path()); !errors.Is(err, fs.ErrNotExist) || prev.Exists() {
		t.Errorf("the directory is still there: %v", err)
	}
	if ids, err := tree.List(); err != nil || len(ids) != 1 || ids[0] != next.id {
		t.Errorf("List = %v, %v", ids, err)
	}
}

func TestNames(t *testing.T) {
	tree, d := build(t)
	for _, name := range []string{"", ".", "..", "alloc", ".state", "a/b", "../x"} {
		if err := d.BuildTask(name, ""); api.ErrorCode(err) != api.CodeInvalid {
			t.Errorf("BuildTask(%q) = %v", name, err)
		}
	}
	if _, err := tree.Dir("../etc"); api.ErrorCode(err) != api.CodeInvalid {
		t.Errorf("Dir of a bad ID = %v", err)
	}
}
