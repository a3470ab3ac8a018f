package allocdir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drover-org/drover/api"
)

func TestWriteSecret(t *testing.T) {
	tree, err := NewTree(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tree.Close() })
	d, err := tree.Dir(api.NewID())
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []func() error{d.Build, func() error { return d.BuildTask("web", "") }, func() error { return d.BuildTask("db", "") }} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("theirs"), 0o644); err != nil {
		t.Fatal(err)
	}
	link := func(to, name string) {
		t.Helper()
		if err := os.Symlink(to, filepath.Join(d.Task("web"), name)); err != nil {
			t.Fatal(err)
		}
	}
	link(outside, "secrets/linked")
	link("../../db/secrets/token", "secrets/sideways")
	link("../db", "dir")

	for _, name := range []string{"secrets/token", "secrets/token", "secrets/linked", "secrets/sideways", "local/a/b/token"} {
		if err := d.WriteSecret("web", name, "", []byte("secret")); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		file := filepath.Join(d.Task("web"), name)
		info, err := os.Lstat(file)
		if err != nil || !info.Mode().IsRegular() || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != "secret" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"", ".", "..", "../db/secrets/token", "/etc/passwd", "secrets/../../db/token", "dir/token", "secrets/token/below"} {
		if err := d.WriteSecret("web", name, "", []byte("secret")); err == nil {
			t.Errorf("%s was written", name)
		}
	}
	if err := d.WriteSecret("../x", "token", "", nil); err == nil {
		t.Error("a task elsewhere was written to")
	}
	if got, err := os.ReadFile(outside); err != nil || string(got) != "theirs" {
		t.Errorf("outside: %q, %v", got, err)
	}
	if _, err := os.Lstat(filepath.Join(d.Secrets("db"), "token")); !os.IsNotExist(err) {
		t.Errorf("another task's secrets were written: %v", err)
	}
	for _, dir := range []string{d.Secrets("web"), d.Task("web")} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), secretTemp) {
				t.Errorf("%s is left", e.Name())
			}
		}
	}
}
