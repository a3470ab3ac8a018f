package cli

import (
	"context"

	"github.com/drover-org/drover/api"
)

// parseHCL has the agent read a job file.
func (e *env) parseHCL(ctx context.Context, path string, text []byte, o *jobFileOptions) (*api.Job, *api.JobSubmission, error) {
	c, err := e.client()
	if err != nil {
		return nil, nil, err
	}
	job, err := c.Jobs().Parse(ctx, &api.JobsParseRequest{JobHCL: string(text)})
	return job, &api.JobSubmission{Source: string(text), Format: "hcl2"}, err
}
