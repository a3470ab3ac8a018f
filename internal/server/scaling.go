package server

import (
	"context"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
	"github.com/google/uuid"
)

// scalingSpace makes the IDs of scaling policies: they are made from the name
// of the group that a policy is for, and so stay the same over job versions.
var scalingSpace = uuid.MustParse("8e1f0f0a-51a6-4d5c-9f62-6a0c3c1d6c52")

// scalingHorizontal is the only type of policy: of a group's count.
const scalingHorizontal = "horizontal"

// ScalingPolicies lists the scaling policies of groups, by namespace and job.
// job and kind narrow the list.
func (s *Server) ScalingPolicies(ctx context.Context, opts api.ListOptions, job, kind string) ([]*api.ScalingPolicy, api.Meta, error) {
	if kind != "" && !strings.HasPrefix(scalingHorizontal, kind) {
		return nil, api.Meta{}, api.Errorf(api.CodeInvalid, "query parameter \"type\" is %q: it must be %q", kind, scalingHorizontal)
	}
	visible, err := s.scalingVisible(ctx, opts, api.CapListScalingPolicies)
	if err != nil {
		return nil, api.Meta{}, err
	}
	match, err := newFilter[*api.ScalingPolicy](opts.Filter)
	if err != nil {
		return nil, api.Meta{}, err
	}
	return read(ctx, s, opts, []store.Key{store.KeyJobs()}, func(snap *store.Snapshot) ([]*api.ScalingPolicy, uint64, error) {
		var out []*api.ScalingPolicy
		for j := range snap.Jobs() {
			if !visible(j.Namespace) || job != "" && j.ID != job {
				continue
			}
			for _, p := range scalingPolicies(j) {
				if strings.HasPrefix(p.ID, opts.Prefix) && (match == nil || match(p)) {
					out = append(out, p)
				}
			}
		}
		return out, snap.TableIndex(store.TableJobs), nil
	})
}

// ScalingPolicy reads one scaling policy; the namespace of the request does
// not matter.
func (s *Server) ScalingPolicy(ctx context.Context, opts api.ListOptions, id string) (*api.ScalingPolicy, api.Meta, error) {
	opts.Namespace = api.AllNamespaces
	visible, err := s.scalingVisible(ctx, opts, api.CapReadScalingPolicy)
	if err != nil {
		return nil, api.Meta{}, err
	}
	return read(ctx, s, opts, []store.Key{store.KeyJobs()}, func(snap *store.Snapshot) (*api.ScalingPolicy, uint64, error) {
		for j := range snap.Jobs() {
			if !visible(j.Namespace) {
				continue
			}
			for _, p := range scalingPolicies(j) {
				if p.ID == id {
					return p, p.ModifyIndex, nil
				}
			}
		}
		return nil, snap.TableIndex(store.TableJobs), missing("scaling policy")
	})
}

// scalingVisible allows what c allows, or list-jobs and read-job together.
func (s *Server) scalingVisible(ctx context.Context, opts api.ListOptions, c api.Capability) (func(namespace string) bool, error) {
	direct, err := s.visible(ctx, opts, c)
	list, err1 := s.visible(ctx, opts, api.CapListJobs)
	jobs, err2 := s.visible(ctx, opts, api.CapReadJob)
	if err != nil && (err1 != nil || err2 != nil) {
		return nil, err
	}
	return func(ns string) bool {
		return direct != nil && direct(ns) || list != nil && jobs != nil && list(ns) && jobs(ns)
	}, nil
}

// scalingPolicies returns the policies of a job that runs.
func scalingPolicies(j *api.Job) []*api.ScalingPolicy {
	if j.Stop {
		return nil
	}
	var out []*api.ScalingPolicy
	for _, g := range j.TaskGroups {
		if g.Scaling == nil {
			continue
		}
		p := *g.Scaling
		name := strings.Join([]string{j.Namespace, j.ID, g.Name}, "\x00")
		p.ID = uuid.NewSHA1(scalingSpace, []byte(name)).String()
		p.Namespace, p.Type = j.Namespace, scalingHorizontal
		p.Target = map[string]string{"Namespace": j.Namespace, "Job": j.ID, "Group": g.Name}
		p.CreateIndex, p.ModifyIndex = j.CreateIndex, j.ModifyIndex
		out = append(out, &p)
	}
	return out
}
