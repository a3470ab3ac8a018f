package identity

import (
	"context"
	"maps"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/drover-org/drover/api"
)

// Workload is what the identity of a task says.
type Workload struct {
	Namespace, JobID, Task string
	AllocID                string
	Name                   string    // of the identity
	ID                     string    // of the token
	Expires                time.Time // zero: with the allocation
}

// workloadClaims are a workload's, as others know them.
type workloadClaims struct {
	jwt.Claims
	Namespace string `json:"nomad_namespace"`
	JobID     string `json:"nomad_job_id"`
	AllocID   string `json:"nomad_allocation_id"`
	Task      string `json:"nomad_task"`
}

// SignWorkload makes the token of one identity of a task.
func SignWorkload(ctx context.Context, s Signer, region, issuer string, a *api.Allocation, n *api.Node, task string, id *api.WorkloadIdentity, now time.Time) (*api.SignedIdentity, error) {
	name := id.Name
	if name == "" {
		name = api.DefaultIdentity
	}
	subject := strings.Join([]string{region, a.Namespace, a.JobID, a.TaskGroup, task, name}, ":")
	c := workloadClaims{
		Claims:    newClaims(issuer, subject, id.Audience, now, time.Duration(id.TTL)),
		Namespace: a.Namespace, JobID: a.JobID, AllocID: a.ID, Task: task,
	}
	token, err := s.Sign(ctx, withExtra(c, a, n, id.ExtraClaims))
	if err != nil {
		return nil, err
	}
	return &api.SignedIdentity{Name: name, Token: token, Expires: expires(&c.Claims)}, nil
}

// withExtra returns the claims to sign.
func withExtra(c workloadClaims, a *api.Allocation, n *api.Node, names []string) any {
	if len(names) == 0 {
		return c
	}
	extra := map[string]any{}
	for _, name := range names {
		extra["nomad_"+name] = api.ExtraClaim(name, a, n)
	}
	maps.Copy(extra, map[string]any{ // the standard ones win
		"sub": c.Subject, "iat": c.IssuedAt, "nbf": c.NotBefore, "jti": c.ID,
		"nomad_namespace": c.Namespace, "nomad_job_id": c.JobID, "nomad_allocation_id": c.AllocID, "nomad_task": c.Task,
	})
	if c.Issuer != "" {
		extra["iss"] = c.Issuer
	}
	if len(c.Audience) > 0 {
		extra["aud"] = c.Audience
	}
	if c.Expiry != nil {
		extra["exp"] = c.Expiry
	}
	return extra
}

// ParseWorkload verifies a token and returns whose identity it is. What it
// says of the allocation is as of its signing: whether that still runs, and
// which group it is of, is for the caller to look up.
func ParseWorkload(v Verifier, token string) (*Workload, error) {
	var c workloadClaims
	if err := v.Verify(token, &c); err != nil {
		return nil, err
	}
	if _, ok := api.ParseID(c.AllocID); !ok || c.Task == "" {
		return nil, errKind()
	}
	name := c.Subject[strings.LastIndex(c.Subject, ":")+1:]
	return &Workload{Namespace: c.Namespace, JobID: c.JobID, Task: c.Task, AllocID: c.AllocID, Name: name, ID: c.ID, Expires: expires(&c.Claims)}, nil
}
