package cli

import (
	"context"
	"flag"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
	"github.com/drover-org/drover/internal/asciicast"
)

type allocExecOptions struct {
	job         bool
	task, group string
	stdin, tty  optionalBool
	escape      string
	record      string
}

func allocExecVerb() *verb {
	o := allocExecOptions{escape: "~"}
	return &verb{
		name: "alloc exec", aliases: []string{"exec"}, args: "[options] ALLOC COMMAND [ARGS…]", argKind: "alloc", rawArgs: true,
		short: "Run a command in a task",
		long: `
Runs COMMAND where a task runs, with this terminal or with pipes, and ends with
its exit code. Without -i and -t they are chosen by what standard input and
output are. With a terminal, the escape character and a dot at the beginning of
a line ("~.") end the session.

-record keeps what the command wrote in FILE, with its times, as an asciicast that
terminal players read; what is typed is not recorded.

Exit codes: that of COMMAND (128 and the signal's number if a signal ended it),
1 when it could not be run.`,
		flags: func(fs *flag.FlagSet) {
			fs.StringVar(&o.task, "task", "", "in `TASK`")
			fs.BoolVar(&o.job, "job", false, "the first argument is a job: use one of its allocations")
			fs.StringVar(&o.group, "group", "", "with -job: an allocation of `GROUP`")
			fs.Var(&o.stdin, "i", "pass standard input on (default yes)")
			fs.Var(&o.tty, "t", "give COMMAND a terminal (default: if there is one here)")
			fs.StringVar(&o.record, "record", "", "record the output in `FILE`, which must not exist")
			fs.StringVar(&o.escape, "e", "~", "escape `CHARACTER`, none to have none")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runAllocExec(ctx, e, &o, args) },
	}
}

func runAllocExec(ctx context.Context, e *env, o *allocExecOptions, args []string) error {
	if len(args) < 2 {
		return usagef("an allocation and a command are expected")
	}
	if o.escape != "none" && len(o.escape) != 1 {
		return usagef("-e %q is not one character and not none", o.escape)
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	a, command, err := e.chooseAlloc(ctx, c, o.job, o.group, args)
	if err != nil {
		return err
	}
	task, err := taskOf(a, o.task)
	if err != nil {
		return err
	}
	x := &client.ExecOptions{Task: task, Command: command, Stdout: e.Out, Stderr: e.Err}
	x.TTY = o.tty.or(isTerminal(e.In) && isTerminal(e.Out))
	if o.stdin.or(true) {
		x.Stdin = e.In
	}
	finish := func() error { return nil }
	if o.record != "" {
		if finish, err = e.record(o.record, x); err != nil {
			return err
		}
	}
	result, err := e.session(ctx, x, o.escape, func(ctx context.Context) (*api.ExecResult, error) { return c.Allocs().Exec(ctx, a.ID, x) })
	if bad := finish(); bad != nil {
		e.warn("the recording is not whole: " + bad.Error())
	}
	if err != nil {
		return err
	}
	return execCode(result)
}

// record has a session recorded, until the function it returns is called.
func (e *env) record(path string, x *client.ExecOptions) (finish func() error, err error) {
	width, height := 80, 24
	if f := fileOf(e.Out); f != nil {
		if w, h, err := term.GetSize(int(f.Fd())); err == nil {
			width, height = w, h
		}
	}
	f, err := asciicast.Create(path)
	if err != nil {
		return nil, err
	}
	r := asciicast.New(f, asciicast.Header{Width: width, Height: height, Command: x.Command}, time.Now)
	x.Stdout, x.Stderr = &tee{r, asciicast.Stdout, x.Stdout}, &tee{r, asciicast.Stderr, x.Stderr}
	return r.Close, nil
}

// tee records what passes. What was typed is not recorded, since it may hold
// secrets that are not shown, and a recording that fails does not hold up the
// session.
type tee struct {
	r    *asciicast.Recorder
	from asciicast.Stream
	w    io.Writer
}

func (t *tee) Write(p []byte) (int, error) {
	n, err := t.w.Write(p)
	_ = t.r.Record(t.from, p[:n]) // Close tells
	return n, err
}

// session runs a command with the options x, in raw mode when it has a terminal.
func (e *env) session(ctx context.Context, x *client.ExecOptions, escape string, run func(context.Context) (*api.ExecResult, error)) (*api.ExecResult, error) {
	in := fileOf(e.In)
	if !x.TTY || in == nil || !term.IsTerminal(int(in.Fd())) {
		return run(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, err
	}
	defer func() { _ = term.Restore(int(in.Fd()), before) }()
	left := false
	if x.Stdin != nil && escape != "none" {
		x.Stdin = &escapeReader{r: x.Stdin, escape: escape[0], leave: func() { left = true; cancel() }}
	}
	x.Resize = terminalSizes(ctx, in)
	result, err := run(ctx)
	if left {
		return nil, &exit{code: exitCancel}
	}
	return result, err
}

// terminalSizes sends the size of a terminal now and whenever it changes,
// until ctx ends.
func terminalSizes(ctx context.Context, f *os.File) <-chan api.TerminalSize {
	out := make(chan api.TerminalSize, 1)
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	go func() {
		defer signal.Stop(changed)
		for {
			if w, h, err := term.GetSize(int(f.Fd())); err == nil && !send(ctx, out, api.TerminalSize{Height: h, Width: w}) {
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

func execCode(r *api.ExecResult) error {
	switch {
	case r.Signal != 0:
		return &exit{code: 128 + r.Signal}
	case r.ExitCode != 0:
		return &exit{code: r.ExitCode}
	}
	return nil
}

// optionalBool is a switch that may also be left open.
type optionalBool struct{ set, value bool }

func (b *optionalBool) or(open bool) bool {
	if b.set {
		return b.value
	}
	return open
}

// String is empty while the switch is open.
func (b *optionalBool) String() string {
	switch {
	case !b.set:
		return ""
	case b.value:
		return "true"
	}
	return "false"
}

// Set takes true or false.
func (b *optionalBool) Set(s string) error {
	switch s {
	case "true", "1":
		b.set, b.value = true, true
	case "false", "0":
		b.set, b.value = true, false
	default:
		return usagef("%q is neither true nor false", s)
	}
	return nil
}

// IsBoolFlag lets the switch be given without a value.
func (b *optionalBool) IsBoolFlag() bool { return true }
