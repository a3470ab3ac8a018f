package voters

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/drover-org/drover/api"
)

func member(id string, change ...func(*Member)) Member {
	m := Member{ID: id, Name: id, Address: "addr-" + id, Alive: true, Expect: 3, Hello: &Hello{ID: id}}
	for _, f := range change {
		f(&m)
	}
	return m
}

func formed(m *Member) { m.Hello.Formed = true }
func dead(m *Member)   { m.Alive, m.Hello = false, nil }

func voter(id string) *api.RaftServer {
	return &api.RaftServer{ID: id, Address: "addr-" + id, Voter: true}
}

func TestDecide(t *testing.T) {
	left := func(ids ...string) func(string) bool {
		return func(id string) bool { return strings.Contains(" "+strings.Join(ids, " ")+" ", " "+id+" ") }
	}
	for name, c := range map[string]struct {
		servers  []*api.RaftServer
		members  []Member
		departed func(string) bool
		want     string
		warned   string
	}{
		"all is well":      {[]*api.RaftServer{voter("a"), voter("b")}, []Member{member("a", formed), member("b", formed)}, left(), "", ""},
		"one comes":        {[]*api.RaftServer{voter("a")}, []Member{member("a", formed), member("b")}, left(), "add b", ""},
		"in order":         {[]*api.RaftServer{voter("a")}, []Member{member("c"), member("a", formed), member("b")}, left(), "add b", ""},
		"not reached":      {[]*api.RaftServer{voter("a")}, []Member{member("b", func(m *Member) { m.Hello = nil })}, left(), "", ""},
		"fails and stays":  {[]*api.RaftServer{voter("a"), voter("b")}, []Member{member("b", dead)}, left(), "", ""},
		"leaves":           {[]*api.RaftServer{voter("a"), voter("b")}, []Member{member("b", dead)}, left("b"), "remove b", ""},
		"was pruned":       {[]*api.RaftServer{voter("a"), voter("b")}, nil, left("b"), "remove b", ""},
		"unknown stays":    {[]*api.RaftServer{voter("a"), voter("b")}, nil, left(), "", ""},
		"came back":        {[]*api.RaftServer{voter("a"), voter("b")}, []Member{member("b", formed)}, left("b"), "", ""},
		"itself stays":     {[]*api.RaftServer{voter("a"), voter("b")}, nil, left("a"), "", ""},
		"moved":            {[]*api.RaftServer{voter("a"), voter("b")}, []Member{member("b", formed, func(m *Member) { m.Address = "new" })}, left(), "add b", ""},
		"lost its disk":    {[]*api.RaftServer{voter("a"), voter("b")}, []Member{member("c", func(m *Member) { m.Address = "addr-b" })}, left(), "remove b", ""},
		"has its own log":  {[]*api.RaftServer{voter("a")}, []Member{member("b", formed)}, left(), "", "a log of its own"},
		"is somebody else": {[]*api.RaftServer{voter("a")}, []Member{member("b", func(m *Member) { m.Hello.ID = "x" })}, left(), "", "not b as gossip says"},
	} {
		t.Run(name, func(t *testing.T) {
			todo, warnings := decide("a", c.servers, c.members, c.departed)
			got := ""
			if todo != nil && todo.add != nil {
				got = "add " + todo.add.ID
			} else if todo != nil {
				got = "remove " + todo.remove
			}
			if got != c.want || (c.warned == "") != (len(warnings) == 0) || !strings.Contains(strings.Join(warnings, "\n"), c.warned) {
				t.Errorf("%q, %q", got, warnings)
			}
		})
	}
}

// fakeLog is a log that can be formed.
type fakeLog struct {
	id     string
	mu     sync.Mutex
	formed map[string]string
}

func (l *fakeLog) ID() string { return l.id }
func (l *fakeLog) Formed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.formed != nil
}
func (l *fakeLog) Servers() []*api.RaftServer { return nil }
func (l *fakeLog) Form(_ context.Context, servers map[string]string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.formed = servers
	return nil
}
func (l *fakeLog) AddServer(context.Context, string, string) error { return nil }
func (l *fakeLog) RemoveServer(context.Context, string) error      { return nil }

// region is servers some of which see each other.
type region struct {
	logs     []*fakeLog
	consents []*Consent
	sees     func(from, to int) bool
	expect   int
}

func (r *region) add() int {
	l := &fakeLog{id: fmt.Sprintf("s%d", len(r.logs))}
	r.logs = append(r.logs, l)
	r.consents = append(r.consents, &Consent{Formed: l.Formed, Now: time.Now})
	return len(r.logs) - 1
}

