package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"sort"
	"sync"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

const (
	maxLogLine  = 64 << 10               // a longer line is printed in pieces
	resumeAfter = 500 * time.Millisecond // after a stream broke
)

// tailer merges the logs of tasks, line by line, while they are written. A
// watch says which tasks there are; each of their logs is followed by a
// goroutine of its own, which ends when its task has and everything it wrote
// was printed.
type tailer struct {
	e      *env
	c      *client.Client
	o      *allocLogsOptions
	task   string // empty: all
	prefix bool   // lines say where they come from

	mu      sync.Mutex // guards the output: lines of one source stay whole
	sources map[string]*source
	hues    map[string]int
	wg      sync.WaitGroup
}

// source is one log that is followed.
type source struct {
	alloc, task, kind string
	label             string
	from              client.StreamOptions
	lines             int
	at                client.StreamOptions // where the next byte to read is
	partial           []byte
	ended             chan struct{} // closed when the task will write no more
	closed            bool          // ended is
}

func (e *env) newTailer(c *client.Client, o *allocLogsOptions, task string) *tailer {
	return &tailer{e: e, c: c, o: o, task: task, sources: map[string]*source{}, hues: map[string]int{}}
}

// alloc follows one task of one allocation to its end.
func (t *tailer) alloc(ctx context.Context, a *api.Allocation) error {
	ctx, cancel := context.WithCancel(ctx)
	defer t.wg.Wait()
	defer cancel()
	read := func(ctx context.Context, o api.ListOptions) (*api.Allocation, api.Meta, error) {
		return t.c.Allocs().Info(ctx, a.ID, o)
	}
	err := client.Follow(ctx, api.ListOptions{Namespace: a.Namespace}, read, func(a *api.Allocation, _ api.Meta) bool {
		t.see(ctx, a.Stub(), true)
		return !t.over(a.Stub())
	})
	return t.settle(err)
}

// over reports whether the tasks of an allocation that are followed have
// ended.
func (t *tailer) over(a *api.AllocListStub) bool {
	if terminal(a) {
		return true
	}
	st := a.TaskStates[t.task]
	return t.task != "" && st != nil && st.State == api.TaskStateDead
}

// settle waits for the sources to print what is left, unless err ends all.
func (t *tailer) settle(err error) error {
	if err != nil && !api.IsNotFound(err) {
		return err
	}
	t.endAll()
	t.wg.Wait()
	return nil
}

// job follows, or without -f prints, all allocations of a job.
func (t *tailer) job(ctx context.Context, job *api.JobListStub) error {
	t.prefix = true
	ctx, cancel := context.WithCancel(ctx)
	defer t.wg.Wait()
	defer cancel()
	if !t.o.follow {
		list, _, err := t.c.Jobs().Allocations(ctx, job.ID, false, api.ListOptions{Namespace: job.Namespace})
		if err != nil {
			return err
		}
		for _, a := range t.wanted(list) {
			t.see(ctx, a, true)
		}
		return t.settle(nil)
	}
	return t.settle(t.followJob(ctx, job))
}

// followJob returns when the job is dead and all its allocations have ended.
// What was started meanwhile goes on: its context is the caller's.
func (t *tailer) followJob(sources context.Context, job *api.JobListStub) error {
	ctx, cancel := context.WithCancel(sources)
	type news struct {
		status string
		allocs []*api.AllocListStub
		err    error
	}
	ch := make(chan news)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	in := api.ListOptions{Namespace: job.Namespace}
	wg.Go(func() {
		read := func(ctx context.Context, o api.ListOptions) (*api.Job, api.Meta, error) {
			return t.c.Jobs().Info(ctx, job.ID, o)
		}
		err := client.Follow(ctx, in, read, func(j *api.Job, _ api.Meta) bool { return send(ctx, ch, news{status: j.Status}) })
		if api.IsNotFound(err) {
			send(ctx, ch, news{status: api.JobStatusDead}) // purged
		} else if err != nil {
			send(ctx, ch, news{err: err})
		}
	})
	wg.Go(func() {
		read := func(ctx context.Context, o api.ListOptions) ([]*api.AllocListStub, api.Meta, error) {
			return t.c.Jobs().Allocations(ctx, job.ID, false, o)
		}
		err := client.Follow(ctx, in, read, func(list []*api.AllocListStub, _ api.Meta) bool { return send(ctx, ch, news{allocs: list}) })
		if err != nil {
			send(ctx, ch, news{err: err})
		}
	})
	status, listed, running := "", false, 0
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case n := <-ch:
			switch {
			case n.err != nil:
				return n.err
			case n.status != "":
				status = n.status
			default:
				running = t.seeAll(sources, n.allocs, !listed)
				listed = true
			}
		}
		if status == api.JobStatusDead && listed && running == 0 {
			return nil
		}
	}
}

