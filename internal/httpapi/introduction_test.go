package httpapi_test

import (
	"strings"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/identity"
	"github.com/drover-org/drover/internal/server"
	"github.com/drover-org/drover/internal/store"
)

const newNodeID = "99999999-2222-3333-4444-555555555555"

// addKey makes the first root key.
func (w *world) addKey() {
	w.t.Helper()
	key, err := w.keys.NewKey(w.newID(), api.SigningEdDSA)
	if err != nil {
		w.t.Fatal(err)
	}
	key.State = api.RootKeyActive
	w.propose(&store.PutRootKey{Key: key, Now: start.UnixNano()})
}

func (w *world) introduce(body string) string {
	w.t.Helper()
	var out api.NodeIntroductionToken
	w.send("PUT", "/v1/acl/identity/client-introduction-token", body, &out)
	return out.JWT
}

func TestIntroductions(t *testing.T) {
	w := newWorld(t)
	w.addKey()
	strict := w.strict(api.IntroductionStrict)
	n := testNode(newNodeID)
	signed, err := identity.SignNode(t.Context(), w.keys, "global", "", n, start, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ token, want string }{
		"none":         {"", "shows no introduction token"},
		"another name": {w.introduce(`{"NodeName":"else"}`), `for a node named "else"`},
		"another pool": {w.introduce(`{"NodePool":"gpu"}`), `for node pool "gpu"`},
		"no token":     {"x", "not a signed JWT"},
		"an identity":  {signed, "of another kind"},
	} {
		if _, err := strict.RegisterNode(t.Context(), n, c.token); api.ErrorCode(err) != api.CodeForbidden || !strings.Contains(err.Error(), c.want) || c.token != "" && strings.Contains(err.Error(), c.token) && c.token != "x" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if w.store.Snapshot().Node(newNodeID) != nil {
		t.Fatal("a refused node is in the state")
	}
	token := w.introduce(`{"NodeName":"` + n.Name + `"}`)
	if _, err := strict.RegisterNode(t.Context(), n, token); err != nil {
		t.Fatal(err)
	}
	if _, err := strict.RegisterNode(t.Context(), n, ""); err != nil {
		t.Errorf("a node that is known: %v", err)
	}
	w.propose(&store.DeleteNode{NodeID: newNodeID})
	if _, err := strict.RegisterNode(t.Context(), n, ""); api.ErrorCode(err) != api.CodeForbidden {
		t.Errorf("a node that was purged: %v", err)
	}
	if _, err := w.strict(api.IntroductionWarn).RegisterNode(t.Context(), n, ""); err != nil {
		t.Errorf("where it is only warned of: %v", err)
	}
	for body, want := range map[string]string{
		`{"TTL":7200000000000}`: "TTL is 2h0m0s", `{"TTL":1}`: "a second or more", `{"NodePool":"all"}`: "name the pool",
		`{"NodeName":"` + strings.Repeat("x", 257) + `"}`: "at most 256 bytes",
	} {
		if status, text, _ := w.call("PUT", "/v1/acl/identity/client-introduction-token", body); status != 400 || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s", body, status, text)
		}
	}
}

// strict is another server on the same state, with an enforcement.
func (w *world) strict(enforcement string) *server.Server {
	return server.New(server.Config{
		Store: w.store, Proposer: w.log, Cluster: w, Liveness: w, Collector: w, Authorizer: w.auth, Region: "global", Keyring: w.keys,
		Introduction: server.Introduction{Enforcement: enforcement, DefaultTTL: time.Minute, MaxTTL: time.Hour},
		Log:          quiet, Now: func() time.Time { return start }, NewID: w.newID,
	})
}

