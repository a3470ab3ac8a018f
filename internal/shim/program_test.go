package shim_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/drover-org/drover/internal/shim"
	"github.com/drover-org/drover/internal/shim/embedded"
)

func TestInstall(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bin")
	p, err := shim.Install(dir)
	if err != nil {
		t.Fatal(err)
	}
	if embedded.Supervisor() == nil {
		if p.Path != shim.Self().Path || len(p.Args) != 1 || p.Args[0] != shim.Subcommand {
			t.Errorf("program %+v", p)
		}
		return
	}
	before, err := os.Stat(p.Path)
	if err != nil || before.Mode().Perm() != 0o755 {
		t.Fatalf("%v, %v", before, err)
	}
	// Again: nothing is written. Damaged: it is written anew.
	if again, err := shim.Install(dir); err != nil || again.Path != p.Path {
		t.Errorf("%+v, %v", again, err)
	}
	if after, err := os.Stat(p.Path); err != nil || !os.SameFile(before, after) {
		t.Errorf("it was written twice, %v", err)
	}
	if err := os.WriteFile(p.Path, []byte("x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := shim.Install(dir); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(p.Path); err != nil || after.Size() != before.Size() {
		t.Errorf("damage stays, %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left: %v", entries)
	}
}
