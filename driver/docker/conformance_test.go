package docker

import (
	"testing"

	"github.com/drover-org/drover/driver"
	"github.com/drover-org/drover/driver/drivertest"
)

// closing ends its driver's Run, as the end of an agent does.
type closing struct {
	*Driver
	end func()
}

func (c closing) Close() error {
	c.end()
	return nil
}

func TestConformance(t *testing.T) {
	needEngine(t)
	drivertest.Run(t, drivertest.Harness{
		New: func(t testing.TB) driver.Driver {
			d, end := startDriver(t)
			return closing{d, end}
		},
		Config: func(p drivertest.Program) map[string]any {
			return map[string]any{
				"image": busybox, "entrypoint": []any{"/bin/sh", "-c"}, "args": []any{p.Script()},
				"init": p.ExitSignal != "", // process 1 can't kill itself
			}
		},
		Unstartable: map[string]any{"image": busybox, "command": "/no/such/program"},
		Shell:       true,
	})
}