// What a node shows counts while it is valid and says what the node is.
func TestNodeIdentities(t *testing.T) {
	w := newWorld(t)
	w.addKey()
	sign := func(shown string, renew bool) string {
		t.Helper()
		out, err := w.server.SignNode(t.Context(), nodeID, shown, renew)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	token := sign("", false)
	i, err := identity.ParseNode(w.keys, token)
	if err != nil || i.ID != nodeID || i.Pool != "default" || i.Expires.Sub(i.Issued) != 24*time.Hour {
		t.Fatalf("%+v %v", i, err)
	}
	if got := sign(token, false); got != "" {
		t.Error("a good one is replaced")
	}
	if sign(token, true) == "" || sign("x", false) == "" {
		t.Error("one to be renewed, or that is none, stays")
	}
	old, err := identity.SignNode(t.Context(), w.keys, "global", "", w.store.Snapshot().Node(nodeID), start.Add(-12*time.Hour), 24*time.Hour)
	if err != nil || sign(old, false) == "" {
		t.Errorf("one past half of its time stays: %v", err)
	}
	n := testNode(nodeID)
	n.NodeClass = "fast"
	if _, err := w.server.RegisterNode(t.Context(), n, ""); err != nil {
		t.Fatal(err)
	}
	if sign(token, false) == "" {
		t.Error("one that says what the node was stays")
	}
	for _, wrong := range []string{w.introduce(`{}`), ""} {
		if _, err := identity.ParseNode(w.keys, wrong); api.ErrorCode(err) != api.CodeForbidden {
			t.Errorf("no identity of a node: %v", err)
		}
	}
	if _, err := identity.ParseWorkload(w.keys, token); api.ErrorCode(err) != api.CodeForbidden {
		t.Errorf("a node is no task: %v", err)
	}
}

// A task that asks for claims about its node has no identity of that node.
func TestTasksAreNoNodes(t *testing.T) {
	w := newWorld(t)
	w.addKey()
	n := w.store.Snapshot().Node(nodeID)
	a := &api.Allocation{ID: newNodeID, Namespace: "default", JobID: "web", TaskGroup: "g", NodeID: nodeID, Job: &api.Job{ID: "web"}}
	id := &api.WorkloadIdentity{Name: "default", Audience: []string{"nomadproject.io"}, TTL: api.Duration(time.Hour), ExtraClaims: []string{"node_id", "node_pool", "node_class", "node_datacenter"}}
	signed, err := identity.SignWorkload(t.Context(), w.keys, "node", "", a, n, "t", id, start)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := identity.ParseNode(w.keys, signed.Token); api.ErrorCode(err) != api.CodeForbidden {
		t.Errorf("a task is a node: %v", err)
	}
	if _, err := identity.ParseIntroduction(w.keys, signed.Token); api.ErrorCode(err) != api.CodeForbidden {
		t.Errorf("a task introduces nodes: %v", err)
	}
}

// The state holds no secret of a node, and one from before is replaced.
func TestNodeSecretsAreHashed(t *testing.T) {
	w := newWorld(t)
	n := testNode(nodeID)
	if held := w.store.Snapshot().Node(nodeID).SecretID; !strings.HasPrefix(held, "sha256:") || strings.Contains(held, n.SecretID) {
		t.Errorf("the state holds %q", held)
	}
	old := testNode(newNodeID)
	w.propose(&store.RegisterNode{Node: old, Now: 1})
	thief := testNode(newNodeID)
	thief.SecretID = "another"
	if _, err := w.server.RegisterNode(t.Context(), thief, ""); api.ErrorCode(err) != api.CodeForbidden {
		t.Errorf("another secret: %v", err)
	}
	if _, err := w.server.RegisterNode(t.Context(), old, ""); err != nil {
		t.Fatal(err)
	}
	held := w.store.Snapshot().Node(newNodeID).SecretID
	if !strings.HasPrefix(held, "sha256:") || held == w.store.Snapshot().Node(nodeID).SecretID {
		t.Errorf("the state holds %q", held)
	}
	thief.SecretID = held
	if _, err := w.server.RegisterNode(t.Context(), thief, ""); api.ErrorCode(err) != api.CodeForbidden {
		t.Errorf("the hash is not the secret: %v", err)
	}
}
