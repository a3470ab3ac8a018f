package server

import (
	"cmp"
	"context"
	"hash/fnv"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// Services lists the services of the namespaces that the caller may read, with
// the tags of all their instances. A filter is about a service of the list.
func (s *Server) Services(ctx context.Context, opts api.ListOptions) ([]*api.ServiceListStub, api.Meta, error) {
	visible, err := s.visible(ctx, opts, api.CapReadJob)
	if err != nil {
		return nil, api.Meta{}, err
	}
	match, err := newFilter[*api.ServiceStub](opts.Filter)
	if err != nil {
		return nil, api.Meta{}, err
	}
	keys := readKeys(opts.Namespace, store.KeyServices(), store.KeyServicesOfNamespace)
	return read(ctx, s, opts, keys, func(snap *store.Snapshot) ([]*api.ServiceListStub, uint64, error) {
		return listServices(snap.Services(opts.Namespace), opts.Prefix, visible, match), snap.TableIndex(store.TableServices), nil
	})
}

// listServices groups registrations, which come by namespace and name.
func listServices(rows iter.Seq[*api.ServiceRegistration], prefix string, visible func(ns string) bool, match func(*api.ServiceStub) bool) []*api.ServiceListStub {
	out := []*api.ServiceListStub{}
	var last *api.ServiceStub
	var namespace string
	flush := func() {
		if last == nil {
			return
		}
		slices.Sort(last.Tags)
		last.Tags = slices.Compact(last.Tags)
		if match == nil || match(last) {
			if n := len(out); n == 0 || out[n-1].Namespace != namespace {
				out = append(out, &api.ServiceListStub{Namespace: namespace})
			}
			group := out[len(out)-1]
			group.Services = append(group.Services, last)
		}
		last = nil
	}
	for r := range rows {
		if !visible(r.Namespace) || !strings.HasPrefix(r.ServiceName, prefix) {
			continue
		}
		if last == nil || r.Namespace != namespace || r.ServiceName != last.ServiceName {
			flush()
			namespace, last = r.Namespace, &api.ServiceStub{ServiceName: r.ServiceName, Tags: []string{}}
		}
		last.Tags = append(last.Tags, r.Tags...)
	}
	flush()
	return out
}

// Service lists the instances of a service by ID, which is also the next
// token. With api.AllNamespaces those of every namespace that the caller may
// read, and the token is "<namespace>.<ID>". choose, "N|key", takes N of them,
// for one key the same ones while they are there.
func (s *Server) Service(ctx context.Context, opts api.ListOptions, name, choose string) ([]*api.ServiceRegistration, api.Meta, error) {
	visible, err := s.visible(ctx, opts, api.CapReadJob)
	if err != nil {
		return nil, api.Meta{}, err
	}
	match, err := newFilter[*api.ServiceRegistration](opts.Filter)
	if err != nil {
		return nil, api.Meta{}, err
	}
	pick, err := parseChoice(choose)
	if err != nil {
		return nil, api.Meta{}, err
	}
	keys := []store.Key{store.KeyService(opts.Namespace, name)}
	token := func(r *api.ServiceRegistration) string { return r.ID }
	if opts.Namespace == api.AllNamespaces {
		keys[0] = store.KeyServices()
		token = func(r *api.ServiceRegistration) string { return r.Namespace + "." + r.ID }
	}
	p := pager[*api.ServiceRegistration]{opts: opts, match: nil, token: token}
	if opts.NextToken != "" {
		p.before = func(r *api.ServiceRegistration) bool {
			if opts.Reverse {
				return token(r) > opts.NextToken
			}
			return token(r) < opts.NextToken
		}
	}
	var next string
	out, meta, err := read(ctx, s, opts, keys, func(snap *store.Snapshot) ([]*api.ServiceRegistration, uint64, error) {
		var rows []*api.ServiceRegistration
		for r := range instances(snap, opts.Namespace, name) {
			if visible(r.Namespace) && (match == nil || match(r)) {
				rows = append(rows, r)
			}
		}
		rows = pick.of(rows)
		slices.SortFunc(rows, func(a, b *api.ServiceRegistration) int { return strings.Compare(token(a), token(b)) })
		if opts.Reverse {
			slices.Reverse(rows)
		}
		var page iter.Seq[*api.ServiceRegistration]
		page, next = p.page(slices.Values(rows))
		return slices.AppendSeq([]*api.ServiceRegistration{}, page), snap.TableIndex(store.TableServices), nil
	})
	meta.NextToken = next
	return out, meta, err
}

// instances yields the registrations of a service in one namespace or all.
func instances(snap *store.Snapshot, ns, name string) iter.Seq[*api.ServiceRegistration] {
	if ns != api.AllNamespaces {
		return snap.Service(ns, name)
	}
	return func(yield func(*api.ServiceRegistration) bool) {
		for n := range snap.Namespaces("", false) {
			for r := range snap.Service(n.Name, name) {
				if !yield(r) {
					return
				}
			}
		}
	}
}

// choice takes some of the instances of a service.
type choice struct {
	n   int // 0: all
	key string
}

// maxChoice bounds how many instances a reader may ask to be chosen.
const maxChoice = 1 << 16

func parseChoice(text string) (choice, error) {
	if text == "" {
		return choice{}, nil
	}
	number, key, ok := strings.Cut(text, "|")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || n < 1 || n > maxChoice || key == "" {
		return choice{}, api.Errorf(api.CodeInvalid, "query parameter \"choose\" is %q: give <number>|<key>, for instance 2|%s", text, "my-allocation-id")
	}
	return choice{n, key}, nil
}

// of returns the rows with the highest weights for the key (rendezvous
// hashing): one that comes or goes changes the choice of few keys.
func (c choice) of(rows []*api.ServiceRegistration) []*api.ServiceRegistration {
	if c.n == 0 || len(rows) <= c.n {
		return rows
	}
	weights := make(map[*api.ServiceRegistration]uint64, len(rows))
	for _, r := range rows {
		weights[r] = weight(c.key, r.ID)
	}
	slices.SortFunc(rows, func(a, b *api.ServiceRegistration) int {
		return cmp.Or(cmp.Compare(weights[b], weights[a]), strings.Compare(a.ID, b.ID))
	})
	return rows[:c.n]
}

// weight hashes a key with an instance; it is the same on every server.
func weight(key, id string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key))
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(id))
	x := h.Sum64() // similar IDs have similar sums: mix
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// JobServices lists the registrations of a job's allocations by ID.
func (s *Server) JobServices(ctx context.Context, opts api.ListOptions, id string) ([]*api.ServiceRegistration, api.Meta, error) {
	if err := s.authorize(ctx, opts.Token, api.CapReadJob, opts.Namespace); err != nil {
		return nil, api.Meta{}, err
	}
	keys := []store.Key{store.KeyServicesOfJob(opts.Namespace, id), store.KeyJob(opts.Namespace, id)}
	return read(ctx, s, opts, keys, func(snap *store.Snapshot) ([]*api.ServiceRegistration, uint64, error) {
		index := max(snap.TableIndex(store.TableServices), 1)
		if snap.Job(opts.Namespace, id) == nil {
			return nil, index, missing("job")
		}
		return slices.AppendSeq([]*api.ServiceRegistration{}, snap.ServicesOfJob(opts.Namespace, id)), index, nil
	})
}

