package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/drover-org/drover/internal/logrotate"
)

const (
	// skew is by how much messages of one stream may be stored after younger
	// ones of the other: the Engine stamps and stores the two separately.
	skew = 2 * time.Second
	// tailMessages is how many messages are looked at first when a container
	// has ended; nearly always they reach back to what was copied.
	tailMessages = 200
	// saveEvery and saveBytes bound what has to be read again after a crash.
	saveEvery = time.Second
	saveBytes = 1 << 20
	// behind is how old a followed message may be. An Engine that follows a
	// record loses the files that come and go while it reads an older one, so
	// a follower that is late is left for a reading of the whole record. The
	// record's files are so large (see logConfig) that none goes within this
	// time.
	behind = 100 * time.Millisecond
	// breath is the pause after such a reading.
	breath = 20 * time.Millisecond
)

// copier copies a container's output into the allocation's log files. One
// goroutine at a time uses it. A nil copier copies nothing.
type copier struct {
	t      *task
	opened bool
	logs   *os.Root
	out    [2]output // stdout and stderr
	saved  time.Time
	dirty  int // bytes since
}

// output is one stream.
type output struct {
	mark   mark
	file   *logrotate.Writer
	excess int64 // bytes that the files hold beyond mark
}

// mark is a place in the Engine's record of one stream.
type mark struct {
	At    time.Time // of the last message
	Count int       // messages of that time so far
	Open  bool      // the last one did not end its line
}

func (t *task) copier() *copier {
	if !t.handle.Logs {
		return nil
	}
	return &copier{t: t}
}

// follow copies until ctx ends.
func (c *copier) follow(ctx context.Context) {
	if c == nil {
		return
	}
	_ = c.t.d.retry(ctx, "logs", func() error {
		if err := c.open(); err != nil {
			return err
		}
		for {
			if err := c.drain(ctx); err != nil {
				return err
			}
			err := c.read(ctx, client.ContainerLogsOptions{Follow: true, Since: c.since()})
			if err == nil {
				return errors.New("the Engine's log stream ended")
			}
			if !errors.Is(err, errBehind) || ctx.Err() != nil {
				return err
			}
			pause(ctx, breath)
		}
	}, c.hopeless)
}

var errBehind = errors.New("the Engine's stream of output is late")

// hopeless reports that reading again can't help, and says so.
func (c *copier) hopeless(err error) bool {
	if cerrdefs.IsNotFound(err) {
		return true
	}
	if cerrdefs.IsNotImplemented(err) {
		c.t.d.log.Warn("the container's log driver can't be read; its output is not copied", "task", c.t.cfg.ID, "error", err)
		return true
	}
	return false
}

// finish copies what is left of an ended container's output: follow, which
// closes copied, is stopped by stop when the stream has not ended by itself.
func (c *copier) finish(ctx context.Context, stop func(), copied <-chan struct{}, removed bool) {
	if c == nil {
		stop()
		<-copied
		return
	}
	stop()
	<-copied
	defer c.close()
	if removed || ctx.Err() != nil {
		return
	}
	_ = c.t.d.retry(ctx, "logs", func() error {
		if err := c.open(); err != nil {
			return err
		}
		return c.drain(ctx)
	}, func(err error) bool {
		if _, local := errors.AsType[*writeError](err); local {
			c.t.d.log.Error("the end of a task's output could not be written", "task", c.t.cfg.ID, "error", err)
			return true
		}
		return c.hopeless(err)
	})
}

// drain copies what was written up to now.
func (c *copier) drain(ctx context.Context) error {
	var tail []message
	all := client.ContainerLogsOptions{Tail: strconv.Itoa(tailMessages)}
	err := c.messages(ctx, all, func(m message) error {
		m.text = append([]byte(nil), m.text...)
		tail = append(tail, m)
		return nil
	})
	if err != nil {
		return err
	}
	if from := c.from(); len(tail) == tailMessages && !tail[0].at.Before(from) {
		return c.read(ctx, client.ContainerLogsOptions{Since: c.since()})
	}
	consume := c.resume()
	for _, m := range tail {
		if err := consume(m); err != nil {
			return err
		}
	}
	return c.save()
}

