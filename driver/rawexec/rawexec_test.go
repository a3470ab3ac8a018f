package rawexec_test

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/drover-org/drover/driver"
	"github.com/drover-org/drover/driver/drivertest"
	"github.com/drover-org/drover/driver/rawexec"
	"github.com/drover-org/drover/internal/shim"
)

var program shim.Program

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "rawexec")
	if err != nil {
		panic(err)
	}
	program = shim.Program{Path: filepath.Join(dir, "drover-shim")}
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program.Path, "github.com/drover-org/drover/cmd/drover-shim")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(string(out))
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func newDriver(t testing.TB, edit func(*rawexec.Config)) *rawexec.Driver {
	t.Helper()
	cfg := rawexec.Config{Enabled: true, Program: program, Log: slog.New(slog.DiscardHandler), Now: time.Now, CgroupParent: "drover-test"}
	if edit != nil {
		edit(&cfg)
	}
	d, err := rawexec.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestConformance(t *testing.T) {
	drivertest.Run(t, drivertest.Harness{
		New: func(t testing.TB) driver.Driver { return newDriver(t, nil) }, // closed by the suite
		Config: func(p drivertest.Program) map[string]any {
			return map[string]any{"command": "/bin/sh", "args": []any{"-c", p.Script()}}
		},
		Unstartable: map[string]any{"command": "/no/such/command"},
		Shell:       true,
	})
}
