package cli

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/jobspec"
)

type fmtOptions struct {
	check, recursive bool
	write, list      bool
}

func fmtVerb() *verb {
	var o fmtOptions
	return &verb{
		name: "fmt", args: "[options] [FILE|DIR|-]…", argKind: "file", offline: true,
		short: "Format job and configuration files",
		long: `
Rewrites HCL files in the usual layout and lists those that changed. DIR means
the .nomad and .hcl files in it, by default the current one; - formats standard
input to standard output.

Exit codes: 0 done, 1 a file can't be read or, with -check, is not formatted.`,
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&o.check, "check", false, "change nothing; fail if a file is not formatted")
			fs.BoolVar(&o.recursive, "recursive", false, "with the folders below")
			fs.BoolVar(&o.write, "write", true, "write the files back")
			fs.BoolVar(&o.list, "list", true, "list the files that change")
		},
		run: func(_ context.Context, e *env, args []string) error { return runFmt(e, &o, args) },
	}
}

func runFmt(e *env, o *fmtOptions, args []string) error {
	if len(args) == 1 && args[0] == "-" {
		text, err := io.ReadAll(e.In)
		if err != nil {
			return err
		}
		out, err := jobspec.Format("standard input", text)
		if err != nil {
			return err
		}
		_, err = e.Out.Write(out)
		return err
	}
	if len(args) == 0 {
		args = []string{"."}
	}
	changed := 0
	for _, arg := range args {
		files, err := hclFiles(arg, o.recursive)
		if err != nil {
			return err
		}
		for _, f := range files {
			differs, err := e.formatFile(f, o)
			if err != nil {
				return err
			}
			if differs {
				changed++
			}
		}
	}
	if o.check && changed > 0 {
		return &exit{exitFailed, api.Errorf(api.CodeInvalid, "%s not formatted: \"drover fmt\" formats", plural(changed, "file"))}
	}
	return nil
}

func (e *env) formatFile(path string, o *fmtOptions) (differs bool, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	out, err := jobspec.Format(path, text)
	if err != nil || bytes.Equal(text, out) {
		return false, err
	}
	if o.list {
		e.say("%s", path)
	}
	if o.check || !o.write {
		return true, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	return true, os.WriteFile(path, out, info.Mode().Perm())
}

func hclFiles(path string, recursive bool) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var out []string
	err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("look for files: %w", err)
		case d.IsDir() && p != path && !recursive:
			return filepath.SkipDir
		case !d.IsDir() && (strings.HasSuffix(p, ".hcl") || strings.HasSuffix(p, ".nomad")):
			out = append(out, p)
		}
		return nil
	})
	return out, err
}
