package server

import (
	"context"
	"fmt"
	"iter"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/fit"
	"github.com/drover-org/drover/internal/store"
)

// Quotas lists the quotas by name, which is also the next token.
func (s *Server) Quotas(ctx context.Context, opts api.ListOptions) (iter.Seq[*api.QuotaSpec], api.Meta, error) {
	return listQuotas(ctx, s, opts, namedTable[*api.QuotaSpec]{
		table: store.TableQuotas, from: (*store.Snapshot).Quotas, name: func(q *api.QuotaSpec) string { return q.Name },
	})
}

// QuotaUsages lists what is used of the quotas, by name.
func (s *Server) QuotaUsages(ctx context.Context, opts api.ListOptions) (iter.Seq[*api.QuotaUsage], api.Meta, error) {
	return listQuotas(ctx, s, opts, namedTable[*api.QuotaUsage]{
		table: store.TableQuotaUsages, from: (*store.Snapshot).QuotaUsages, name: func(u *api.QuotaUsage) string { return u.Name },
	})
}

func listQuotas[T any](ctx context.Context, s *Server, opts api.ListOptions, t namedTable[T]) (iter.Seq[T], api.Meta, error) {
	if err := s.authorize(ctx, opts.Token, api.CapQuotaRead, ""); err != nil {
		return nil, api.Meta{}, err
	}
	t.key, t.isName, t.visible = store.KeyQuotas(), api.IsQuotaName, func(string) bool { return true }
	return listNamed(ctx, s, opts, t)
}

// Quota reads one quota.
func (s *Server) Quota(ctx context.Context, opts api.ListOptions, name string) (*api.QuotaSpec, api.Meta, error) {
	if err := s.authorize(ctx, opts.Token, api.CapQuotaRead, ""); err != nil {
		return nil, api.Meta{}, err
	}
	return read(ctx, s, opts, []store.Key{store.KeyQuota(name)}, func(snap *store.Snapshot) (*api.QuotaSpec, uint64, error) {
		q := snap.Quota(name)
		if q == nil {
			return nil, snap.TableIndex(store.TableQuotas), missing("quota")
		}
		return q, q.ModifyIndex, nil
	})
}

// QuotaUsage reads what is used of one quota.
func (s *Server) QuotaUsage(ctx context.Context, opts api.ListOptions, name string) (*api.QuotaUsage, api.Meta, error) {
	if err := s.authorize(ctx, opts.Token, api.CapQuotaRead, ""); err != nil {
		return nil, api.Meta{}, err
	}
	return read(ctx, s, opts, []store.Key{store.KeyQuota(name)}, func(snap *store.Snapshot) (*api.QuotaUsage, uint64, error) {
		u := snap.QuotaUsage(name)
		if u == nil {
			return nil, snap.TableIndex(store.TableQuotaUsages), missing("quota")
		}
		return u, u.ModifyIndex, nil
	})
}

// UpsertQuota creates a quota or replaces what it allows.
func (s *Server) UpsertQuota(ctx context.Context, token string, q *api.QuotaSpec) (index uint64, err error) {
	if err := s.authorize(ctx, token, api.CapQuotaWrite, ""); err != nil {
		return 0, err
	}
	if err := q.Validate(s.cfg.Region); err != nil {
		return 0, err
	}
	q.Canonicalize(s.cfg.Region)
	res, err := s.propose(ctx, &store.UpsertQuota{Quota: q})
	return res.Index, err
}

// DeleteQuota deletes a quota that no namespace names.
func (s *Server) DeleteQuota(ctx context.Context, token, name string) (index uint64, err error) {
	if err := s.authorize(ctx, token, api.CapQuotaWrite, ""); err != nil {
		return 0, err
	}
	res, err := s.propose(ctx, &store.DeleteQuota{Name: name})
	return res.Index, err
}

// admitQuota refuses a job that asks for more than the quota of its namespace
// would allow if nothing else ran. Of groups that run on every node one
// allocation counts, since nobody knows how many nodes there will be.
func admitQuota(snap *store.Snapshot, j *api.Job) error {
	spec, _ := snap.QuotaOf(j.Namespace)
	if spec == nil {
		return nil
	}
	everywhere := j.Type == api.JobTypeSystem || j.Type == api.JobTypeSysBatch
	config := snap.NodePool(j.NodePool).In(snap.SchedulerConfig())
	var all api.Charge
	for _, g := range j.TaskGroups {
		one := fit.ChargeOfGroup(g, config.MemoryOversubscriptionEnabled)
		n := g.CountOf()
		if everywhere {
			n = min(n, 1)
		}
		sum := one.Times(int64(n))
		if why := spec.Limit().Exceeds(api.Charge{}, sum); why != nil {
			return api.QuotaError(fmt.Sprintf("group %q > Count", g.Name), spec.Name, j.Namespace, why)
		}
		all = all.Plus(sum)
	}
	if why := spec.Limit().Exceeds(api.Charge{}, all); why != nil {
		return api.QuotaError("TaskGroups", spec.Name, j.Namespace, why)
	}
	return nil
}
