package server

import (
	"context"
	"runtime"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/jobspec"
)

// jobFileName is what messages call a job file that came in a request.
const jobFileName = "job.hcl"

// ParseJob turns a job file into the job it describes. Functions that read
// files are off. The job is not registered and with Canonicalize gets its
// defaults.
func (s *Server) ParseJob(ctx context.Context, token, namespace string, req *api.JobsParseRequest) (*api.Job, error) {
	if err := s.authorize(ctx, token, api.CapParseJob, namespace); err != nil {
		return nil, err
	}
	if req.JobHCL == "" {
		return nil, api.Errorf(api.CodeInvalid, "JobHCL is required: the text of the job file")
	}
	if req.HCLv1 {
		return nil, api.Errorf(api.CodeInvalid, "HCLv1: the first version of HCL is not supported, write HCL2")
	}
	done, err := s.parses.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	opts := jobspec.Options{}
	if req.Variables != "" {
		opts.VarFiles = []jobspec.File{{Name: "variables.hcl", Src: []byte(req.Variables)}}
	}
	job, err := jobspec.Parse(jobFileName, []byte(req.JobHCL), opts)
	if err != nil {
		return nil, err
	}
	if req.Canonicalize {
		if job.Namespace == "" {
			job.Namespace = namespace
		}
		defaultPool(s.store.Snapshot(), job)
		job.Canonicalize()
	}
	return job, nil
}

// parses bounds the job files that are read at the same time. Each may take
// its budget of CPU time, so that many must leave some for everybody else.
type parses chan struct{}

// newParses lets half of the machine read job files.
func newParses() parses { return make(parses, max(1, runtime.GOMAXPROCS(0)/2)) }

// enter waits for a place.
func (p parses) enter(ctx context.Context) (leave func(), err error) {
	select {
	case p <- struct{}{}:
		return func() { <-p }, nil
	case <-ctx.Done():
		return nil, api.Errorf(api.CodeUnavailable, "too many job files are being read: %w", ctx.Err())
	}
}
