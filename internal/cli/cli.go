package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/drover-org/drover/api"
)

// Stdio is what a command line has of its process.
type Stdio struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
	Env []string // NAME=value; of equal names the last counts
}

// Getenv returns a variable's value, empty without one.
func (s Stdio) Getenv(name string) string {
	for i := len(s.Env) - 1; i >= 0; i-- {
		if value, ok := strings.CutPrefix(s.Env[i], name+"="); ok {
			return value
		}
	}
	return ""
}

// OS returns the streams and environment of this process.
func OS() Stdio {
	return Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Environ()}
}

// Exit codes that all verbs share.
const (
	exitOK     = 0
	exitFailed = 1
	exitCancel = 130 // interrupted, as shells count it
)

// exit ends a verb with a code of its own; err may be nil when everything has
// been said.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

// usageError is a fault in the command line itself.
type usageError struct{ text string }

func (u *usageError) Error() string { return u.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// Run executes one command line, without the program's name, and returns the
// exit code. When ctx ends the verb is given up.
func Run(ctx context.Context, args []string, io Stdio) int {
	table := verbs()
	if len(args) == 0 {
		writeOverview(io.Out, table, newStyle(io, io.Out))
		return exitOK
	}
	switch args[0] {
	case "-h", "-help", "--help", "help":
		return runHelp(io, table, args[1:])
	case "-v", "-version", "--version":
		args = append([]string{"version"}, args[1:]...)
	case completeVerb:
		return runComplete(ctx, io, table, args[1:])
	}
	v, rest := find(table, args)
	if v == nil {
		return unknownVerb(io, table, args)
	}
	return v.exec(ctx, io, rest)
}

// find returns the verb that the first words name.
func find(table []*verb, args []string) (*verb, []string) {
	var best *verb
	var rest []string
	for _, v := range table {
		for _, name := range append([]string{v.name}, v.aliases...) {
			words := strings.Fields(name)
			if len(words) > len(args) || strings.Join(args[:len(words)], " ") != name {
				continue
			}
			if best == nil || len(args)-len(words) < len(rest) {
				best, rest = v, args[len(words):]
			}
		}
	}
	return best, rest
}

// exec parses the flags, runs the verb and says what went wrong.
func (v *verb) exec(ctx context.Context, io Stdio, args []string) int {
	e := &env{Stdio: io, verb: v}
	defer e.close()
	fs := v.flagSet(e)
	words, err := parseFlags(fs, args, v.rawArgs)
	if errors.Is(err, flag.ErrHelp) {
		writeHelp(io.Out, v, newStyle(io, io.Out))
		return exitOK
	}
	e.out, e.err = e.styles()
	if err == nil {
		err = v.run(ctx, e, words)
	} else {
		err = &usageError{err.Error()}
	}
	return e.conclude(ctx, err)
}

// conclude prints err for the user and picks the exit code.
func (e *env) conclude(ctx context.Context, err error) int {
	failed := exitFailed
	if e.verb.failure != 0 {
		failed = e.verb.failure
	}
	var code *exit
	var usage *usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &code):
		if code.err != nil {
			e.complain(code.err)
		}
		return code.code
	case ctx.Err() != nil:
		return exitCancel
	case errors.As(err, &usage):
		e.complain(err)
		_, _ = fmt.Fprintf(e.Err, "Usage: drover %s %s\nMore: drover help %s\n", e.verb.name, e.verb.args, e.verb.name)
	default:
		e.complain(err)
	}
	return failed
}

// complain prints an error, with the next step where there is an obvious one.
func (e *env) complain(err error) {
	_, _ = fmt.Fprintf(e.Err, "%s %s\n", e.err.red("Error:"), visible(err.Error()))
	if api.ErrorCode(err) == api.CodeUnavailable && e.opened {
		_, _ = fmt.Fprintln(e.Err, e.err.dim("Is an agent running there? \"drover agent -dev\" starts one; -address or NOMAD_ADDR names another."))
	}
}

func unknownVerb(io Stdio, table []*verb, args []string) int {
	st := newStyle(io, io.Err)
	if group := groupOf(table, args[0]); len(group) > 0 {
		if len(args) > 1 && !strings.HasPrefix(args[1], "-") {
			_, _ = fmt.Fprintf(io.Err, "%s %q is no command of \"drover %s\".\n\n", st.red("Error:"), args[1], args[0])
			writeGroup(io.Err, args[0], group, st)
			return exitFailed
		}
		writeGroup(io.Out, args[0], group, newStyle(io, io.Out))
		return exitOK
	}
	_, _ = fmt.Fprintf(io.Err, "%s there is no command %q.", st.red("Error:"), args[0])
	if near := nearest(table, args[0]); near != "" {
		_, _ = fmt.Fprintf(io.Err, " Did you mean \"drover %s\"?", near)
	}
	_, _ = fmt.Fprint(io.Err, "\n\"drover help\" lists what there is.\n")
	return exitFailed
}