// AllocServices lists the registrations of an allocation, which must be in the
// request's namespace.
func (s *Server) AllocServices(ctx context.Context, opts api.ListOptions, id string) ([]*api.ServiceRegistration, api.Meta, error) {
	if err := checkID("allocation", id); err != nil {
		return nil, api.Meta{}, err
	}
	if err := s.authorize(ctx, opts.Token, api.CapReadJob, opts.Namespace); err != nil {
		return nil, api.Meta{}, err
	}
	return read(ctx, s, opts, []store.Key{store.KeyServicesOfAlloc(id)}, func(snap *store.Snapshot) ([]*api.ServiceRegistration, uint64, error) {
		index := max(snap.TableIndex(store.TableServices), 1)
		if a := snap.Alloc(id); a == nil || a.Namespace != opts.Namespace {
			return nil, index, missing("allocation")
		}
		return append([]*api.ServiceRegistration{}, snap.ServicesOfAlloc(id)...), index, nil
	})
}

// DeleteService takes one registration out of the catalogue.
func (s *Server) DeleteService(ctx context.Context, token, namespace, name, id string) (index uint64, err error) {
	if err := s.authorize(ctx, token, api.CapDeleteServiceRegistration, namespace); err != nil {
		return 0, err
	}
	res, err := s.propose(ctx, &store.DeleteService{Namespace: namespace, Name: name, ID: id})
	return res.Index, err
}
