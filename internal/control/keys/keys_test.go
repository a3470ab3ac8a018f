package keys

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
	"github.com/drover-org/drover/internal/store/storetest"
)

// maker makes keys without material.
type maker struct{ now func() time.Time }

func (m maker) NewKey(id, signing string) (*api.WrappedRootKey, error) {
	return &api.WrappedRootKey{RootKey: api.RootKey{KeyID: id, SigningAlgorithm: signing, CreateTime: m.now().UnixNano()}}, nil
}
func (maker) Rewrap(*api.WrappedRootKey) (map[string][]byte, error) { return nil, nil }
func (maker) Err() error                                            { return nil }

var start = time.Date(2026, 11, 24, 20, 0, 0, 0, time.UTC)

// What happens to a keyring that is left alone, hour by hour.
func TestAYearOfAKeyring(t *testing.T) {
	log := storetest.New()
	now := start
	k := New(Config{
		Store: log.Store, Proposer: log, Maker: maker{func() time.Time { return now }}, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return now }, NewID: api.NewID, Interval: time.Hour,
		Thresholds: Thresholds{Rotate: 720 * time.Hour, Collect: time.Hour},
	})
	type event struct {
		hour int
		what string
	}
	var got []event
	settle := func() {
		t.Helper()
		for {
			todo, next := decide(log.Store.Snapshot(), now, k.cfg.Thresholds)
			if todo == (step{}) {
				if !next.After(now) {
					t.Fatalf("nothing to do, and at %v to look again at %v", now, next)
				}
				return
			}
			cmd, _, _, err := k.command(t.Context(), todo)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := log.Propose(t.Context(), cmd); err != nil {
				t.Fatal(err)
			}
			hour := int(now.Sub(start) / time.Hour)
			switch c := cmd.(type) {
			case *store.PutRootKey:
				got = append(got, event{hour, string(c.Key.State)})
			case *store.ActivateRootKey:
				got = append(got, event{hour, "activate"})
			case *store.DeleteRootKey:
				got = append(got, event{hour, "remove"})
			}
		}
	}
	for ; now.Before(start.Add(1500 * time.Hour)); now = now.Add(time.Hour) {
		settle()
	}
	want := []event{
		{0, "active"},
		{696, "prepublished"}, {720, "activate"}, {721, "remove"},
		{1416, "prepublished"}, {1440, "activate"}, {1441, "remove"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(event{})); diff != "" {
		t.Error(diff)
	}

	// No leader for a year: the next key is published all the same.
	got, now = nil, start.Add(10000*time.Hour)
	settle()
	now = now.Add(23 * time.Hour)
	settle()
	now = now.Add(time.Hour)
	settle()
	want = []event{{10000, "prepublished"}, {10024, "activate"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(event{})); diff != "" {
		t.Error(diff)
	}
}

func TestRunMakesTheFirstKeyAndFollowsTheState(t *testing.T) {
	log := storetest.New()
	now := func() time.Time { return start }
	k := New(Config{
		Store: log.Store, Proposer: log, Maker: maker{now}, Log: slog.New(slog.DiscardHandler), Now: now, NewID: api.NewID,
		Interval: time.Hour, Thresholds: Thresholds{Rotate: 720 * time.Hour, Collect: 0},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	await := func(n int, first api.RootKeyState) {
		t.Helper()
		for {
			w := log.Store.Watch(store.KeyRootKeys())
			keys, _ := log.Store.RootKeys()
			if len(keys) == n && keys[0].State == first {
				w.Close()
				return
			}
			select {
			case <-w.C():
			case err := <-done:
				t.Fatal(err)
			case <-t.Context().Done():
				t.Fatal("never")
			}
		}
	}
	await(1, api.RootKeyActive)
	// An operator's key takes over, and the old one goes because nothing uses it.
	next, err := maker{now}.NewKey(api.NewID(), api.SigningRS256)
	if err != nil {
		t.Fatal(err)
	}
	next.State = api.RootKeyActive
	if _, err := log.Propose(ctx, &store.PutRootKey{Key: next, Now: start.UnixNano()}); err != nil {
		t.Fatal(err)
	}
	await(1, api.RootKeyActive)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// A full rotation seals every token again, over several commands, and then the
// old key goes.
func TestFullRotation(t *testing.T) {
	log := storetest.New()
	now := func() time.Time { return start }
	active := func() api.ID {
		rows, _ := log.Store.RootKeys()
		for _, k := range rows {
			if k.State == api.RootKeyActive {
				id, _ := api.ParseID(k.KeyID)
				return id
			}
		}
		return api.ID{}
	}
	sealed := func(accessor string) *store.ACLToken { // a secret that is its accessor
		head := func() []byte { return api.AppendSealedHeader(nil, active()) }
		return &store.ACLToken{Token: &api.ACLToken{AccessorID: accessor}, Hash: append(head(), accessor...), Sealed: append(head(), accessor...)}
	}
	k := New(Config{
		Store: log.Store, Proposer: log, Maker: maker{now}, Log: slog.New(slog.DiscardHandler), Now: now, NewID: api.NewID,
		Reseal: func(_ context.Context, row *store.ACLToken) (*store.ACLToken, error) {
			return sealed(row.Token.AccessorID), nil
		},
		Interval: time.Hour, Thresholds: Thresholds{Rotate: 720 * time.Hour, Collect: 0},
	})
	propose := func(cmd store.Command) {
		t.Helper()
		if _, err := log.Propose(t.Context(), cmd); err != nil {
			t.Fatal(err)
		}
	}
	settle := func() {
		t.Helper()
		for {
			todo, _ := decide(log.Store.Snapshot(), start, k.cfg.Thresholds)
			if todo == (step{}) {
				return
			}
			if err := k.do(t.Context(), todo); err != nil {
				t.Fatal(err)
			}
		}
	}
	settle()
	const tokens = store.MaxReseal + 10
	for range tokens {
		propose(&store.UpsertACLToken{Token: sealed(api.NewID())})
	}
	first := active()
	before := log.Store.Snapshot().ACLIndex()
	next, err := maker{now}.NewKey(api.NewID(), api.SigningEdDSA)
	if err != nil {
		t.Fatal(err)
	}
	next.State = api.RootKeyActive
	propose(&store.PutRootKey{Key: next, Full: true, Now: start.UnixNano()})
	if use := log.Store.Snapshot().RootKeyUse(first.String()); use == "" {
		t.Error("the key that sealed every token is said to be of no use")
	}
	settle()
	snap := log.Store.Snapshot()
	found := 0
	for row := range snap.ACLTokens() {
		found++
		if !row.SealedWith(next.KeyID) || row.SealedWith(first.String()) || snap.ACLTokenByHash(row.Hash) != row {
			t.Fatalf("token %s was not sealed again", row.Token.AccessorID)
		}
	}
	rows, _ := snap.RootKeys()
	if found != tokens || len(rows) != 1 || rows[0].KeyID != next.KeyID || snap.ACLIndex() != before {
		t.Errorf("%d tokens, %d keys, ACL index %d after %d", found, len(rows), snap.ACLIndex(), before)
	}
}
