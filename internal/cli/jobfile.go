package cli

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/jobspec"
)

// jobFileOptions are the flags of verbs that read a job file.
type jobFileOptions struct {
	vars, varFiles listFlag
	json           bool
}

func (o *jobFileOptions) flags(fs *flag.FlagSet) {
	fs.Var(&o.vars, "var", "`NAME=VALUE` of a variable of the file (may be repeated)")
	fs.Var(&o.varFiles, "var-file", "`FILE` with values of variables (may be repeated)")
	fs.BoolVar(&o.json, "json", false, "the file is JSON and nothing else")
}

// repeat writes the flags again, for a command that uses the same file.
func (o *jobFileOptions) repeat() string {
	var b strings.Builder
	for _, v := range o.vars {
		b.WriteString(" -var " + quoted(v))
	}
	for _, f := range o.varFiles {
		b.WriteString(" -var-file " + quoted(f))
	}
	if o.json {
		b.WriteString(" -json")
	}
	return b.String()
}

// readJob reads the job that a file, or with "-" standard input, describes,
// and the text as it is kept with the job.
func (e *env) readJob(path string, o *jobFileOptions) (*api.Job, *api.JobSubmission, error) {
	text, err := e.readSource(path)
	if err != nil {
		return nil, nil, err
	}
	kept := &api.JobSubmission{Source: string(text), Format: "hcl2"}
	if strings.HasPrefix(strings.TrimSpace(string(text)), "{") {
		kept.Format = "json"
	} else if o.json {
		return nil, nil, api.Errorf(api.CodeInvalid, "%s is no JSON: it does not begin with {", path)
	}
	in := jobspec.Options{Env: e.Env, AllowFS: true, BaseDir: filepath.Dir(path)}
	if in.Vars, err = o.values(); err != nil {
		return nil, nil, err
	}
	kept.VariableFlags = in.Vars
	for _, f := range o.varFiles {
		src, err := e.readSource(f)
		if err != nil {
			return nil, nil, err
		}
		in.VarFiles = append(in.VarFiles, jobspec.File{Name: f, Src: src})
		kept.Variables += string(src) + "\n"
	}
	job, err := jobspec.Parse(path, text, in)
	if err != nil {
		return nil, nil, err
	}
	if job.ID == "" {
		return nil, nil, api.Errorf(api.CodeInvalid, "%s: the job has no ID", path)
	}
	if job.Namespace == "" {
		job.Namespace = e.conn.Namespace
	}
	if job.Region == "" {
		job.Region = e.conn.Region
	}
	return job, kept, nil
}

// values are the -var flags by name.
func (o *jobFileOptions) values() (map[string]string, error) {
	out := map[string]string{}
	for _, v := range o.vars {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return nil, usagef("-var %q is not NAME=VALUE", v)
		}
		out[name] = value
	}
	return out, nil
}

// readSource reads a file of bounded size, or with "-" standard input.
func (e *env) readSource(path string) ([]byte, error) {
	r := e.In
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		r = f
	}
	text, err := io.ReadAll(io.LimitReader(r, jobspec.MaxSource+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return text, nil
}
