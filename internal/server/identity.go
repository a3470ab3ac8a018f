package server

import (
	"context"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/auth"
	"github.com/drover-org/drover/internal/identity"
	"github.com/drover-org/drover/internal/store"
)

// SignIdentities makes the identities that a task itself is to get, for the
// node that runs its allocation and for no other. Nothing of it is kept.
func (s *Server) SignIdentities(ctx context.Context, nodeID, allocID, task string) ([]*api.SignedIdentity, error) {
	snap := s.store.Snapshot()
	a, n := snap.Alloc(allocID), snap.Node(nodeID)
	if a == nil || n == nil || a.NodeID != nodeID {
		return nil, missing("allocation") // whether it is another node's is not this one's to know
	}
	if a.Terminal() {
		return nil, api.Errorf(api.CodeForbidden, "allocation %s has ended: its tasks get no identities", allocID)
	}
	t := a.Group().Task(task)
	if t == nil {
		return nil, api.Errorf(api.CodeNotFound, "allocation %s has no task %q", allocID, task)
	}
	var out []*api.SignedIdentity
	for _, id := range t.GivenIdentities() {
		signed, err := identity.SignWorkload(ctx, s.cfg.Keyring, s.cfg.Region, s.cfg.OIDCIssuer, a, n, task, id, s.now())
		if err != nil {
			return nil, err
		}
		out = append(out, signed)
	}
	return out, nil
}

// Identities tells an auth.Resolver whose a signed identity is.
type Identities struct {
	Store    *store.Store
	Verifier identity.Verifier
}

// Identify implements auth.Identities. The identity of a task is good as long
// as its allocation runs.
func (i Identities) Identify(_ context.Context, secret string) (*auth.Identity, error) {
	if strings.Count(secret, ".") != 2 {
		return nil, nil // no JWT
	}
	w, err := identity.ParseWorkload(i.Verifier, secret)
	if err != nil {
		return nil, err
	}
	a := i.Store.Snapshot().Alloc(w.AllocID)
	if a == nil || a.Terminal() || a.Namespace != w.Namespace || a.JobID != w.JobID || a.Group().Task(w.Task) == nil {
		return nil, api.Errorf(api.CodeForbidden, "the identity's allocation has ended")
	}
	return &auth.Identity{
		Kind: api.CallerWorkload, ID: w.ID, Name: w.JobID + "/" + a.TaskGroup + "/" + w.Task, Expires: w.Expires,
		Namespace: w.Namespace, JobID: w.JobID, Group: a.TaskGroup, Task: w.Task, AllocID: a.ID,
	}, nil
}
