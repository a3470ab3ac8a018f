package server

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// builtinPools always exist. The other pools are those that nodes say they
// belong to; they have no settings of their own.
var builtinPools = [...]*api.NodePool{
	{Name: api.AllNodePools, Description: "Node pool with all nodes in the cluster.", CreateIndex: 1, ModifyIndex: 1},
	{Name: api.DefaultNodePool, Description: "Default node pool.", CreateIndex: 1, ModifyIndex: 1},
}

// NodePools lists the node pools by name that the caller may read.
func (s *Server) NodePools(ctx context.Context, opts api.ListOptions) ([]*api.NodePool, api.Meta, error) {
	if _, err := s.Caller(ctx, opts.Token); err != nil {
		return nil, api.Meta{}, err
	}
	return read(ctx, s, opts, []store.Key{store.KeyNodes()}, func(snap *store.Snapshot) ([]*api.NodePool, uint64, error) {
		pools := slices.DeleteFunc(nodePools(snap), func(p *api.NodePool) bool {
			return !strings.HasPrefix(p.Name, opts.Prefix) || s.authorize(ctx, opts.Token, api.CapNodePoolRead, p.Name) != nil
		})
		return pools, snap.TableIndex(store.TableNodes), nil
	})
}

func nodePools(snap *store.Snapshot) []*api.NodePool {
	pools := slices.Clone(builtinPools[:])
	for n := range snap.Nodes() {
		if !slices.ContainsFunc(pools, func(p *api.NodePool) bool { return p.Name == n.NodePool }) {
			pools = append(pools, &api.NodePool{Name: n.NodePool, CreateIndex: n.CreateIndex, ModifyIndex: n.CreateIndex})
		}
	}
	slices.SortFunc(pools, func(a, b *api.NodePool) int { return strings.Compare(a.Name, b.Name) })
	return pools
}

// NodePool reads one node pool.
func (s *Server) NodePool(ctx context.Context, opts api.ListOptions, name string) (*api.NodePool, api.Meta, error) {
	if err := s.authorize(ctx, opts.Token, api.CapNodePoolRead, name); err != nil {
		return nil, api.Meta{}, err
	}
	return read(ctx, s, opts, []store.Key{store.KeyNodes()}, func(snap *store.Snapshot) (*api.NodePool, uint64, error) {
		for _, p := range nodePools(snap) {
			if p.Name == name {
				return p, poolIndex(snap, p), nil
			}
		}
		return nil, snap.TableIndex(store.TableNodes), missing("node pool")
	})
}

// poolIndex is a pool's index. A pool of nodes comes and goes with them.
func poolIndex(snap *store.Snapshot, p *api.NodePool) uint64 {
	if slices.Contains(builtinPools[:], p) {
		return p.ModifyIndex
	}
	return snap.TableIndex(store.TableNodes)
}

// NodePoolNodes lists the nodes of a pool.
func (s *Server) NodePoolNodes(ctx context.Context, opts api.ListOptions, name string) (iter.Seq[*api.Node], api.Meta, error) {
	if err := s.authorize(ctx, opts.Token, api.CapNodePoolRead, name); err != nil {
		return nil, api.Meta{}, err
	}
	return s.nodes(ctx, opts, func(n *api.Node) bool { return name == api.AllNodePools || n.NodePool == name })
}
