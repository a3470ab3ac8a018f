package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/drover-org/drover/api"
)

const maxJobFile = 16 << 20 // bytes

// jobFileOptions are the flags of verbs that read a job file.
type jobFileOptions struct {
	vars, varFiles listFlag
	json           bool
	hcl2Strict     bool
}

func (o *jobFileOptions) flags(fs *flag.FlagSet) {
	fs.Var(&o.vars, "var", "`NAME=VALUE` of a variable of the file (may be repeated)")
	fs.Var(&o.varFiles, "var-file", "`FILE` with values of variables (may be repeated)")
	fs.BoolVar(&o.json, "json", false, "the file is JSON, whatever its name says")
	fs.BoolVar(&o.hcl2Strict, "hcl2-strict", true, "fail on values for variables that the file does not declare")
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
func (e *env) readJob(ctx context.Context, path string, o *jobFileOptions) (*api.Job, *api.JobSubmission, error) {
	text, err := e.readFile(path)
	if err != nil {
		return nil, nil, err
	}
	if o.json || strings.HasSuffix(path, ".json") || looksLikeJSON(text) {
		job, err := jsonJob(path, text)
		return job, &api.JobSubmission{Source: string(text), Format: "json"}, err
	}
	return e.parseHCL(ctx, path, text, o)
}

func (e *env) readFile(path string) ([]byte, error) {
	r := e.In
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		r = f
	}
	text, err := io.ReadAll(io.LimitReader(r, maxJobFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the job file: %w", err)
	}
	if len(text) > maxJobFile {
		return nil, api.Errorf(api.CodeTooLarge, "job file %s is larger than %s", path, bytesText(maxJobFile))
	}
	return text, nil
}

func looksLikeJSON(text []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) }

// jsonJob decodes {"Job": {…}} or a bare job.
func jsonJob(path string, text []byte) (*api.Job, error) {
	var wrapped struct{ Job *api.Job }
	if err := json.Unmarshal(text, &wrapped); err != nil {
		return nil, api.Errorf(api.CodeInvalid, "%s: %w", filepath.Base(path), err)
	}
	if wrapped.Job != nil {
		return wrapped.Job, nil
	}
	job := new(api.Job)
	if err := json.Unmarshal(text, job); err != nil {
		return nil, api.Errorf(api.CodeInvalid, "%s: %w", filepath.Base(path), err)
	}
	if job.ID == "" && job.Name == "" {
		return nil, api.Errorf(api.CodeInvalid, "%s holds no job: it has neither \"Job\" nor \"ID\"", filepath.Base(path))
	}
	return job, nil
}
