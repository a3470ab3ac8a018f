package cli

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"

	"github.com/drover-org/drover/api"
)

//go:embed example.nomad.hcl
var exampleJob string

//go:embed example-short.nomad.hcl
var exampleShortJob string

type jobInitOptions struct{ short bool }

func jobInitVerb() *verb {
	var o jobInitOptions
	return &verb{
		name: "job init", aliases: []string{"init"}, args: "[options] [FILE]", offline: true, argKind: "file",
		short: "Write an example job file",
		long: `
Writes an example job to FILE, by default example.nomad.hcl, with comments that
explain the usual settings. A file that exists is left alone.`,
		flags: func(fs *flag.FlagSet) { fs.BoolVar(&o.short, "short", false, "without comments") },
		run:   func(_ context.Context, e *env, args []string) error { return runJobInit(e, &o, args) },
	}
}

func runJobInit(e *env, o *jobInitOptions, args []string) error {
	path, err := optional(args, "file")
	if err != nil {
		return err
	}
	if path == "" {
		path = "example.nomad.hcl"
	}
	text := exampleJob
	if o.short {
		text = exampleShortJob
	}
	if err := writeExample(path, text); err != nil {
		return err
	}
	e.say("%s %s written: \"drover plan %s\" shows what it would do, \"drover run %s\" does it", e.out.green("✓"), path, path, path)
	return nil
}

// writeExample writes a new file. One that exists is left alone.
func writeExample(path, text string) error {
	f, err := createNew(path, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(text); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// createNew makes a file. One that exists is refused.
func createNew(path string, mode fs.FileMode) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, mode)
	if errors.Is(err, fs.ErrExist) {
		return nil, api.Errorf(api.CodeConflict, "%s exists already: name another file", path)
	}
	return f, err
}
