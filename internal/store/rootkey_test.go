package store

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-org/drover/api"
)

const (
	keyA = "aaaaaaaa-0000-0000-0000-000000000000"
	keyB = "bbbbbbbb-0000-0000-0000-000000000000"
	keyC = "cccccccc-0000-0000-0000-000000000000"
)

func rootKeyRow(id string, state api.RootKeyState) *api.WrappedRootKey {
	return &api.WrappedRootKey{
		RootKey: api.RootKey{KeyID: id, Algorithm: api.AlgorithmAES256GCM, SigningAlgorithm: api.SigningEdDSA, State: state, CreateTime: 1},
		Wrapped: map[string][]byte{"server": []byte("wrapped")},
	}
}

func TestRootKeysThroughTheirLife(t *testing.T) {
	s, index := New(), uint64(10)
	apply := func(cmd Command) error {
		t.Helper()
		b, err := EncodeCommand(cmd)
		if err != nil {
			t.Fatal(err)
		}
		if cmd, err = DecodeCommand(b); err != nil {
			t.Fatal(err)
		}
		index++
		_, err = s.Apply(index, cmd)
		return err
	}
	states := func() map[string]api.RootKeyState {
		out := map[string]api.RootKeyState{}
		keys, _ := s.RootKeys()
		for _, k := range keys {
			out[k.KeyID[:1]] = k.State
		}
		return out
	}
	expect := func(want map[string]api.RootKeyState) {
		t.Helper()
		if diff := cmp.Diff(want, states()); diff != "" {
			t.Fatal(diff)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w := s.Watch(KeyRootKeys())
	must(apply(&PutRootKey{Key: rootKeyRow(keyA, api.RootKeyActive), Now: 100}))
	select {
	case <-w.C():
	default:
		t.Fatal("nobody was woken")
	}
	w.Close()
	must(apply(&PutRootKey{Key: rootKeyRow(keyB, api.RootKeyPrepublished), Now: 200}))
	expect(map[string]api.RootKeyState{"a": "active", "b": "prepublished"})
	must(apply(&PutRootKey{Key: rootKeyRow(keyC, api.RootKeyPrepublished), Now: 300}))
	expect(map[string]api.RootKeyState{"a": "active", "c": "prepublished"})
	must(apply(&ActivateRootKey{KeyID: keyB, Now: 350})) // it is gone
	must(apply(&ActivateRootKey{KeyID: keyC, Now: 400}))
	must(apply(&ActivateRootKey{KeyID: keyC, Now: 450})) // it is active
	expect(map[string]api.RootKeyState{"a": "inactive", "c": "active"})
	if _, at := s.RootKeys(); at != index-1 {
		t.Errorf("index %d after a command that changed nothing, at %d", at, index)
	}
	must(apply(&PutRootKey{Key: rootKeyRow(keyB, api.RootKeyActive), Now: 500, Full: true}))
	expect(map[string]api.RootKeyState{"a": "rekeying", "b": "active", "c": "rekeying"})

	if code := api.ErrorCode(apply(&DeleteRootKey{KeyID: keyB, Force: true})); code != api.CodeInvalid {
		t.Errorf("the active key: %q", code)
	}
	if code := api.ErrorCode(apply(&PutRootKey{Key: rootKeyRow(keyB, api.RootKeyActive)})); code != api.CodeInvalid {
		t.Errorf("a key that exists: %q", code)
	}

	keys, _ := s.RootKeys()
	for _, k := range keys {
		if want := map[string]int64{keyA: 400, keyB: 0, keyC: 500}[k.KeyID]; k.InactiveTime != want {
			t.Errorf("%s is inactive since %d, not %d", k.KeyID, k.InactiveTime, want)
		}
	}

	var snapshot bytes.Buffer
	must(s.Snapshot().Persist(&snapshot))
	restored := New()
	must(restored.Restore(&snapshot))
	again, at := restored.RootKeys()
	_, was := s.RootKeys()
	if diff := cmp.Diff(keys, again); diff != "" || at != was {
		t.Errorf("after a restart, index %d: %s", at, diff)
	}

	must(apply(&RetireRootKey{KeyID: keyA}))
	must(apply(&RetireRootKey{KeyID: keyB})) // it is active
	expect(map[string]api.RootKeyState{"a": "inactive", "b": "active", "c": "rekeying"})
	must(apply(&DeleteRootKey{KeyID: keyA}))
	if err := apply(&DeleteRootKey{KeyID: keyA}); !api.IsNotFound(err) {
		t.Errorf("removed twice: %v", err)
	}
	expect(map[string]api.RootKeyState{"b": "active", "c": "rekeying"})
}

// The identities of an allocation need the keys there were in its life.
func TestRootKeyOfARunningAllocationStays(t *testing.T) {
	s := New()
	if _, err := s.Apply(1, &PutRootKey{Key: rootKeyRow(keyA, api.RootKeyActive), Now: 1}); err != nil {
		t.Fatal(err)
	}
	old := &api.Allocation{
		ID: keyB, Namespace: "default", JobID: "j", Job: &api.Job{ID: "j", Namespace: "default"}, ClientStatus: api.AllocClientRunning,
		DesiredStatus: api.AllocDesiredRun, CreateTime: 50,
	}
	put := func(index uint64, a *api.Allocation) {
		tx := newTx(s.root.Load().tables.copy(), index, touchSet{})
		key := &allocKey{id: idOf(a.ID), allocOrigin: &allocOrigin{ns: a.Namespace, job: a.JobID}}
		tx.indexAlloc(key)
		tx.allocs.Set(allocItem{key, a})
		tx.allocsCreated.Set(a, tx.index)
		s.root.Store(&Snapshot{index: index, tables: tx.tables})
	}
	put(2, old)
	for i, k := range []*api.WrappedRootKey{rootKeyRow(keyB, api.RootKeyActive), rootKeyRow(keyC, api.RootKeyActive)} {
		if _, err := s.Apply(uint64(3+i), &PutRootKey{Key: k, Now: int64(40 + 20*i)}); err != nil {
			t.Fatal(err)
		}
	}
	// Key A ended at 40, before the allocation; B at 60, during it.
	if use := s.Snapshot().RootKeyUse(keyA); use != "" {
		t.Errorf("A: %s", use)
	}
	if use := s.Snapshot().RootKeyUse(keyB); use == "" {
		t.Error("nothing is said to use B")
	}
	if _, err := s.Apply(5, &DeleteRootKey{KeyID: keyB}); api.ErrorCode(err) != api.CodeConflict {
		t.Errorf("removed in use: %v", err)
	}
	done := *old
	done.ClientStatus = api.AllocClientComplete
	put(6, &done)
	if use := s.Snapshot().RootKeyUse(keyB); use != "" {
		t.Errorf("B after the allocation: %s", use)
	}
}

// What lists show can't hold what is wrapped.
func TestRootKeyShowsNoMaterial(t *testing.T) {
	k := rootKeyRow(keyA, api.RootKeyActive)
	k.InactiveTime = time.Now().UnixNano()
	b, err := json.Marshal(&k.RootKey)
	if err != nil || bytes.Contains(b, []byte("Wrapped")) || bytes.Contains(b, []byte("d3JhcHBlZA")) {
		t.Errorf("%s, %v", b, err)
	}
}
