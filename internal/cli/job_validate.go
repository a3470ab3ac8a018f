package cli

import (
	"context"
	"errors"
	"flag"

	"github.com/drover-org/drover/api"
)

type jobValidateOptions struct{ file jobFileOptions }

func jobValidateVerb() *verb {
	var o jobValidateOptions
	return &verb{
		name: "job validate", aliases: []string{"validate"}, args: "[options] FILE", argKind: "file",
		short: "Check a job file",
		long: `
Checks that FILE describes a job that could be registered. An agent that can be
reached checks it as well; without one only the file itself is checked.`,
		flags: func(fs *flag.FlagSet) { o.file.flags(fs) },
		run:   func(ctx context.Context, e *env, args []string) error { return runJobValidate(ctx, e, &o, args) },
	}
}

func runJobValidate(ctx context.Context, e *env, o *jobValidateOptions, args []string) error {
	path, err := one(args, "job file")
	if err != nil {
		return err
	}
	job, _, err := e.readJob(path, &o.file)
	if err != nil {
		return err
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	resp, err := c.Jobs().Validate(ctx, job)
	switch {
	case api.ErrorCode(err) == api.CodeUnavailable:
		e.note("%s no agent at %s: only the file itself was checked", e.err.yellow("Note:"), c.Address())
		return e.valid(path)
	case err != nil:
		return err
	}
	e.warn(resp.Warnings)
	if len(resp.ValidationErrors) > 0 {
		for _, text := range resp.ValidationErrors {
			e.note("  - %s", visible(text))
		}
		return api.Errorf(api.CodeInvalid, "%s is not valid", path)
	}
	if resp.Error != "" {
		return errors.New(resp.Error)
	}
	return e.valid(path)
}

func (e *env) valid(path string) error {
	e.say("%s %s is valid", e.out.green("✓"), path)
	return nil
}