// read copies messages until there are no more. Those before the marks, which
// the overlap brings again, are skipped.
func (c *copier) read(ctx context.Context, opts client.ContainerLogsOptions) error {
	consume := c.resume()
	err := c.messages(ctx, opts, func(m message) error {
		// The parts of a line bear the time of the first: they prove nothing.
		if opts.Follow && m.at.After(c.out[m.stream].mark.At) && time.Since(m.at) > behind {
			return errBehind
		}
		return consume(m)
	})
	if saveErr := c.save(); err == nil {
		err = saveErr
	}
	return err
}

// from is the time from which on messages may be missing; zero for all.
func (c *copier) from() time.Time {
	newest := c.out[0].mark.At
	if at := c.out[1].mark.At; at.After(newest) {
		newest = at
	}
	from := newest
	for i := range c.out {
		m := c.out[i].mark
		start := newest.Add(-skew)
		// The parts of a line all bear the time of the first.
		if m.Open || m.At.After(start) {
			start = m.At
		}
		if start.Before(from) {
			from = start
		}
	}
	if newest.IsZero() {
		return time.Time{}
	}
	return from
}

func (c *copier) since() string {
	if from := c.from(); !from.IsZero() {
		return stamp(from)
	}
	return ""
}

// resume returns a function that takes the messages of a new reading, which
// begins at or before the marks.
func (c *copier) resume() func(message) error {
	var passed [2]bool
	var again [2]int
	start := [2]mark{c.out[0].mark, c.out[1].mark}
	return func(m message) error {
		if s := start[m.stream]; !passed[m.stream] {
			if m.at.Before(s.At) {
				return nil
			}
			if m.at.Equal(s.At) && again[m.stream] < s.Count {
				again[m.stream]++
				return nil
			}
			passed[m.stream] = true
		}
		return c.write(m)
	}
}

// write appends one message to its file, less what is there already.
func (c *copier) write(m message) error {
	out := &c.out[m.stream]
	if out.mark.Open && !m.at.Equal(out.mark.At) {
		// All parts of a line bear one time, so it has ended: the compact log
		// driver of older Engines forgets the newline of a line in parts.
		m.text = append([]byte{'\n'}, m.text...)
	}
	text := m.text
	if out.excess > 0 {
		n := min(out.excess, int64(len(text)))
		out.excess -= n
		text = text[n:]
	}
	if out.file.Rotates(text) || c.dirty > saveBytes || time.Since(c.saved) > saveEvery {
		if err := c.save(); err != nil {
			return err
		}
	}
	if n, err := out.file.Write(text); err != nil {
		out.excess = int64(len(m.text) - len(text) + n)
		return &writeError{err}
	}
	if m.at.Equal(out.mark.At) {
		out.mark.Count++
	} else {
		out.mark.At, out.mark.Count = m.at, 1
	}
	out.mark.Open = !m.ended
	c.dirty += len(m.text)
	return nil
}

// writeError is a failure of our own disk, not of the Engine.
type writeError struct{ error }

func (e *writeError) Unwrap() error { return e.error }

// open opens the log files and the cursor.
func (c *copier) open() error {
	if c.opened {
		return nil
	}
	logs, err := os.OpenRoot(c.t.cfg.LogDir)
	if err != nil {
		return &writeError{err}
	}
	c.logs = logs
	saved, err := c.t.loadCursor()
	for i := range c.out {
		if err == nil {
			err = c.openStream(i, saved)
		}
	}
	if err != nil {
		c.close()
		return &writeError{fmt.Errorf("open the log files: %w", err)}
	}
	c.opened, c.saved = true, time.Now()
	return nil
}

func (c *copier) openStream(i int, saved *cursor) error {
	file, err := logrotate.Open(logrotate.Config{
		Dir:      c.logs,
		Name:     c.t.cfg.Task + [2]string{".stdout", ".stderr"}[i],
		MaxFiles: max(c.t.cfg.Logs.MaxFiles, 1),
		MaxSize:  max(c.t.cfg.Logs.MaxFileSize, 1),
	})
	if err != nil {
		return err
	}
	c.out[i] = output{file: file}
	if saved == nil {
		return nil
	}
	c.out[i].mark = saved.Streams[i].Mark
	c.out[i].excess, err = file.Since(saved.Streams[i].File)
	return err
}

// close closes what open opened. Open again begins at the saved cursor.
func (c *copier) close() {
	for i := range c.out {
		if c.out[i].file != nil {
			c.out[i].file.Close()
			c.out[i].file = nil
		}
	}
	if c.logs != nil {
		c.logs.Close()
		c.logs = nil
	}
	c.opened = false
}
