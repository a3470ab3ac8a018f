//go:build !linux

package agent

import (
	"errors"
	"os"
)

// watchHub does not exist on this system: followers poll.
type watchHub struct{}

type fileWatch struct{ c chan struct{} }

func newWatchHub() (*watchHub, error) { return nil, errors.New("not supported on this system") }

func (h *watchHub) run() {}

func (h *watchHub) close() {}

func (h *watchHub) add(*os.File) (*fileWatch, error) { return nil, errors.ErrUnsupported }

func (w *fileWatch) close() {}
