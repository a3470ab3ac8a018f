package server

import (
	"context"
	"iter"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// NodePools lists the node pools that the caller may read by name, which is
// also the next token.
func (s *Server) NodePools(ctx context.Context, opts api.ListOptions) (iter.Seq[*api.NodePool], api.Meta, error) {
	if err := s.known(ctx, opts.Token); err != nil {
		return nil, api.Meta{}, err
	}
	return listNamed(ctx, s, opts, namedTable[*api.NodePool]{
		key: store.KeyNodePools(), table: store.TableNodePools, from: (*store.Snapshot).NodePools,
		name: func(p *api.NodePool) string { return p.Name }, isName: api.IsNodePoolName,
		visible: func(name string) bool { return s.authorize(ctx, opts.Token, api.CapNodePoolRead, name) == nil },
	})
}

// NodePool reads one node pool.
func (s *Server) NodePool(ctx context.Context, opts api.ListOptions, name string) (*api.NodePool, api.Meta, error) {
	if err := s.authorize(ctx, opts.Token, api.CapNodePoolRead, name); err != nil {
		return nil, api.Meta{}, err
	}
	return read(ctx, s, opts, []store.Key{store.KeyNodePool(name)}, func(snap *store.Snapshot) (*api.NodePool, uint64, error) {
		p := snap.NodePool(name)
		if p == nil {
			return nil, snap.TableIndex(store.TableNodePools), missing("node pool")
		}
		return p, p.ModifyIndex, nil
	})
}

// NodePoolNodes lists the nodes of a pool.
func (s *Server) NodePoolNodes(ctx context.Context, opts api.ListOptions, name string) (iter.Seq[*api.Node], api.Meta, error) {
	if err := s.authorize(ctx, opts.Token, api.CapNodePoolRead, name); err != nil {
		return nil, api.Meta{}, err
	}
	return s.nodes(ctx, opts, name)
}

// NodePoolJobs lists the jobs that run in a pool; every job may run on nodes
// of the pool of all nodes.
func (s *Server) NodePoolJobs(ctx context.Context, opts api.ListOptions, name string, meta bool) (iter.Seq[*api.JobListStub], api.Meta, error) {
	if err := s.authorize(ctx, opts.Token, api.CapNodePoolRead, name); err != nil {
		return nil, api.Meta{}, err
	}
	return s.jobs(ctx, opts, name, meta)
}

// UpsertNodePool creates a node pool or replaces its settings.
func (s *Server) UpsertNodePool(ctx context.Context, token string, p *api.NodePool) (index uint64, err error) {
	if err := s.authorize(ctx, token, api.CapNodePoolWrite, p.Name); err != nil {
		return 0, err
	}
	if err := p.Validate(); err != nil {
		return 0, err
	}
	res, err := s.propose(ctx, &store.UpsertNodePools{Pools: []*api.NodePool{p}})
	return res.Index, err
}

// DeleteNodePool deletes a node pool. One with nodes, or with jobs that are
// not dead, is kept.
func (s *Server) DeleteNodePool(ctx context.Context, token, name string) (index uint64, err error) {
	if err := s.authorize(ctx, token, api.CapNodePoolDelete, name); err != nil {
		return 0, err
	}
	res, err := s.propose(ctx, &store.DeleteNodePools{Names: []string{name}})
	return res.Index, err
}

// poolOf returns the pool that a list is about, nil for a list of everything.
func poolOf(snap *store.Snapshot, name string) (*api.NodePool, error) {
	if name == "" {
		return nil, nil
	}
	p := snap.NodePool(name)
	if p == nil {
		return nil, missing("node pool")
	}
	return p, nil
}

// withPool adds to what a list waits for that its pool comes or goes.
func withPool(keys []store.Key, pool string) []store.Key {
	if pool == "" {
		return keys
	}
	return append(keys, store.KeyNodePool(pool))
}

// poolIndex is the last index that changed whether a list's pool exists.
func poolIndex(snap *store.Snapshot, pool string) uint64 {
	if pool == "" {
		return 0
	}
	return snap.TableIndex(store.TableNodePools)
}