// seeAll takes notice of a job's allocations and returns how many still run.
func (t *tailer) seeAll(ctx context.Context, list []*api.AllocListStub, first bool) (running int) {
	for _, a := range t.wanted(list) {
		if !terminal(a) {
			running++
		}
		replaced := a.NextAllocation != "" || a.DesiredStatus != api.AllocDesiredRun
		if first && terminal(a) && replaced {
			t.ignore(a) // history: its successor is what is followed
		}
		t.see(ctx, a, first)
	}
	return running
}

// wanted keeps the allocations of the group that was asked for, the oldest
// first.
func (t *tailer) wanted(list []*api.AllocListStub) []*api.AllocListStub {
	var out []*api.AllocListStub
	for _, a := range list {
		if t.o.group == "" || a.TaskGroup == t.o.group {
			out = append(out, a)
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].CreateIndex < out[j].CreateIndex })
	return out
}

func terminal(a *api.AllocListStub) bool {
	switch a.ClientStatus {
	case api.AllocClientComplete, api.AllocClientFailed, api.AllocClientLost:
		return true
	}
	return false
}

func sourceKey(alloc, task, kind string) string { return alloc + "/" + task + "/" + kind }

// ignore has an allocation's logs count as printed.
func (t *tailer) ignore(a *api.AllocListStub) {
	for task := range a.TaskStates {
		for _, kind := range t.o.kinds() {
			t.sources[sourceKey(a.ID, task, kind)] = &source{closed: true}
		}
	}
}

// see starts sources for the tasks of an allocation that have started, and
// ends those of tasks that have ended. first tells allocations that were
// there before from those that join and are shown from their beginning.
func (t *tailer) see(ctx context.Context, a *api.AllocListStub, first bool) {
	for _, task := range keys(a.TaskStates) {
		st := a.TaskStates[task]
		if t.task != "" && task != t.task || st.StartedAt.IsZero() && st.State != api.TaskStateRunning {
			continue
		}
		dead := terminal(a) || st.State == api.TaskStateDead
		for _, kind := range t.o.kinds() {
			s := t.sources[sourceKey(a.ID, task, kind)]
			if s == nil {
				s = t.start(ctx, a, task, kind, first)
			}
			if dead {
				s.end()
			}
		}
	}
}

func (s *source) end() {
	if !s.closed {
		s.closed = true
		close(s.ended)
	}
}

func (t *tailer) endAll() {
	for _, s := range t.sources {
		s.end()
	}
}

func (t *tailer) start(ctx context.Context, a *api.AllocListStub, task, kind string, first bool) *source {
	s := &source{alloc: a.ID, task: task, kind: kind, label: t.label(a, task), ended: make(chan struct{})}
	if first {
		s.from, s.lines = tailFrom(t.o.toTail, t.o.lines, t.o.bytes)
	}
	t.sources[sourceKey(a.ID, task, kind)] = s
	t.wg.Go(func() { t.run(ctx, s) })
	return s
}

// label stands before every line of a job's logs.
func (t *tailer) label(a *api.AllocListStub, task string) string {
	if !t.prefix {
		return ""
	}
	n, ok := t.hues[a.ID]
	if !ok {
		n = len(t.hues)
		t.hues[a.ID] = n
	}
	text := idText(a.ID, t.o.verbose)
	if len(a.TaskStates) > 1 {
		text += " " + task
	}
	return t.e.out.hue(n, text+" │") + " "
}

