package server

import (
	"context"
	"iter"
	"math/bits"
	"slices"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/paged"
	"github.com/drover-org/drover/internal/store"
)

// Allocs lists allocations: by create index, or with a prefix by ID. The next
// token is "<create index>.<ID>" or the ID. A list by create index shows parts
// of the store's own pages.
func (s *Server) Allocs(ctx context.Context, opts api.ListOptions) (paged.List[*api.Allocation], api.Meta, error) {
	var none paged.List[*api.Allocation]
	visible, err := s.visible(ctx, opts, api.CapReadJob)
	if err != nil {
		return none, api.Meta{}, err
	}
	match, err := newFilter[*api.Allocation](opts.Filter)
	if err != nil {
		return none, api.Meta{}, err
	}
	list, err := s.allocList(opts, visible, match)
	if err != nil {
		return none, api.Meta{}, err
	}
	keys := readKeys(opts.Namespace, store.KeyAllocs(), store.KeyAllocsOfNamespace)
	snap, meta, err := read(ctx, s, opts, keys, func(snap *store.Snapshot) (*store.Snapshot, uint64, error) {
		return snap, snap.TableIndex(store.TableAllocs), nil
	})
	if err != nil {
		return none, meta, err
	}
	out, next := list(snap)
	meta.NextToken = next
	return out, meta, nil
}

// allocList checks what a list asks for and returns what makes it of a
// snapshot, with the next page's token.
func (s *Server) allocList(opts api.ListOptions, visible func(ns string) bool, match func(*api.Allocation) bool) (func(*store.Snapshot) (paged.List[*api.Allocation], string), error) {
	if opts.Prefix == "" && !opts.Reverse {
		return allocPages(opts, visible, match)
	}
	own := false // set when a list left something out
	p := pager[*api.Allocation]{opts: opts, match: match, visible: func(a *api.Allocation) bool {
		ok := visible(a.Namespace)
		own = own || !ok && opts.Namespace == api.AllNamespaces
		return ok
	}}
	scan, err := allocScan(opts, &p)
	if err != nil {
		return nil, err
	}
	return func(snap *store.Snapshot) (paged.List[*api.Allocation], string) {
		seq, next := p.page(scan(snap))
		list := paged.LooseList(seq)
		list.Own = own
		return list, next
	}, nil
}

// allocPages is allocList for the order of creation.
func allocPages(opts api.ListOptions, visible func(ns string) bool, match func(*api.Allocation) bool) (func(*store.Snapshot) (paged.List[*api.Allocation], string), error) {
	var (
		index uint64
		id    api.ID
		err   error
	)
	if opts.NextToken != "" {
		if index, id, err = parseCreateToken(opts.NextToken); err != nil {
			return nil, err
		}
	}
	return func(snap *store.Snapshot) (list paged.List[*api.Allocation], next string) {
		seen := seenRows(opts, snap, visible)
		list.Own = seen != nil && opts.Namespace == api.AllNamespaces
		left := opts.PerPage
		for part := range snap.AllocPages(index, id) {
			if seen != nil {
				part.Rows &= seen(part.Page)
			}
			if match != nil && part.Rows != 0 {
				part.Rows &= part.Page.Match("filter "+opts.Filter, match)
			}
			if part.Rows == 0 {
				continue
			}
			if opts.PerPage > 0 {
				var rest uint64
				if part.Rows, rest = part.First(left); rest != 0 {
					a := part.Page.Row(bits.TrailingZeros64(rest))
					next = createToken(a.CreateIndex, a.ID)
				}
				left -= bits.OnesCount64(part.Rows)
			}
			if part.Rows != 0 {
				list.Parts = append(list.Parts, part)
			}
			if next != "" {
				break
			}
		}
		return list, next
	}, nil
}

// seenRows returns what tells which rows of a page a list may show; nil: all.
func seenRows(opts api.ListOptions, snap *store.Snapshot, visible func(ns string) bool) func(*paged.Page[*api.Allocation]) uint64 {
	if opts.Namespace != api.AllNamespaces {
		key := "namespace " + opts.Namespace
		return func(p *paged.Page[*api.Allocation]) uint64 {
			return p.Match(key, func(a *api.Allocation) bool { return a.Namespace == opts.Namespace })
		}
	}
	hidden := false
	for ns := range snap.AllocNamespaces() {
		hidden = hidden || !visible(ns)
	}
	if !hidden {
		return nil
	}
	// What a caller may see changes without the rows: it is never remembered.
	return func(p *paged.Page[*api.Allocation]) (rows uint64) {
		for i := range p.Len() {
			if visible(p.Row(i).Namespace) {
				rows |= 1 << i
			}
		}
		return rows
	}
}

// allocScan returns the sequence a list walks and sets its tokens in p.
func allocScan(opts api.ListOptions, p *pager[*api.Allocation]) (func(*store.Snapshot) iter.Seq[*api.Allocation], error) {
	if opts.Prefix != "" {
		prefix, err := api.ParseIDPrefix(opts.Prefix)
		if err != nil {
			return nil, err
		}
		before, err := beforeID(opts)
		if err != nil {
			return nil, err
		}
		if before != nil {
			p.before = func(a *api.Allocation) bool { return before(a.ID) }
		}
		p.token = func(a *api.Allocation) string { return a.ID }
		return func(snap *store.Snapshot) iter.Seq[*api.Allocation] { return snap.AllocsFrom(prefix, opts.Reverse) }, nil
	}
	p.token = func(a *api.Allocation) string { return createToken(a.CreateIndex, a.ID) }
	if opts.NextToken == "" {
		return func(snap *store.Snapshot) iter.Seq[*api.Allocation] { return snap.AllocsByCreate(opts.Reverse) }, nil
	}
	index, id, err := parseCreateToken(opts.NextToken)
	if err != nil {
		return nil, err
	}
	return func(snap *store.Snapshot) iter.Seq[*api.Allocation] {
		return snap.AllocsCreatedFrom(index, id, opts.Reverse)
	}, nil
}