// view is the region as one server sees it.
type view struct {
	*region
	self int
}

func (v view) Servers() []Member {
	var out []Member
	for i, l := range v.logs {
		if i == v.self || v.sees(v.self, i) {
			out = append(out, Member{ID: l.id, Name: l.id, Address: fmt.Sprint(i), Alive: true, Expect: v.expect})
		}
	}
	return out
}
func (v view) Changed() <-chan struct{} { return nil }
func (v view) Departed(string) bool     { return false }
func (v view) at(addr string) (i int) {
	_, _ = fmt.Sscan(addr, &i)
	return i
}
func (v view) Hello(_ context.Context, addr string) (*Hello, error) {
	l := v.logs[v.at(addr)]
	return &Hello{ID: l.id, Formed: l.Formed()}, nil
}
func (v view) own() *Hello {
	h, _ := v.Hello(context.Background(), fmt.Sprint(v.self))
	return h
}
func (v view) Consent(_ context.Context, addr, id string) error {
	return v.consents[v.at(addr)].Give(id)
}

// As many servers as are expected form one log, and never two, whoever sees
// whom: two logs would take as many servers as are expected each, and share
// one.
func TestARegionFormsOneLog(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		expect := rapid.IntRange(2, 5).Draw(rt, "expect")
		n := rapid.IntRange(expect, min(2*expect-1, 7)).Draw(rt, "servers")
		blind := rapid.SliceOfN(rapid.Bool(), n*n, n*n).Draw(rt, "blind")
		whole := n == expect && rapid.Bool().Draw(rt, "whole")
		synctest.Test(t, func(t *testing.T) {
			r := &region{expect: expect, sees: func(from, to int) bool { return whole || !blind[from*n+to] }}
			for range n {
				r.add()
			}
			ctx, cancel := context.WithTimeout(t.Context(), lookAgain*10)
			defer cancel()
			var wg sync.WaitGroup
			for i, l := range r.logs {
				v := view{r, i}
				wg.Go(func() {
					_ = NewFormer(Config{Log: l, Gossip: v, Peers: v, Own: v.own, Expect: expect, Logger: slog.New(slog.DiscardHandler)}).Run(ctx)
				})
			}
			wg.Wait()
			logs := 0
			for _, l := range r.logs {
				if l.Formed() {
					logs++
					if len(l.formed) != expect {
						t.Errorf("formed with %d servers where %d are expected", len(l.formed), expect)
					}
				}
			}
			if logs > 1 || whole && logs != 1 {
				t.Errorf("%d logs", logs)
			}
		})
	})
}

func TestConsentIsGivenOnce(t *testing.T) {
	belongs := false
	now := time.Unix(0, 0)
	c := &Consent{Formed: func() bool { return belongs }, Now: func() time.Time { return now }}
	if err := c.Give("a"); err != nil {
		t.Fatal(err)
	}
	if err := c.Give("a"); err != nil {
		t.Fatal("asked again:", err)
	}
	if err := c.Give("b"); api.ErrorCode(err) != api.CodeConflict {
		t.Fatalf("a second one: %v", err)
	}
	now = now.Add(consentLife)
	if err := c.Give("b"); err != nil {
		t.Fatal("after it lapsed:", err)
	}
	belongs = true
	if err := c.Give("b"); api.ErrorCode(err) != api.CodeConflict {
		t.Fatalf("with a log: %v", err)
	}
}

func TestKeysTellOfChanges(t *testing.T) {
	k := NewKeys()
	_, changed := k.All()
	with := func(key string) []Member {
		return []Member{member("a"), member("b", func(m *Member) { m.Hello.Key = []byte(key) })}
	}
	servers := []*api.RaftServer{voter("a"), voter("b")}
	k.learn("a", servers[:1], with("1"))
	if public, _ := k.All(); len(public) != 0 {
		t.Fatal("the key of a server that does not keep the log")
	}
	k.learn("a", servers, with("1"))
	<-changed
	public, changed := k.All()
	if len(public) != 1 || string(public[0]) != "1" {
		t.Fatalf("%q", public)
	}
	k.learn("a", servers, nil)
	k.learn("a", servers, with("1"))
	select {
	case <-changed:
		t.Fatal("changed by the same")
	default:
	}
	k.learn("a", servers[:1], nil)
	if public, _ := k.All(); len(public) != 0 {
		t.Fatalf("%q after it went", public)
	}
}
