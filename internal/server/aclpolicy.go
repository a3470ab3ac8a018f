package server

import (
	"context"
	"slices"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/acl"
	"github.com/drover-org/drover/internal/auth"
	"github.com/drover-org/drover/internal/store"
)

// ACLPolicies lists policies by name: all for management, else the caller's.
func (s *Server) ACLPolicies(ctx context.Context, opts api.ListOptions) ([]*api.ACLPolicyListStub, api.Meta, error) {
	return s.listPolicies(ctx, opts, (*auth.Rights).Manages)
}

// ACLPoliciesOfCaller lists the policies that the caller's token, or his
// workload's identity, has.
func (s *Server) ACLPoliciesOfCaller(ctx context.Context, opts api.ListOptions) ([]*api.ACLPolicyListStub, api.Meta, error) {
	return s.listPolicies(ctx, opts, func(*auth.Rights) bool { return false })
}

func (s *Server) listPolicies(ctx context.Context, opts api.ListOptions, all func(*auth.Rights) bool) ([]*api.ACLPolicyListStub, api.Meta, error) {
	name := func(p *api.ACLPolicyListStub) string { return p.Name }
	return listACL(ctx, s, opts, store.KeyACLPolicies(), store.TableACLPolicies, name, aclName.MatchString, func(snap *store.Snapshot, rights *auth.Rights) (out []*api.ACLPolicyListStub) {
		everything := all(rights)
		for p := range snap.ACLPolicies() {
			if strings.HasPrefix(p.Name, opts.Prefix) && (everything || slices.Contains(rights.Policies, p.Name)) {
				out = append(out, p.Stub())
			}
		}
		return out
	})
}

// ACLPolicy reads a policy that the caller has, or any for management.
func (s *Server) ACLPolicy(ctx context.Context, opts api.ListOptions, name string) (*api.ACLPolicy, api.Meta, error) {
	if _, err := s.rights(ctx, opts.Token); err != nil {
		return nil, api.Meta{}, err
	}
	return read(ctx, s, opts, []store.Key{store.KeyACLPolicy(name), store.KeyACL()}, func(snap *store.Snapshot) (*api.ACLPolicy, uint64, error) {
		rights, err := s.rights(ctx, opts.Token)
		if err != nil {
			return nil, 0, err
		}
		if !rights.Manages() && !slices.Contains(rights.Policies, name) {
			return nil, 0, notYours("policy", name)
		}
		if p := snap.ACLPolicy(name); p != nil {
			return p, p.ModifyIndex, nil
		}
		return nil, snap.TableIndex(store.TableACLPolicies), missing("ACL policy")
	})
}

// UpsertACLPolicy adds a policy or replaces the one of its name.
func (s *Server) UpsertACLPolicy(ctx context.Context, token string, p *api.ACLPolicy) (index uint64, warnings []string, err error) {
	if err := s.manages(ctx, token); err != nil {
		return 0, nil, err
	}
	if err := checkACLName("policy", p.Name); err != nil {
		return 0, nil, err
	}
	if p.Name == "self" {
		return 0, nil, api.Errorf(api.CodeInvalid, "Name \"self\" stands for the caller's policies in paths: choose another")
	}
	if err := checkDescription(p.Description); err != nil {
		return 0, nil, err
	}
	if err := checkJobACL(p.JobACL); err != nil {
		return 0, nil, err
	}
	parsed, err := acl.Parse(p.Name, p.Rules)
	if err != nil {
		return 0, nil, err
	}
	res, err := s.propose(ctx, &store.UpsertACLPolicy{Policy: p})
	return res.Index, parsed.Warnings, err
}

func checkJobACL(j *api.JobACL) error {
	switch {
	case j == nil:
	case j.Namespace == "":
		return api.Errorf(api.CodeInvalid, "JobACL.Namespace is empty: name the job's namespace")
	case j.Group != "" && j.JobID == "":
		return api.Errorf(api.CodeInvalid, "JobACL.Group is %q, but JobACL.JobID is empty: name the group's job", j.Group)
	case j.Task != "" && j.Group == "":
		return api.Errorf(api.CodeInvalid, "JobACL.Task is %q, but JobACL.Group is empty: name the task's group", j.Task)
	}
	return nil
}

// DeleteACLPolicy deletes a policy.
func (s *Server) DeleteACLPolicy(ctx context.Context, token, name string) (index uint64, err error) {
	if err := s.manages(ctx, token); err != nil {
		return 0, err
	}
	res, err := s.propose(ctx, &store.DeleteACLPolicy{Name: name})
	return res.Index, err
}
