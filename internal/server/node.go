package server

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// Nodes lists nodes by ID, without their secrets.
func (s *Server) Nodes(ctx context.Context, opts api.ListOptions) (iter.Seq[*api.Node], api.Meta, error) {
	return s.nodes(ctx, opts, "")
}

// nodes lists the nodes of a pool, "" for all there are.
func (s *Server) nodes(ctx context.Context, opts api.ListOptions, pool string) (iter.Seq[*api.Node], api.Meta, error) {
	if err := s.authorize(ctx, opts.Token, api.CapNodeRead, ""); err != nil {
		return nil, api.Meta{}, err
	}
	match, err := newFilter[*api.Node](opts.Filter)
	if err != nil {
		return nil, api.Meta{}, err
	}
	prefix, err := api.ParseIDPrefix(opts.Prefix)
	if err != nil {
		return nil, api.Meta{}, err
	}
	before, err := beforeID(opts)
	if err != nil {
		return nil, api.Meta{}, err
	}
	p := pager[*api.Node]{opts: opts, match: match, token: func(n *api.Node) string { return n.ID }}
	if before != nil {
		p.before = func(n *api.Node) bool { return before(n.ID) }
	}
	if match != nil {
		p.match = func(n *api.Node) bool { return match(n.Redacted()) }
	}
	var next string
	seq, meta, err := read(ctx, s, opts, withPool([]store.Key{store.KeyNodes()}, pool), func(snap *store.Snapshot) (iter.Seq[*api.Node], uint64, error) {
		index := max(snap.TableIndex(store.TableNodes), poolIndex(snap, pool))
		of, err := poolOf(snap, pool)
		if err != nil {
			return nil, index, err
		}
		p := p
		if of != nil {
			p.visible = func(n *api.Node) bool { return of.Holds(n.NodePool) }
		}
		var seq iter.Seq[*api.Node]
		seq, next = p.page(snap.NodesFrom(prefix, opts.Reverse))
		return seq, index, nil
	})
	meta.NextToken = next
	return redacted(seq), meta, err
}

// redacted yields nodes without their secrets.
func redacted(seq iter.Seq[*api.Node]) iter.Seq[*api.Node] {
	return func(yield func(*api.Node) bool) {
		for n := range seq {
			if !yield(n.Redacted()) {
				return
			}
		}
	}
}

// Node reads one node, without its secret.
func (s *Server) Node(ctx context.Context, opts api.ListOptions, id string) (*api.Node, api.Meta, error) {
	if err := s.authorize(ctx, opts.Token, api.CapNodeRead, ""); err != nil {
		return nil, api.Meta{}, err
	}
	if err := checkID("node", id); err != nil {
		return nil, api.Meta{}, err
	}
	return read(ctx, s, opts, []store.Key{store.KeyNode(id)}, func(snap *store.Snapshot) (*api.Node, uint64, error) {
		n := snap.Node(id)
		if n == nil {
			return nil, snap.TableIndex(store.TableNodes), missing("node")
		}
		return n.Redacted(), n.ModifyIndex, nil
	})
}

// NodeAllocs lists the allocations on a node, those that still run first. An
// unknown node has none.
func (s *Server) NodeAllocs(ctx context.Context, opts api.ListOptions, id string) ([]*api.Allocation, api.Meta, error) {
	if err := s.authorize(ctx, opts.Token, api.CapNodeRead, ""); err != nil {
		return nil, api.Meta{}, err
	}
	match, err := newFilter[*api.Allocation](opts.Filter)
	if err != nil {
		return nil, api.Meta{}, err
	}
	all := opts
	all.Namespace = api.AllNamespaces
	visible, err := s.visible(ctx, all, api.CapReadJob)
	if err != nil {
		return nil, api.Meta{}, err
	}
	return read(ctx, s, opts, []store.Key{store.KeyAllocsOfNode(id)}, func(snap *store.Snapshot) ([]*api.Allocation, uint64, error) {
		var live, over []*api.Allocation
		for a := range snap.AllocsByNode(id) {
			switch {
			case !visible(a.Namespace), match != nil && !match(a):
			case a.Terminal():
				over = append(over, a)
			default:
				live = append(live, a)
			}
		}
		return append(live, over...), snap.TableIndex(store.TableAllocs), nil
	})
}

// writableNode finds a node that the caller wants to change.
func (s *Server) writableNode(ctx context.Context, token, id string) (*store.Snapshot, *api.Node, error) {
	if err := s.authorize(ctx, token, api.CapNodeWrite, ""); err != nil {
		return nil, nil, err
	}
	if err := checkID("node", id); err != nil {
		return nil, nil, err
	}
	snap := s.store.Snapshot()
	n := snap.Node(id)
	if n == nil {
		return nil, nil, missing("node")
	}
	return snap, n, nil
}

