package server

import (
	"cmp"
	"context"
	"iter"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// maxNamespacesAtOnce bounds what one request may create or delete, so that
// its log entry stays small.
const maxNamespacesAtOnce = 1000

// Namespaces lists the namespaces the caller may see, by name, which is also
// the next token. The namespace of the request does not matter.
func (s *Server) Namespaces(ctx context.Context, opts api.ListOptions) (iter.Seq[*api.Namespace], api.Meta, error) {
	if err := s.known(ctx, opts.Token); err != nil {
		return nil, api.Meta{}, err
	}
	return listNamed(ctx, s, opts, namedTable[*api.Namespace]{
		key: store.KeyNamespaces(), table: store.TableNamespaces, from: (*store.Snapshot).Namespaces,
		name: func(n *api.Namespace) string { return n.Name }, isName: api.IsNamespaceName,
		visible: func(name string) bool { return s.enters(ctx, opts.Token, name) },
	})
}

// Namespace reads one namespace that the caller may see.
func (s *Server) Namespace(ctx context.Context, opts api.ListOptions, name string) (*api.Namespace, api.Meta, error) {
	if err := s.known(ctx, opts.Token); err != nil {
		return nil, api.Meta{}, err
	}
	return read(ctx, s, opts, []store.Key{store.KeyNamespace(name)}, func(snap *store.Snapshot) (*api.Namespace, uint64, error) {
		n := snap.Namespace(name)
		if n == nil || !s.enters(ctx, opts.Token, name) {
			return nil, snap.TableIndex(store.TableNamespaces), missing("namespace")
		}
		return n, n.ModifyIndex, nil
	})
}

// UpsertNamespaces creates namespaces or replaces their settings, all of them
// or none.
func (s *Server) UpsertNamespaces(ctx context.Context, token string, list []*api.Namespace) (index uint64, err error) {
	if err := s.authorize(ctx, token, api.CapManagement, ""); err != nil {
		return 0, err
	}
	if err := checkCount(len(list)); err != nil {
		return 0, err
	}
	for _, n := range list {
		if n == nil {
			return 0, api.Errorf(api.CodeInvalid, "the body holds no namespace")
		}
		if err := n.Validate(); err != nil {
			return 0, err
		}
	}
	res, err := s.propose(ctx, &store.UpsertNamespaces{Namespaces: list})
	return res.Index, err
}

// DeleteNamespaces deletes namespaces, all of them or none. One with jobs or
// allocations that are not over is kept.
func (s *Server) DeleteNamespaces(ctx context.Context, token string, names []string) (index uint64, err error) {
	if err := s.authorize(ctx, token, api.CapManagement, ""); err != nil {
		return 0, err
	}
	if err := checkCount(len(names)); err != nil {
		return 0, err
	}
	res, err := s.propose(ctx, &store.DeleteNamespaces{Names: names})
	return res.Index, err
}

func checkCount(n int) error {
	if n == 0 || n > maxNamespacesAtOnce {
		return api.Errorf(api.CodeInvalid, "%d namespaces were given: give from 1 to %d at once", n, maxNamespacesAtOnce)
	}
	return nil
}

// enters reports whether the caller may do anything at all in a namespace.
func (s *Server) enters(ctx context.Context, token, ns string) bool {
	return s.authorize(ctx, token, api.CapSeeNamespace, ns) == nil
}

// defaultPool gives a job that names no node pool the one of its namespace.
func defaultPool(snap *store.Snapshot, j *api.Job) {
	if n := snap.Namespace(cmp.Or(j.Namespace, api.DefaultNamespace)); n != nil && j.NodePool == "" {
		j.NodePool = n.DefaultPool()
	}
}

// admit refuses a canonical job that its namespace has no place for, whose
// node pool does not exist, or that its quota can never hold.
func admit(snap *store.Snapshot, j *api.Job) error {
	n := snap.Namespace(j.Namespace)
	if n == nil {
		return store.NoNamespace(j.Namespace)
	}
	if err := n.Admit(j); err != nil {
		return err
	}
	if snap.NodePool(j.NodePool) == nil {
		return store.NoNodePool(j.NodePool)
	}
	return admitQuota(snap, j)
}

// readKeys are the keys of a list of one namespace, or of all.
func readKeys(namespace string, all store.Key, one func(string) store.Key) []store.Key {
	if namespace == api.AllNamespaces {
		return []store.Key{all}
	}
	return []store.Key{one(namespace)}
}
