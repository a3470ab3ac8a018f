package docker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/drover-org/drover/internal/logrotate"
)

// cursor is how far a container's output was copied: for each stream the last
// message of the Engine's record, and where the files ended then.
type cursor struct {
	Container string
	Streams   [2]streamCursor
}

type streamCursor struct {
	Mark mark
	File logrotate.Position
}

func (t *task) cursorName() string { return t.cfg.Task + ".docker-logs.json" }

// newCursor marks the present end of the log files as the beginning of the
// container's output. It is saved before the container starts, so that not
// even a crash at once makes a line double.
func (t *task) newCursor() error {
	c := t.copier()
	if err := c.open(); err != nil {
		return err
	}
	defer c.close()
	for i := range c.out {
		c.out[i].mark, c.out[i].excess = mark{}, 0
	}
	return c.save()
}

// save writes the cursor, by way of a rename.
func (c *copier) save() error {
	if !c.opened {
		return nil
	}
	now := cursor{Container: c.t.handle.Container}
	for i := range c.out {
		out := &c.out[i]
		if out.excess > 0 { // the saved cursor is still the right one
			return nil
		}
		now.Streams[i] = streamCursor{Mark: out.mark, File: out.file.Position()}
	}
	b, err := json.Marshal(now)
	if err != nil {
		return err
	}
	if err := c.t.inState(func(dir *os.Root) error {
		name := c.t.cursorName()
		if err := dir.WriteFile(name+".new", b, 0o600); err != nil {
			return err
		}
		return dir.Rename(name+".new", name)
	}); err != nil {
		return &writeError{err}
	}
	c.saved, c.dirty = time.Now(), 0
	return nil
}

// loadCursor returns nil when there is none for this container.
func (t *task) loadCursor() (*cursor, error) {
	var saved cursor
	err := t.inState(func(dir *os.Root) error {
		b, err := dir.ReadFile(t.cursorName())
		if err != nil {
			return err
		}
		return json.Unmarshal(b, &saved)
	})
	if errors.Is(err, fs.ErrNotExist) || err == nil && saved.Container != t.handle.Container {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the cursor of the container's output: %w", err)
	}
	return &saved, nil
}

func (t *task) removeCursor() error {
	err := t.inState(func(dir *os.Root) error { return dir.Remove(t.cursorName()) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (t *task) inState(f func(*os.Root) error) error {
	dir, err := os.OpenRoot(t.cfg.StateDir)
	if err != nil {
		return err
	}
	defer dir.Close()
	return f(dir)
}