// SetEligibility says whether new allocations may be placed on a node. A node
// that becomes eligible has the jobs that want every node evaluated.
func (s *Server) SetEligibility(ctx context.Context, token, id, eligibility string) (*api.NodeUpdateResponse, error) {
	snap, n, err := s.writableNode(ctx, token, id)
	if err != nil {
		return nil, err
	}
	if eligibility != api.NodeEligible && eligibility != api.NodeIneligible {
		return nil, api.Errorf(api.CodeInvalid, "Eligibility is %q: it must be %q or %q", eligibility, api.NodeEligible, api.NodeIneligible)
	}
	var evals []*api.Evaluation
	if eligibility == api.NodeEligible && n.SchedulingEligibility != eligibility {
		evals = s.systemEvals(snap, n)
	}
	res, err := s.propose(ctx, &store.UpdateNodeEligibility{NodeID: id, Eligibility: eligibility, Evals: evals, Now: s.now().UnixNano()})
	if err != nil {
		return nil, err
	}
	return nodeAnswer(res, evals), nil
}

// EvaluateNode makes an evaluation for every job that has to do with a node.
func (s *Server) EvaluateNode(ctx context.Context, token, id string) (*api.NodeUpdateResponse, error) {
	snap, n, err := s.writableNode(ctx, token, id)
	if err != nil {
		return nil, err
	}
	evals := s.nodeEvals(snap, n)
	if len(evals) == 0 {
		return &api.NodeUpdateResponse{NodeModifyIndex: n.ModifyIndex, Index: snap.Index()}, nil
	}
	res, err := s.propose(ctx, &store.UpsertEvals{Evals: evals, Now: s.now().UnixNano()})
	if err != nil {
		return nil, err
	}
	out := nodeAnswer(res, evals)
	out.NodeModifyIndex = n.ModifyIndex
	return out, nil
}

// PurgeNode forgets a node; its jobs are evaluated.
func (s *Server) PurgeNode(ctx context.Context, token, id string) (*api.NodeUpdateResponse, error) {
	snap, n, err := s.writableNode(ctx, token, id)
	if err != nil {
		return nil, err
	}
	evals := s.nodeEvals(snap, n)
	res, err := s.propose(ctx, &store.DeleteNode{NodeID: id, Evals: evals, Now: s.now().UnixNano()})
	if err != nil {
		return nil, err
	}
	return nodeAnswer(res, evals), nil
}

// CheckNode returns nil when a node exists and the caller has the capability.
func (s *Server) CheckNode(ctx context.Context, token string, c api.Capability, id string) error {
	if err := s.authorize(ctx, token, c, ""); err != nil {
		return err
	}
	if err := checkID("node", id); err != nil {
		return err
	}
	if s.store.Snapshot().Node(id) == nil {
		return api.Errorf(api.CodeNotFound, "Unknown node %q", id)
	}
	return nil
}

func nodeAnswer(res store.Result, evals []*api.Evaluation) *api.NodeUpdateResponse {
	out := &api.NodeUpdateResponse{NodeModifyIndex: res.Index, Index: res.Index}
	for _, e := range evals {
		out.EvalIDs = append(out.EvalIDs, e.ID)
	}
	if len(evals) > 0 {
		out.EvalCreateIndex = res.Index
	}
	return out
}

// nodeEvals makes an evaluation for each job with allocations on a node that
// are not over, and for the jobs that want every node.
func (s *Server) nodeEvals(snap *store.Snapshot, n *api.Node) []*api.Evaluation {
	evals := s.systemEvals(snap, n)
	seen := map[api.NamespacedID]bool{}
	for _, e := range evals {
		seen[api.NamespacedID{Namespace: e.Namespace, ID: e.JobID}] = true
	}
	for a := range snap.AllocsByNode(n.ID) {
		key := api.NamespacedID{Namespace: a.Namespace, ID: a.JobID}
		if seen[key] || a.Terminal() {
			continue
		}
		seen[key] = true
		evals = append(evals, s.forNode(s.allocEval(snap, a, api.EvalTriggerNodeUpdate), n))
	}
	return evals
}

// systemEvals makes an evaluation for each job that wants every node of n's
// datacenter and pool.
func (s *Server) systemEvals(snap *store.Snapshot, n *api.Node) []*api.Evaluation {
	var evals []*api.Evaluation
	for job := range snap.Jobs() {
		if job.Type != api.JobTypeSystem && job.Type != api.JobTypeSysBatch || job.Stop || !jobWants(job, n) {
			continue
		}
		evals = append(evals, s.forNode(s.jobEval(job, api.EvalTriggerNodeUpdate), n))
	}
	return evals
}

func (s *Server) forNode(e *api.Evaluation, n *api.Node) *api.Evaluation {
	e.NodeID, e.NodeModifyIndex = n.ID, n.ModifyIndex
	return e
}

// jobWants reports whether a job's pool and datacenters include a node's. A
// datacenter may be a pattern, which is left to the scheduler.
func jobWants(job *api.Job, n *api.Node) bool {
	if job.NodePool != "" && job.NodePool != api.AllNodePools && job.NodePool != n.NodePool {
		return false
	}
	return slices.ContainsFunc(job.Datacenters, func(dc string) bool {
		return dc == n.Datacenter || strings.Contains(dc, "*")
	})
}
