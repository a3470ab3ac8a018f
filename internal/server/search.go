package server

import (
	"context"
	"slices"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// Contexts of a search. The order is the order of the answer's documentation.
var searchContexts = []string{"jobs", "evals", "allocs", "nodes", "deployment", "namespaces", "node_pools", "quotas", "groups", "tasks", "services", "images", "commands", "classes", "scaling_policy", "plugins", "volumes", "vars"}

// maxFuzzyScan bounds how many matches a fuzzy search gathers per context
// before it keeps the best.
const maxFuzzyScan = 10_000

// minFuzzyText is the shortest text a fuzzy search takes.
const minFuzzyText = 2

// contextsOf returns the contexts a search is about.
func contextsOf(name string, all []string) ([]string, error) {
	switch name {
	case "", "all":
		return all, nil
	case "deployments":
		name = "deployment"
	}
	if !slices.Contains(searchContexts, name) {
		return nil, api.Errorf(api.CodeInvalid, "Context is %q: it must be \"all\" or one of %s", name, strings.Join(searchContexts, ", "))
	}
	return []string{name}, nil
}

// searchContextCap returns what a caller needs to see a context's matches.
func searchContextCap(c string) (capability api.Capability, namespaced bool) {
	switch c {
	case "jobs":
		return api.CapListJobs, true
	case "nodes", "classes":
		return api.CapNodeRead, false
	case "quotas":
		return api.CapQuotaRead, false
	}
	return api.CapReadJob, true
}

// Search finds objects by the prefix of their IDs, at most api.SearchLimit per
// context. A prefix that is no UUID prefix finds no UUIDs; an odd number of
// digits is fine here.
func (s *Server) Search(ctx context.Context, opts api.ListOptions, req *api.SearchRequest) (*api.SearchResponse, error) {
	contexts, err := contextsOf(req.Context, []string{"jobs", "evals", "allocs", "nodes", "deployment", "namespaces", "node_pools", "quotas"})
	if err != nil {
		return nil, err
	}
	opts.Namespace = searchNamespace(opts, req.Namespace)
	visible, err := s.searchVisible(ctx, opts)
	if err != nil {
		return nil, err
	}
	out, meta, err := read(ctx, s, opts, nil, func(snap *store.Snapshot) (*api.SearchResponse, uint64, error) {
		out := &api.SearchResponse{Matches: map[string][]string{}, Truncations: map[string]bool{}}
		for _, c := range contexts {
			found, cut := []string{}, false
			for id := range searchIDs(snap, c, req.Prefix, visible(c)) {
				if c == "jobs" && slices.Contains(found, id) {
					continue // of another namespace
				}
				if len(found) == api.SearchLimit {
					cut = true
					break
				}
				found = append(found, id)
			}
			if len(found) == 0 && req.Context != c && len(contexts) > 1 {
				continue
			}
			out.Matches[c], out.Truncations[c] = found, cut
		}
		return out, snap.Index(), nil
	})
	if err != nil {
		return nil, err
	}
	out.Index, out.KnownLeader, out.LastContact = meta.Index, meta.KnownLeader, int64(meta.LastContact)
	return out, nil
}

func searchNamespace(opts api.ListOptions, body string) string {
	if body != "" {
		return body
	}
	return opts.Namespace
}

// searchVisible returns for each context which namespaces or node pools are shown; nil for
// a context that is not shown at all.
func (s *Server) searchVisible(ctx context.Context, opts api.ListOptions) (func(context string) func(ns string) bool, error) {
	if err := s.known(ctx, opts.Token); err != nil {
		return nil, err
	}
	none := func(string) bool { return false }
	return func(c string) func(string) bool {
		if c == "namespaces" {
			return func(ns string) bool { return s.enters(ctx, opts.Token, ns) }
		}
		if c == "node_pools" {
			return func(pool string) bool { return s.authorize(ctx, opts.Token, api.CapNodePoolRead, pool) == nil }
		}
		capability, namespaced := searchContextCap(c)
		if !namespaced {
			if s.authorize(ctx, opts.Token, capability, "") != nil {
				return none
			}
			return func(string) bool { return true }
		}
		visible, err := s.visible(ctx, opts, capability)
		if err != nil {
			return none
		}
		return visible
	}, nil
}

// searchIDs yields the IDs of one context that start with prefix.
func searchIDs(snap *store.Snapshot, c, prefix string, visible func(ns string) bool) func(func(string) bool) {
	return func(yield func(string) bool) {
		hex, odd, isID := splitPrefix(prefix)
		match := func(id, ns string) bool {
			return !visible(ns) || odd != "" && !strings.HasPrefix(strings.ReplaceAll(id, "-", ""), odd) || yield(id)
		}
		switch c {
		case "jobs":
			for j := range snap.Jobs() {
				if strings.HasPrefix(j.ID, prefix) && visible(j.Namespace) && !yield(j.ID) {
					return
				}
			}
		case "namespaces":
			for n := range snap.Namespaces(prefix, false) {
				if !strings.HasPrefix(n.Name, prefix) || visible(n.Name) && !yield(n.Name) {
					return
				}
			}
		case "node_pools":
			for p := range snap.NodePools(prefix, false) {
				if !strings.HasPrefix(p.Name, prefix) || visible(p.Name) && !yield(p.Name) {
					return
				}
			}
		case "quotas":
			for q := range snap.Quotas(prefix, false) {
				if !strings.HasPrefix(q.Name, prefix) || visible("") && !yield(q.Name) {
					return
				}
			}
		case "allocs":
			for a := range snap.AllocsFrom(hex, false) {
				if !isID || !match(a.ID, a.Namespace) {
					return
				}
			}
		case "evals":
			for e := range snap.EvalsFrom(hex, false) {
				if !isID || !match(e.ID, e.Namespace) {
					return
				}
			}
		case "deployment":
			for d := range snap.DeploymentsFrom(hex, false) {
				if !isID || !match(d.ID, d.Namespace) {
					return
				}
			}
		case "nodes":
			searchNodes(snap, prefix, hex, isID, match)
		}
	}
}

// searchNodes yields nodes by ID, or by name when the prefix is not one of a
// UUID.
func searchNodes(snap *store.Snapshot, prefix string, hex []byte, isID bool, match func(id, ns string) bool) {
	if isID {
		for n := range snap.NodesFrom(hex, false) {
			if !match(n.ID, "") {
				return
			}
		}
		return
	}
	for n := range snap.Nodes() {
		if strings.HasPrefix(n.Name, prefix) && !match(n.ID, "") {
			return
		}
	}
}

// splitPrefix returns the whole bytes of a UUID prefix, and when its last
// digit has no partner all of its digits in odd. isID is false when it can't
// be the prefix of a UUID.
func splitPrefix(prefix string) (whole []byte, odd string, isID bool) {
	digits := strings.ToLower(strings.ReplaceAll(prefix, "-", ""))
	if len(digits)%2 == 1 {
		odd = digits
		if strings.Trim(digits[len(digits)-1:], "0123456789abcdef") != "" {
			return nil, "", false
		}
		digits = digits[:len(digits)-1]
	}
	whole, err := api.ParseIDPrefix(digits)
	if err != nil {
		return nil, "", false
	}
	return whole, odd, true
}

// FuzzySearch finds objects by a part of their names, the best matches first,
// at most api.SearchLimit per context.
func (s *Server) FuzzySearch(ctx context.Context, opts api.ListOptions, req *api.FuzzySearchRequest) (*api.FuzzySearchResponse, error) {
	if len(req.Text) < minFuzzyText {
		return nil, api.Errorf(api.CodeInvalid, "Text is %q: a fuzzy search needs at least %d characters", req.Text, minFuzzyText)
	}
	contexts, err := contextsOf(req.Context, searchContexts)
	if err != nil {
		return nil, err
	}
	opts.Namespace = searchNamespace(opts, req.Namespace)
	visible, err := s.searchVisible(ctx, opts)
	if err != nil {
		return nil, err
	}
	out, meta, err := read(ctx, s, opts, nil, func(snap *store.Snapshot) (*api.FuzzySearchResponse, uint64, error) {
		out := &api.FuzzySearchResponse{Matches: map[string][]api.FuzzyMatch{}, Truncations: map[string]bool{}}
		f := newFuzzy(req.Text, contexts, visible)
		f.scan(snap)
		for c, found := range f.found {
			slices.SortStableFunc(found, func(a, b ranked) int { return a.rank - b.rank })
			out.Truncations[c] = len(found) > api.SearchLimit
			for _, r := range found[:min(len(found), api.SearchLimit)] {
				out.Matches[c] = append(out.Matches[c], r.match)
			}
		}
		return out, snap.Index(), nil
	})
	if err != nil {
		return nil, err
	}
	out.Index, out.KnownLeader, out.LastContact = meta.Index, meta.KnownLeader, int64(meta.LastContact)
	return out, nil
}

// ranked is a match with the place of the text in the name: earlier is better.
type ranked struct {
	rank  int
	match api.FuzzyMatch
}

type fuzzy struct {
	text    string
	want    map[string]bool
	visible map[string]func(ns string) bool
	found   map[string][]ranked
}

func newFuzzy(text string, contexts []string, visible func(string) func(string) bool) *fuzzy {
	f := &fuzzy{text: strings.ToLower(text), want: map[string]bool{}, visible: map[string]func(string) bool{}, found: map[string][]ranked{}}
	for _, c := range contexts {
		f.want[c], f.visible[c] = true, visible(c)
	}
	return f
}

// add notes name as a match of a context if it contains the text.
func (f *fuzzy) add(c, ns, name, id string, scope ...string) {
	if !f.want[c] || len(f.found[c]) >= maxFuzzyScan || !f.visible[c](ns) {
		return
	}
	if at := strings.Index(strings.ToLower(name), f.text); at >= 0 {
		f.found[c] = append(f.found[c], ranked{at, api.FuzzyMatch{ID: id, Scope: scope}})
	}
}

// id notes an ID as a match of a context if it begins with the text.
func (f *fuzzy) id(c, ns, id string) {
	if strings.HasPrefix(strings.ReplaceAll(id, "-", ""), strings.ReplaceAll(f.text, "-", "")) && len(f.found[c]) < maxFuzzyScan && f.visible[c](ns) {
		f.found[c] = append(f.found[c], ranked{0, api.FuzzyMatch{ID: id}})
	}
}

func (f *fuzzy) scan(snap *store.Snapshot) {
	for j := range snap.Jobs() {
		f.add("jobs", j.Namespace, j.Name, j.Name, j.Namespace, j.ID)
		for _, g := range j.TaskGroups {
			f.add("groups", j.Namespace, g.Name, g.Name, j.Namespace, j.ID)
			for _, sv := range g.Services {
				f.add("services", j.Namespace, sv.Name, sv.Name, j.Namespace, j.ID, g.Name)
			}
			for _, t := range g.Tasks {
				f.task(j, g, t)
			}
		}
	}
	if f.want["allocs"] {
		for a := range snap.Allocs() {
			f.add("allocs", a.Namespace, a.Name, a.Name, a.Namespace, a.ID)
		}
	}
	for n := range snap.Nodes() {
		f.add("nodes", "", n.Name, n.Name, n.ID)
		f.add("classes", "", n.NodeClass, n.NodeClass, n.ID)
	}
	for p := range snap.NodePools("", false) {
		f.add("node_pools", p.Name, p.Name, p.Name)
	}
	for q := range snap.Quotas("", false) {
		f.add("quotas", "", q.Name, q.Name)
	}
	for n := range snap.Namespaces("", false) {
		f.add("namespaces", n.Name, n.Name, n.Name)
	}
	if hex, _, isID := splitPrefix(f.text); isID {
		if f.want["evals"] {
			for e := range snap.EvalsFrom(hex, false) {
				f.id("evals", e.Namespace, e.ID)
			}
		}
		if f.want["deployment"] {
			for d := range snap.DeploymentsFrom(hex, false) {
				f.id("deployment", d.Namespace, d.ID)
			}
		}
	}
}

func (f *fuzzy) task(j *api.Job, g *api.TaskGroup, t *api.Task) {
	scope := []string{j.Namespace, j.ID, g.Name}
	f.add("tasks", j.Namespace, t.Name, t.Name, scope...)
	inTask := append(scope, t.Name)
	for _, sv := range t.Services {
		f.add("services", j.Namespace, sv.Name, sv.Name, inTask...)
	}
	if image, ok := t.Config["image"].(string); ok {
		f.add("images", j.Namespace, image, image, inTask...)
	}
	if command, ok := t.Config["command"].(string); ok {
		f.add("commands", j.Namespace, command, command, inTask...)
	}
}
