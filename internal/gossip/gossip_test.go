package gossip

import (
	"context"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/serf/serf"
	"go.uber.org/goleak"

	"github.com/drover-org/drover/api"
)

func TestMain(m *testing.M) {
	// Timers of the libraries end a moment after Shutdown.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).triggerFunc"),
		goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).pushPullTrigger"),
		goleak.IgnoreAnyFunction("github.com/hashicorp/serf/serf.(*Serf).handlePrune.func1"),
	)
}

type running struct {
	*Gossip
	stop func() error
}

func start(t *testing.T, name string, change ...func(*Config)) *running {
	t.Helper()
	sockets, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Name: name, Tags: map[string]string{"region": "global", TagID: name + "-id"}, Sockets: sockets,
		Address: sockets.Streams.Addr().String(), Log: slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&cfg)
	}
	g := Open(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	r := &running{Gossip: g, stop: sync.OnceValue(func() error { cancel(); return <-done })}
	t.Cleanup(func() { _ = r.stop() })
	return r
}

// await waits until ok, looking again after each change.
func (r *running) await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for {
		changed := r.Changed()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatalf("never: %s", what)
		}
	}
}

func statuses(list []*api.AgentMember) string {
	var out []string
	for _, m := range list {
		out = append(out, m.Name+" "+m.Status)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func TestServersFindEachOther(t *testing.T) {
	a, b, c := start(t, "a"), start(t, "b"), start(t, "c")
	if got := statuses(a.Members()); got != "a alive" || a.serf != nil {
		t.Fatalf("alone: %s, gossiping %v", got, a.serf != nil)
	}
	if n, err := a.Join(t.Context(), []string{b.cfg.Address}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := c.Join(t.Context(), []string{"127.0.0.1:1", b.cfg.Address}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	for _, g := range []*running{a, b, c} {
		g.await(t, "three members", func() bool { return statuses(g.Members()) == "a alive, b alive, c alive" })
	}
	if first := c.Members()[0].Name; first != "c" {
		t.Errorf("%s comes first in the list of c", first)
	}
	if n, err := a.Join(t.Context(), []string{"127.0.0.1:1"}); n != 0 || err == nil {
		t.Fatal("joined nobody", n, err)
	}

	// One that leaves has departed, and is back when it is back.
	if err := c.Leave(); err != nil {
		t.Fatal(err)
	}
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}
	a.await(t, "c has left", func() bool { return a.Departed("c-id") })
	if !strings.Contains(statuses(a.Members()), "c left") {
		t.Error(statuses(a.Members()))
	}
	again := start(t, "c")
	if _, err := again.Join(t.Context(), []string{a.cfg.Address}); err != nil {
		t.Fatal(err)
	}
	a.await(t, "c is back", func() bool { return !a.Departed("c-id") })
}

func TestForceLeave(t *testing.T) {
	a, b := start(t, "a"), start(t, "b")
	if err := a.ForceLeave("nobody", false); err != nil {
		t.Fatal("before gossip:", err)
	}
	if _, err := a.Join(t.Context(), []string{b.cfg.Address}); err != nil {
		t.Fatal(err)
	}
	if err := a.ForceLeave("nobody", false); err != nil {
		t.Fatal(err)
	}
	if err := a.ForceLeave("a", false); api.ErrorCode(err) != api.CodeInvalid {
		t.Fatal("took itself out", err)
	}
	if err := b.stop(); err != nil { // as if it were killed
		t.Fatal(err)
	}
	a.await(t, "b has failed", func() bool { return strings.Contains(statuses(a.Members()), "b failed") })
	if a.Departed("b-id") {
		t.Error("a failed server has not departed")
	}
	if err := a.ForceLeave("b", true); err != nil {
		t.Fatal(err)
	}
	a.await(t, "b is forgotten", func() bool { return statuses(a.Members()) == "a alive" && a.Departed("b-id") })
}

func TestMembersAreRememberedAndJoinedAgain(t *testing.T) {
	dir := t.TempDir()
	kept := func(name string) func(*Config) { return func(c *Config) { c.Dir = filepath.Join(dir, name) } }
	a, b := start(t, "a", kept("a")), start(t, "b", kept("b"))
	if _, err := a.Join(t.Context(), []string{b.cfg.Address}); err != nil {
		t.Fatal(err)
	}
	a.await(t, "two members", func() bool { return statuses(a.Members()) == "a alive, b alive" })
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	again := start(t, "a", kept("a"))
	again.await(t, "b again", func() bool { return statuses(again.Members()) == "a alive, b alive" })
}

func TestKeysAreChangedTogether(t *testing.T) {
	first, second := "MDEyMzQ1Njc4OWFiY2RlZg==", "ZmVkY2JhOTg3NjU0MzIxMA=="
	dir := t.TempDir()
	with := func(name string) func(*Config) {
		return func(c *Config) {
			c.Dir, c.Start = filepath.Join(dir, name), true
			c.Key, _ = ParseKey(first)
		}
	}
	a, b := start(t, "a", with("a")), start(t, "b", with("b"))
	if _, err := a.Join(t.Context(), []string{b.cfg.Address}); err != nil {
		t.Fatal(err)
	}
	a.await(t, "two members", func() bool { return statuses(a.Members()) == "a alive, b alive" })
	for _, step := range []func(string) (*api.GossipKeys, error){a.InstallKey, a.UseKey} {
		if out, err := step(second); err != nil || out.NumNodes != 2 {
			t.Fatal(out, err)
		}
	}
	out, err := b.Keys()
	if err != nil || out.Keys[first] != 2 || out.Keys[second] != 2 || out.PrimaryKeys[second] != 2 {
		t.Fatalf("%+v %v", out, err)
	}
	if _, err := b.RemoveKey(first); err != nil {
		t.Fatal(err)
	}
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
	// The configuration names the first key still; what was installed counts.
	again := start(t, "b", with("b"))
	again.await(t, "a again", func() bool { return statuses(again.Members()) == "a alive, b alive" })

	stranger := start(t, "x")
	if _, err := stranger.Join(t.Context(), []string{a.cfg.Address}); err == nil {
		t.Error("a server without the key joined")
	}
	if _, err := stranger.InstallKey(second); api.ErrorCode(err) != api.CodeInvalid {
		t.Errorf("a key where nothing is encrypted: %v", err)
	}
	if _, err := a.InstallKey("c2hvcnQ="); api.ErrorCode(err) != api.CodeInvalid {
		t.Errorf("a short key: %v", err)
	}
}

func TestOthersAreRefused(t *testing.T) {
	a := start(t, "a")
	c := serf.DefaultConfig()
	c.NodeName, c.LogOutput, c.Tags = "foreign", io.Discard, map[string]string{"role": "nomad"}
	c.MemberlistConfig.BindAddr, c.MemberlistConfig.BindPort, c.MemberlistConfig.LogOutput = "127.0.0.1", 0, io.Discard
	foreign, err := serf.Create(c)
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Shutdown()
	at := foreign.Memberlist().LocalNode().Address()
	if _, err := a.Join(t.Context(), []string{at}); err == nil {
		t.Error("joined other software")
	}
}

func TestOnePortForBothProtocols(t *testing.T) {
	s, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, port, _ := net.SplitHostPort(s.Streams.Addr().String())
	if _, other, _ := net.SplitHostPort(s.Packets.LocalAddr().String()); other != port {
		t.Fatalf("streams at %s, packets at %s", port, other)
	}
	if again, err := Listen(s.Streams.Addr().String()); err == nil {
		_ = again.Close()
		t.Fatal("listened twice")
	}
}
