package httpapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// pagedLists are all lists that come in pages: what names an object of each,
// a filter that some objects match, a prefix, and whether they have namespaces.
var pagedLists = []struct {
	target  string
	name    []string // members that together name an object
	filter  string
	prefix  string
	spaces  bool
	order   string // the member that decides the order when it can change; such objects are not held to be stable
	garbage []string
}{
	{target: "/v1/allocations", name: []string{"ID"}, filter: `ClientStatus == "running" or Job.Version == 0`, spaces: true, garbage: []string{"x", "1.x", "x." + noID, noID, "-1." + noID, "1." + noID + ".x"}},
	{target: "/v1/allocations", name: []string{"ID"}, filter: `ClientStatus != "failed"`, prefix: "61", spaces: true, garbage: []string{"x", "12." + noID, noID[:35], noID + "0"}},
	{target: "/v1/job/web/allocations", name: []string{"ID"}, filter: `ClientStatus != "failed"`, garbage: []string{"x", "12." + noID}},
	{target: "/v1/evaluations", name: []string{"ID"}, filter: `Status != "blocked"`, spaces: true, garbage: []string{"x", "1.x", noID}},
	{target: "/v1/evaluations", name: []string{"ID"}, filter: `Status == "pending" or Priority == 50`, prefix: "62", spaces: true, garbage: []string{"x", "12." + noID}},
	{target: "/v1/jobs", name: []string{"Namespace", "ID"}, filter: `Status != "dead"`, spaces: true, garbage: []string{"x", "web", "a b.web"}},
	{target: "/v1/jobs", name: []string{"Namespace", "ID"}, filter: `Type == "service"`, prefix: "j", spaces: true, garbage: []string{"x"}},
	{target: "/v1/jobs/statuses", name: []string{"Namespace", "ID"}, filter: `Status != "dead"`, spaces: true, order: "ModifyIndex", garbage: []string{"x", "1.2", "x.default.web"}},
	{target: "/v1/nodes", name: []string{"ID"}, filter: `NodePool == "default"`, garbage: []string{"x", "12." + noID}},
	{target: "/v1/nodes", name: []string{"ID"}, filter: `Status == "ready"`, prefix: "e0", garbage: []string{"x"}},
	{target: "/v1/node/pool/default/nodes", name: []string{"ID"}, filter: `Status == "ready"`, garbage: []string{"x"}},
	{target: "/v1/node/pool/all/jobs", name: []string{"Namespace", "ID"}, filter: `Status != "dead"`, spaces: true, garbage: []string{"x", "web"}},
	{target: "/v1/node/pools", name: []string{"Name"}, filter: `Description != "3"`, prefix: "np", garbage: []string{"a b", "x/y", strings.Repeat("x", 200)}},
	{target: "/v1/quotas", name: []string{"Name"}, filter: `Description != "3"`, prefix: "q", garbage: []string{"a b", "x/y", strings.Repeat("x", 200)}},
	{target: "/v1/quota-usages", name: []string{"Name"}, filter: `Name != "q1"`, garbage: []string{"a b"}},
	{target: "/v1/deployments", name: []string{"ID"}, filter: `Status != "failed"`, spaces: true, garbage: []string{"x", "1.x", noID}},
	{target: "/v1/deployments", name: []string{"ID"}, filter: `JobID == "web"`, prefix: "61", spaces: true, garbage: []string{"x", "12." + noID}},
	{target: "/v1/namespaces", name: []string{"Name"}, filter: `Description != "3"`, prefix: "ns", garbage: []string{"a b", "x/y", strings.Repeat("x", 200)}},
	{target: "/v1/acl/policies", name: []string{"Name"}, filter: `Description != "3"`, prefix: "p", garbage: []string{"a b", strings.Repeat("x", 200)}},
	{target: "/v1/acl/roles", name: []string{"ID"}, filter: `Description != "3"`, prefix: "r", garbage: []string{"a b"}},
	{target: "/v1/acl/tokens", name: []string{"AccessorID"}, filter: `Name != "3"`, garbage: []string{"x", "12." + noID}},
	{target: "/v1/acl/auth-methods", name: []string{"Name"}, filter: `Default == false`, garbage: []string{"a b"}},
	{target: "/v1/acl/binding-rules", name: []string{"ID"}, filter: `Description != "3"`, garbage: []string{"x"}},
}

// aclStep is churn's step for what access control has, and for node pools.
func (c *churn) aclStep() {
	n := c.rng.IntN(20)
	text := fmt.Sprint(c.rng.IntN(6))
	id := fmt.Sprintf("%02xaaaaaa-0000-4000-8000-0000000000%02x", n*13, n)
	now := start.UnixNano()
	switch c.rng.IntN(12) {
	case 10:
		c.apply(&store.UpsertNodePools{Pools: []*api.NodePool{{Name: "np" + fmt.Sprint(n), Description: text}}})
	case 11:
		c.apply(&store.DeleteNodePools{Names: []string{"np" + fmt.Sprint(n)}})
	case 0, 1:
		c.apply(&store.UpsertACLPolicy{Policy: &api.ACLPolicy{Name: "p" + fmt.Sprint(n), Description: text, Rules: `node { policy = "read" }`}})
	case 2:
		c.apply(&store.DeleteACLPolicy{Name: "p" + fmt.Sprint(n)})
	case 3, 4:
		c.apply(&store.UpsertACLRole{Role: &api.ACLRole{ID: id, Name: "r" + fmt.Sprint(n), Description: text, Policies: []*api.ACLRolePolicyLink{{Name: "p1"}}}})
	case 5:
		c.apply(&store.UpsertACLToken{Token: &store.ACLToken{Token: &api.ACLToken{AccessorID: id, Name: text, Type: "client", Policies: []string{"p1"}}, Hash: []byte(fmt.Sprintf("%032d", n))}})
	case 6:
		c.apply(&store.DeleteACLToken{AccessorID: id})
	case 7:
		c.apply(&store.UpsertAuthMethod{AuthMethod: &store.AuthMethod{Method: &api.ACLAuthMethod{Name: "m" + fmt.Sprint(n), Type: "JWT", TokenLocality: "local"}}, Now: now})
	case 8:
		c.apply(&store.UpsertBindingRule{Rule: &api.ACLBindingRule{ID: id, Description: text, AuthMethod: "m1", BindType: "policy", BindName: "p1"}, Now: now})
	case 9:
		switch c.rng.IntN(3) {
		case 0:
			c.apply(&store.DeleteACLRole{ID: id})
		case 1:
			c.apply(&store.DeleteBindingRule{ID: id})
		case 2:
			if n != 1 {
				c.apply(&store.DeleteAuthMethod{Name: "m" + fmt.Sprint(n)})
			}
		}
	}
}

