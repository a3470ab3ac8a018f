// Package test runs the stories in scripts/: what a user does and sees, in
// text, through the real binary. Each story has agents of its own on free
// ports, so stories run in parallel. commands_test.go explains the commands
// that stories have besides those of testscript.
package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// binary is the program under test, absolute.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "drover-stories-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if binary, err = build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// build returns the binary that DROVER_BIN names, or a new one with the
// supervisor inside.
func build(dir string) (string, error) {
	if b := os.Getenv("DROVER_BIN"); b != "" {
		return filepath.Abs(b)
	}
	shim := "internal/shim/embedded/bin/drover-shim"
	if _, err := os.Stat(filepath.Join("..", shim)); err != nil {
		if err := goBuild([]string{"CGO_ENABLED=0"}, shim, "./cmd/drover-shim"); err != nil {
			return "", err
		}
	}
	out := filepath.Join(dir, "drover")
	return out, goBuild(nil, out, "./cmd/drover")
}

func goBuild(env []string, out, pkg string) error {
	cmd := exec.Command("go", "build", "-o", out, pkg)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, text)
	}
	return nil
}

func TestStories(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "scripts",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setup,
		Condition:           condition,
		Cmds:                commands(),
	})
}

// condition adds [root] and [docker] to what a story can ask for.
func condition(cond string) (bool, error) {
	switch cond {
	case "root":
		return os.Geteuid() == 0, nil
	case "docker":
		return exec.Command("docker", "version").Run() == nil, nil
	}
	return false, fmt.Errorf("unknown condition %q", cond)
}