// Alloc reads one allocation; the namespace of the request does not matter.
func (s *Server) Alloc(ctx context.Context, opts api.ListOptions, id string) (*api.Allocation, api.Meta, error) {
	if err := checkID("allocation", id); err != nil {
		return nil, api.Meta{}, err
	}
	return read(ctx, s, opts, []store.Key{store.KeyAlloc(id)}, func(snap *store.Snapshot) (*api.Allocation, uint64, error) {
		a := snap.Alloc(id)
		if a == nil {
			return nil, snap.TableIndex(store.TableAllocs), missing("alloc")
		}
		if err := s.seen(ctx, opts, api.CapReadJob, a.Namespace, "alloc"); err != nil {
			return nil, snap.TableIndex(store.TableAllocs), err
		}
		return onNetwork(snap, a), a.ModifyIndex, nil
	})
}

// onNetwork completes an allocation whose tasks share the network of their
// node: nodes report only networks of an allocation's own.
func onNetwork(snap *store.Snapshot, a *api.Allocation) *api.Allocation {
	if a.NetworkStatus != nil {
		return a
	}
	host := snap.Node(a.NodeID).HostNetwork()
	if host == (api.HostNetwork{}) {
		return a
	}
	c := *a
	c.NetworkStatus = &api.AllocNetworkStatus{InterfaceName: host.Device, Address: host.IP}
	return &c
}

// parent is what a list of allocations belongs to.
type parent struct {
	keys   []store.Key
	allocs func(*store.Snapshot) iter.Seq[*api.Allocation]
	keep   func(*store.Snapshot, *api.Allocation) bool // nil: all
	index  func(*store.Snapshot) uint64                // of what else the list depends on; nil: nothing
}

// allocsOf lists the allocations that one parent has, by ID. An unknown
// parent has none.
func (s *Server) allocsOf(ctx context.Context, opts api.ListOptions, of parent) (iter.Seq[*api.Allocation], api.Meta, error) {
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
	before, err := beforeID(opts)
	if err != nil {
		return nil, api.Meta{}, err
	}
	p := pager[*api.Allocation]{opts: opts, match: match, token: func(a *api.Allocation) string { return a.ID }}
	if before != nil {
		p.before = func(a *api.Allocation) bool { return before(a.ID) }
	}
	var next string
	seq, meta, err := read(ctx, s, opts, of.keys, func(snap *store.Snapshot) (iter.Seq[*api.Allocation], uint64, error) {
		q := p
		q.visible = func(a *api.Allocation) bool { return visible(a.Namespace) && (of.keep == nil || of.keep(snap, a)) }
		seq := of.allocs(snap)
		if opts.Reverse {
			items := slices.Collect(seq)
			slices.Reverse(items)
			seq = slices.Values(items)
		}
		seq, next = q.page(seq)
		index := snap.TableIndex(store.TableAllocs)
		if of.index != nil {
			index = max(index, of.index(snap))
		}
		return seq, index, nil
	})
	meta.NextToken = next
	return seq, meta, err
}

// StopAlloc asks for an allocation to be stopped and replaced; the evaluation
// that does it is in the same log entry. With reschedule a batch allocation is
// replaced under its reschedule policy instead of at once.
func (s *Server) StopAlloc(ctx context.Context, token string, id string, noShutdownDelay, reschedule bool) (*api.AllocStopResponse, error) {
	if err := checkID("allocation", id); err != nil {
		return nil, err
	}
	snap := s.store.Snapshot()
	a := snap.Alloc(id)
	if a == nil {
		return nil, missing("allocation")
	}
	if err := s.useOf(ctx, token, api.CapAllocLifecycle, a.Namespace, missing("allocation")); err != nil {
		return nil, err
	}
	yes := true
	eval := s.allocEval(snap, a, api.EvalTriggerAllocStop)
	res, err := s.propose(ctx, &store.TransitionAllocs{
		Transitions: map[string]api.DesiredTransition{a.ID: {Migrate: &yes, NoShutdownDelay: &noShutdownDelay, Reschedule: &reschedule}},
		Evals:       []*api.Evaluation{eval},
		Now:         s.now().UnixNano(),
	})
	if err != nil {
		return nil, err
	}
	return &api.AllocStopResponse{EvalID: eval.ID, Index: res.Index}, nil
}

// allocEval makes a pending evaluation of an allocation's job.
func (s *Server) allocEval(snap *store.Snapshot, a *api.Allocation, trigger string) *api.Evaluation {
	job := snap.Job(a.Namespace, a.JobID)
	if job == nil {
		job = a.Job
	}
	e := s.jobEval(job, trigger)
	e.JobModifyIndex = job.ModifyIndex
	return e
}

// LocateAlloc returns the node of an allocation for a request that the node
// answers, once the caller has the capability. An allocation that the caller
// may not even read is not found, like one that does not exist.
func (s *Server) LocateAlloc(ctx context.Context, token string, c api.Capability, id string) (nodeID string, err error) {
	if err := checkID("allocation", id); err != nil {
		return "", err
	}
	absent := api.Errorf(api.CodeNotFound, "Unknown allocation %q", id)
	a := s.store.Snapshot().Alloc(id)
	if a == nil {
		return "", absent
	}
	if err := s.useOf(ctx, token, c, a.Namespace, absent); err != nil {
		return "", err
	}
	return a.NodeID, nil
}
