package server

import (
	"context"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
	"github.com/drover-org/drover/internal/web"
)

// LocateSession returns the node that serves a session with an allocation,
// and the verdict that the node is given, once the caller has the capability.
// A command in a task that is not isolated from its machine takes
// alloc-node-exec as well. The errors say why there can be no session now.
func (s *Server) LocateSession(ctx context.Context, token string, c api.Capability, id, task string) (nodeID string, v *web.Verdict, err error) {
	if err := checkID("allocation", id); err != nil {
		return "", nil, err
	}
	snap := s.store.Snapshot()
	a := snap.Alloc(id)
	if a == nil {
		return "", nil, api.Errorf(api.CodeNotFound, "Unknown allocation %q", id)
	}
	v = &web.Verdict{Namespace: a.Namespace, Allowed: []api.Capability{c}}
	if err := s.authorize(ctx, token, c, a.Namespace); err != nil {
		return "", nil, err
	}
	if c == api.CapAllocExec {
		shared, err := sharesNode(snap, a, task)
		if err != nil {
			return "", nil, err
		}
		if shared {
			if err := s.authorize(ctx, token, api.CapAllocNodeExec, a.Namespace); err != nil {
				return "", nil, err
			}
			v.Allowed = append(v.Allowed, api.CapAllocNodeExec)
		}
	}
	switch {
	case a.ClientTerminal() && c == api.CapAllocExec:
		return "", nil, api.Errorf(api.CodeInvalid, "exec not possible, client status of allocation %s is %s", id, a.ClientStatus)
	case a.ClientTerminal():
		return "", nil, api.Errorf(api.CodeInvalid, "not possible, client status of allocation %s is %s", id, a.ClientStatus)
	case snap.Node(a.NodeID) == nil:
		return "", nil, api.Errorf(api.CodeInvalid, "Unknown node %q of allocation %s: it was removed", a.NodeID, id)
	}
	if v.Caller, err = s.Caller(ctx, token); err != nil {
		return "", nil, err
	}
	return a.NodeID, v, nil
}

// sharesNode reports whether commands in a task reach the files of its
// machine. What the machine does not say is taken for yes; the node checks
// again.
func sharesNode(snap *store.Snapshot, a *api.Allocation, name string) (bool, error) {
	if name == "" {
		return false, api.Errorf(api.CodeInvalid, `must provide task name: query parameter "task"`)
	}
	group := a.Group()
	if group == nil {
		return true, nil
	}
	spec := group.Task(name)
	if spec == nil {
		names := make([]string, len(group.Tasks))
		for i, t := range group.Tasks {
			names[i] = t.Name
		}
		return false, api.Errorf(api.CodeInvalid, "unknown task name %q: allocation %s has %s", name, a.ID, strings.Join(names, ", "))
	}
	node := snap.Node(a.NodeID)
	return node == nil || node.Attributes[api.AttrIsolated(spec.Driver)] == "", nil
}