// pages reads a list in pages, or in one go, as a management token.
type pages struct {
	s    *secured
	name []string
	key  string // the member that decides the order, or ""
}

// read returns the names of one page in order, what decides their order, and
// the token of the next.
func (p pages) read(t *testing.T, target string) (names []string, order map[string]string, next string) {
	t.Helper()
	status, body, h := p.s.call("GET", strings.ReplaceAll(target, " ", "+"), "", "X-Nomad-Token", p.s.root)
	if status != 200 {
		t.Fatalf("%s: %d %s", target, status, body)
	}
	var items []map[string]any
	if err := json.Unmarshal([]byte(body), &items); err != nil {
		t.Fatalf("%s: %v", target, err)
	}
	order = map[string]string{}
	for _, item := range items {
		var name []string
		for _, member := range p.name {
			name = append(name, item[member].(string))
		}
		names = append(names, strings.Join(name, "/"))
		order[strings.Join(name, "/")] = fmt.Sprint(item[p.key])
	}
	return names, order, h.Get("X-Nomad-NextToken")
}

// Every object that is there during a whole walk through the pages of a list
// is seen exactly once, and none twice, whatever is written meanwhile.
func TestPagesAreStable(t *testing.T) {
	for seed := range uint64(3) {
		s := newSecured(t)
		s.bootstrap()
		s.propose(&store.UpsertNamespaces{Namespaces: []*api.Namespace{{Name: "other"}}})
		rng := rand.New(rand.NewPCG(seed, 77))
		c := &churn{w: s.world, rng: rng, name: "a", namespaces: []string{"default", "other"}, jobs: []string{"web", "db", "j1", "j2", "j3"}}
		for n := range 9 {
			c.nodes = append(c.nodes, fmt.Sprintf("e%x00aaaa-0000-4000-8000-%012x", n%4, n))
		}
		step := func(n int) {
			for range n {
				if rng.IntN(4) == 0 {
					c.aclStep()
				} else {
					c.step()
				}
			}
		}
		step(250)
		c.name = "b" // and from the middle of the order of IDs
		for _, list := range pagedLists {
			p := pages{s, list.name, list.order}
			for variant := range 8 {
				q := url.Values{}
				if variant&1 != 0 {
					q.Set("reverse", "true")
				}
				if variant&2 != 0 {
					q.Set("filter", list.filter)
				}
				if variant&4 != 0 && list.spaces {
					q.Set("namespace", "*")
				}
				if list.prefix != "" {
					q.Set("prefix", list.prefix)
				}
				all := list.target + "?" + q.Encode()
				for _, changes := range []int{0, 3} {
					q.Set("per_page", fmt.Sprint(1+rng.IntN(4)))
					q.Del("next_token")
					before, order, _ := p.read(t, all)
					stable := maps.Clone(order)
					var seen []string
					for {
						page, _, next := p.read(t, list.target+"?"+q.Encode())
						seen = append(seen, page...)
						if next == "" {
							break
						}
						if len(seen) > 3000 {
							t.Fatalf("seed %d: %s does not end", seed, all)
						}
						q.Set("next_token", next)
						step(changes)
						_, now, _ := p.read(t, all)
						maps.DeleteFunc(stable, func(name, key string) bool { at, ok := now[name]; return !ok || at != key })
					}
					if changes == 0 && !slices.Equal(seen, before) {
						t.Errorf("seed %d: %s in pages of %s:\n%q\nat once\n%q", seed, all, q.Get("per_page"), seen, before)
					}
					for name := range stable {
						if n := len(seen) - len(slices.DeleteFunc(slices.Clone(seen), func(s string) bool { return s == name })); n != 1 {
							t.Errorf("seed %d: %s in pages of %s with changes: %s was seen %d times", seed, all, q.Get("per_page"), name, n)
						}
					}
					if sorted := slices.Sorted(slices.Values(seen)); list.order == "" && len(slices.Compact(sorted)) != len(seen) {
						t.Errorf("seed %d: %s shows something twice: %q", seed, all, seen)
					}
				}
			}
		}
	}
}

// A next_token that no list gave is refused by its name.
func TestGarbageTokens(t *testing.T) {
	s := newSecured(t)
	s.bootstrap()
	for _, list := range pagedLists {
		for _, garbage := range append(list.garbage, "\x00", "%", strings.Repeat("9", 400)) {
			q := url.Values{"next_token": {garbage}, "per_page": {"1"}}
			if list.prefix != "" {
				q.Set("prefix", list.prefix)
			}
			if status, body := s.as(s.root, "GET", list.target+"?"+q.Encode(), ""); status != 400 || !strings.Contains(body, `"next_token"`) || len(body) > 400 {
				t.Errorf("%s?%s: %d %.500s", list.target, q.Encode(), status, body)
			}
		}
	}
}
