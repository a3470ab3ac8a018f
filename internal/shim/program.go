package shim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"github.com/drover-org/drover/internal/shim/embedded"
	"github.com/drover-org/drover/internal/shim/supervisor"
)

// Program is the executable of a supervisor.
type Program struct {
	Path string   // absolute
	Args []string // without the name
}

// Subcommand makes a program that calls Intercept a supervisor.
const Subcommand = "supervise-tasks"

// Install writes the embedded supervisor into dir, under a name made of its
// content, and returns it. Nothing is written if it is there already; an older
// one stays, since a supervisor may be running it. If this program was built
// without an embedded supervisor, its own executable is returned, which then
// must call Intercept first thing in main.
func Install(dir string) (Program, error) {
	content := embedded.Supervisor()
	if content == nil {
		return Self(), nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Program{}, fmt.Errorf("install the supervisor: %w", err)
	}
	sum := sha256.Sum256(content)
	path := filepath.Join(dir, "drover-shim-"+hex.EncodeToString(sum[:6]))
	if have, err := os.ReadFile(path); err == nil && sha256.Sum256(have) == sum {
		return Program{Path: path}, nil
	}
	f, err := os.CreateTemp(dir, ".drover-shim-")
	if err != nil {
		return Program{}, fmt.Errorf("install the supervisor: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(0o755)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return Program{}, fmt.Errorf("install the supervisor: %w", err)
	}
	return Program{Path: path}, nil
}

// Self is the program that runs now, as a supervisor.
func Self() Program { return Program{Path: ownProgram, Args: []string{Subcommand}} }

const ownProgram = "/proc/self/exe"

// Intercept turns the process into a supervisor if it was started as one, and
// never returns then. Call it first in main, and in TestMain of packages that
// run real tasks.
func Intercept() {
	if len(os.Args) > 1 && os.Args[1] == Subcommand {
		os.Exit(Main(os.Args[2:]))
	}
}

// Main is the supervisor; see supervisor.Main.
func Main(args []string) int { return supervisor.Main(args) }
