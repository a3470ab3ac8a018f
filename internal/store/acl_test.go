package store_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
	"github.com/drover-org/drover/internal/store/storetest"
)

func aclRow(accessor, hash string, expires *time.Time) *store.ACLToken {
	return &store.ACLToken{
		Token: &api.ACLToken{AccessorID: accessor, Type: "client", Policies: []string{"p"}, ExpirationTime: expires}, Hash: []byte(hash), Sealed: []byte("sealed"),
	}
}

func TestACLRefusals(t *testing.T) {
	p := storetest.New()
	refused := func(cmd store.Command, want string) {
		t.Helper()
		if _, err := p.Propose(t.Context(), cmd); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%T: %v, want %s", cmd, err, want)
		}
	}
	done := func(cmd store.Command) store.Result {
		t.Helper()
		res, err := p.Propose(t.Context(), cmd)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	first := done(&store.BootstrapACL{Token: aclRow("a", "1", nil)})
	refused(&store.BootstrapACL{Token: aclRow("b", "2", nil)}, "already done (reset index: 10)")
	refused(&store.BootstrapACL{Token: aclRow("b", "2", nil), Reset: first.Index + 1}, "already done")
	done(&store.BootstrapACL{Token: aclRow("b", "2", nil), Reset: first.Index})
	refused(&store.UpsertACLToken{Token: aclRow("c", "2", nil)}, "SecretID is the one of another token")
	refused(&store.UpsertACLRole{Role: &api.ACLRole{ID: "r", Name: "r", Policies: []*api.ACLRolePolicyLink{{Name: "p"}}}}, `no policy "p"`)
	done(&store.UpsertACLPolicy{Policy: &api.ACLPolicy{Name: "p"}})
	done(&store.UpsertACLRole{Role: &api.ACLRole{ID: "r", Name: "r", Policies: []*api.ACLRolePolicyLink{{Name: "p"}}}})
	refused(&store.UpsertACLRole{Role: &api.ACLRole{ID: "r2", Name: "r", Policies: []*api.ACLRolePolicyLink{{Name: "p"}}}}, "choose another")
	linked := aclRow("c", "3", nil)
	linked.Token.Roles = []*api.ACLTokenRoleLink{{ID: "none"}}
	refused(&store.UpsertACLToken{Token: linked}, `no role with ID "none"`)
	refused(&store.DeleteACLToken{AccessorID: "none"}, "not found")
	refused(&store.DeleteACLPolicy{Name: "none"}, "not found")
	refused(&store.DeleteACLRole{ID: "none"}, "not found")

	// A change keeps what identifies a token.
	at := time.Unix(2_000_000_000, 0).UTC()
	changed := aclRow("a", "other", &at)
	changed.Token.Name, changed.Token.Type = "new", "management"
	done(&store.UpsertACLToken{Token: changed})
	row := p.Store.Snapshot().ACLTokenByHash([]byte("1"))
	if row == nil || row.Token.Name != "new" || row.Token.Type != "client" || row.Token.ExpirationTime != nil || row.Token.CreateIndex != first.Index || p.Store.Snapshot().ACLTokenByHash([]byte("other")) != nil {
		t.Errorf("%+v", row)
	}
}

func TestACLSurvivesASnapshot(t *testing.T) {
	p := storetest.New()
	at := time.Unix(2_000_000_000, 0).UTC()
	for _, cmd := range []store.Command{
		&store.BootstrapACL{Token: aclRow("a", "1", nil)},
		&store.UpsertACLPolicy{Policy: &api.ACLPolicy{Name: "p", Rules: "node {}", JobACL: &api.JobACL{Namespace: "default", JobID: "x"}}},
		&store.UpsertACLRole{Role: &api.ACLRole{ID: "r", Name: "r", Policies: []*api.ACLRolePolicyLink{{Name: "p"}}}},
		&store.UpsertACLToken{Token: aclRow("b", "2", &at)},
		&store.AddOneTimeToken{Token: &store.OneTimeToken{Hash: []byte("o"), AccessorID: "b", ExpiresAt: at}},
	} {
		if _, err := p.Propose(t.Context(), cmd); err != nil {
			t.Fatal(err)
		}
	}
	var file bytes.Buffer
	before := p.Store.Snapshot()
	if err := before.Persist(&file); err != nil {
		t.Fatal(err)
	}
	s := store.New()
	if err := s.Restore(&file); err != nil {
		t.Fatal(err)
	}
	after := s.Snapshot()
	for _, diff := range []string{
		cmp.Diff(before.ACLToken("b"), after.ACLToken("b")), cmp.Diff(before.ACLTokenByHash([]byte("1")), after.ACLTokenByHash([]byte("1"))),
		cmp.Diff(before.ACLPolicy("p"), after.ACLPolicy("p")), cmp.Diff(before.ACLRoleByName("r"), after.ACLRoleByName("r")),
		cmp.Diff(before.OneTimeToken([]byte("o")), after.OneTimeToken([]byte("o"))), cmp.Diff(before.ACLBootstrapIndex(), after.ACLBootstrapIndex()),
		cmp.Diff(before.ACLIndex(), after.ACLIndex()),
	} {
		if diff != "" {
			t.Error(diff)
		}
	}
	if after.ACLToken("b") == nil || after.OneTimeToken([]byte("o")) == nil || after.ACLBootstrapIndex() == 0 {
		t.Error("something is missing")
	}
}

func TestOneTimeTokensAreBounded(t *testing.T) {
	s := store.New()
	now := time.Unix(2_000_000_000, 0).UTC()
	add := func(i int, expires time.Time) error {
		_, err := s.Apply(uint64(i+1), &store.AddOneTimeToken{Now: now.UnixNano(), Token: &store.OneTimeToken{Hash: []byte{byte(i), byte(i >> 8)}, ExpiresAt: expires}})
		return err
	}
	for i := range store.MaxOneTimeTokens {
		if err := add(i, now.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if err := add(store.MaxOneTimeTokens, now.Add(time.Minute)); api.ErrorCode(err) != api.CodeLimited {
		t.Errorf("one more: %v", err)
	}
	now = now.Add(time.Minute)
	if err := add(store.MaxOneTimeTokens+1, now.Add(time.Minute)); err != nil {
		t.Errorf("after they expired: %v", err)
	}
}