// run prints one log to its end.
func (t *tailer) run(ctx context.Context, s *source) {
	defer t.flush(s)
	for s.from.Origin == client.FromEnd {
		text, rest, err := readTail(t.opener(ctx, s), s.from, s.lines)
		if err == nil {
			t.print(s, text)
			s.at = rest
		}
		if api.ErrorCode(err) != api.CodeUnavailable {
			break
		}
		if sleepFor(ctx, resumeAfter) != nil { // the agent is away: all of the log would be too much
			return
		}
	}
	for {
		select {
		case <-s.ended:
			_ = t.copy(ctx, s, false)
			return
		default:
		}
		err := t.copyUntilEnded(ctx, s)
		if ctx.Err() != nil {
			return
		}
		if err != nil && t.gone(s, err) {
			return
		}
		select {
		case <-s.ended: // whatever the stream missed is read above
		case <-time.After(resumeAfter):
		case <-ctx.Done():
			return
		}
	}
}

// copyUntilEnded follows the log until the task has ended or the stream does.
func (t *tailer) copyUntilEnded(ctx context.Context, s *source) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		select {
		case <-s.ended:
			cancel()
		case <-ctx.Done():
		}
	})
	return t.copy(ctx, s, true)
}

// gone reports an error that another attempt won't cure, once.
func (t *tailer) gone(s *source, err error) bool {
	switch api.ErrorCode(err) {
	case api.CodeForbidden, api.CodeInvalid, api.CodeUnsupported:
		t.mu.Lock()
		defer t.mu.Unlock()
		t.e.warn(fmt.Sprintf("log of task %q in allocation %s: %v", s.task, short(s.alloc), err))
		return true
	}
	return false
}

func (t *tailer) opener(ctx context.Context, s *source) func(client.StreamOptions) (*client.Stream, error) {
	return func(o client.StreamOptions) (*client.Stream, error) {
		return t.c.FS().Logs(ctx, s.alloc, s.task, s.kind, o)
	}
}

// copy prints from where the source stands.
func (t *tailer) copy(ctx context.Context, s *source, follow bool) error {
	s.at.Follow = follow
	st, err := t.opener(ctx, s)(s.at)
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }()
	for {
		f, err := st.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if f.FileEvent == api.FileDeleted {
			t.lost(s, f.File)
		}
		if len(f.Data) > 0 {
			t.print(s, f.Data)
			s.at = st.Resume(follow)
		}
	}
}

// lost says that rotation was faster than this reader.
func (t *tailer) lost(s *source, file string) {
	t.flush(s)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.e.warn(fmt.Sprintf("lines of task %q in allocation %s are missing here: rotation removed %s before it was read", s.task, short(s.alloc), path.Base(file)))
}

// print writes the whole lines and keeps the rest.
func (t *tailer) print(s *source, data []byte) {
	s.partial = append(s.partial, data...)
	for {
		at := bytes.IndexByte(s.partial, '\n')
		if at < 0 && len(s.partial) < maxLogLine {
			return
		}
		if at < 0 {
			at = len(s.partial) - 1
		}
		t.printLine(s, s.partial[:at+1])
		s.partial = s.partial[at+1:]
	}
}

func (t *tailer) flush(s *source) {
	if len(s.partial) > 0 {
		t.printLine(s, s.partial)
		s.partial = nil
	}
}

func (t *tailer) printLine(s *source, line []byte) {
	w, st := t.e.Out, t.e.out
	if !t.prefix && s.kind == client.Stderr && len(t.o.kinds()) > 1 {
		w, st = t.e.Err, t.e.err
	}
	text := string(bytes.TrimSuffix(line, []byte{'\n'}))
	if !t.o.raw {
		text = safeLine(text, st)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	_, _ = io.WriteString(w, s.label+text+"\n")
}
