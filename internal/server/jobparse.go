package server

import (
	"context"

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
		if s.authorize(ctx, token, api.CapSubmitJob, namespace) != nil {
			return nil, err
		}
	}
	if req.JobHCL == "" {
		return nil, api.Errorf(api.CodeInvalid, "JobHCL is required: the text of the job file")
	}
	if req.HCLv1 {
		return nil, api.Errorf(api.CodeInvalid, "HCLv1: the first version of HCL is not supported, write HCL2")
	}
	opts := jobspec.Options{}
	if req.Variables != "" {
		opts.VarFiles = []jobspec.File{{Name: "variables.hcl", Src: []byte(req.Variables)}}
	}
	job, err := jobspec.Parse(jobFileName, []byte(req.JobHCL), opts)
	if err != nil {
		return nil, err
	}
	if req.Canonicalize {
		job.Canonicalize()
	}
	return job, nil
}
