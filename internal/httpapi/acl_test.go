package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sdk "github.com/hashicorp/nomad/api"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/auth"
	"github.com/drover-org/drover/internal/control/evals"
	"github.com/drover-org/drover/internal/httpapi"
	"github.com/drover-org/drover/internal/keyring"
	"github.com/drover-org/drover/internal/server"
	"github.com/drover-org/drover/internal/sso"
	"github.com/drover-org/drover/internal/store"
	"github.com/drover-org/drover/internal/store/storetest"
)

// secured is a world with access control. Its clock is its own.
type secured struct {
	*world
	now      time.Time
	reset    uint64
	resolver *auth.Resolver
	root     string // a management token
	stop     func() // ends the resolver
}

func newSecured(t *testing.T) *secured {
	t.Helper()
	var s *secured
	s = newSecuredAt(t, func() time.Time {
		if s == nil {
			return start
		}
		return s.now
	})
	t.Cleanup(s.stop)
	return s
}

// newSecuredAt is newSecured with a clock. It must be stopped.
func newSecuredAt(t *testing.T, now func() time.Time) *secured {
	t.Helper()
	log := storetest.New()
	s := &secured{world: &world{t: t, store: log.Store, log: log}, now: start}
	own, err := keyring.NewServerKey()
	if err != nil {
		t.Fatal(err)
	}
	s.keys = keyring.NewRing(own, nil, s.store, now)
	key, err := s.keys.NewKey(api.NewID(), api.SigningEdDSA)
	if err != nil {
		t.Fatal(err)
	}
	key.State = api.RootKeyActive
	s.propose(&store.PutRootKey{Key: key, Now: start.UnixNano()})
	s.resolver = auth.New(auth.Config{Store: s.store, Sealer: s.keys, Log: quiet, Now: now})
	s.server = server.New(server.Config{
		Workers: evals.NewWorkers(func() time.Time { return start }, api.NewID), Introduction: server.Introduction{DefaultTTL: time.Minute, MaxTTL: time.Hour},
		Store: s.store, Proposer: s.log, Cluster: s, Liveness: s, Collector: s, Authorizer: s.resolver, Region: "global", Keyring: s.keys,
		Drivers: []string{"raw_exec", "docker"}, Log: quiet, Now: now, NewID: api.NewID,
		ACL: &server.ACL{
			Logins: sso.New(now),
			Rights: s.resolver, Sealer: s.keys, MinTTL: time.Minute, MaxTTL: 24 * time.Hour,
			ResetIndex: func() (uint64, error) { return s.reset, nil },
		},
	})
	s.node = &fakeNode{id: nodeID}
	s.serve(httpapi.Config{
		Log: quiet, Now: now, Agent: fakeAgent{}, Metrics: prometheus.NewRegistry(), Server: s.server, Node: s.node,
		NodeConnected: func(context.Context, string) bool { return false },
		Process:       http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
	})
	s.register(nodeID)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.resolver.Run(ctx)
	}()
	s.stop = func() {
		cancel()
		<-done
	}
	return s
}

// bootstrap makes the management token.
func (s *secured) bootstrap() {
	s.t.Helper()
	var t api.ACLToken
	s.send("PUT", "/v1/acl/bootstrap", "", &t)
	s.root = t.SecretID
}

// as is call with a token.
func (s *secured) as(token, method, target, body string) (int, string) {
	s.t.Helper()
	var header []string
	if token != "" {
		header = []string{"X-Nomad-Token", token}
	}
	status, text, _ := s.call(method, target, body, header...)
	return status, text
}

// policy writes a policy and returns a token that has it.
func (s *secured) policy(name, rules string) string {
	s.t.Helper()
	c := s.sdk(s.root)
	if _, err := c.ACLPolicies().Upsert(&sdk.ACLPolicy{Name: name, Rules: rules}, nil); err != nil {
		s.t.Fatal(err)
	}
	t, _, err := c.ACLTokens().Create(&sdk.ACLToken{Name: name, Type: "client", Policies: []string{name}}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return t.SecretID
}

func (s *secured) sdk(token string) *sdk.Client {
	s.t.Helper()
	srv := httptest.NewServer(s.h)
	s.t.Cleanup(srv.Close)
	c, err := sdk.NewClient(&sdk.Config{Address: srv.URL, SecretID: token})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.Close)
	return c
}

func TestACLsBootstrapOnce(t *testing.T) {
	s := newSecured(t)
	if status, text := s.as("", "PUT", "/v1/acl/bootstrap", `{"BootstrapSecret": "badtoken"}`); status != 400 || text != "invalid acl token" {
		t.Errorf("%d %s", status, text)
	}
	const chosen = "2b778dd9-f5f1-6f29-b4b4-9a5fa948757a"
	var first api.ACLToken
	s.send("PUT", "/v1/acl/bootstrap", `{"BootstrapSecret": "`+chosen+`"}`, &first)
	if first.SecretID != chosen || first.Type != "management" || !first.Global || first.AccessorID == "" || first.CreateIndex == 0 {
		t.Errorf("%+v", first)
	}
	status, text := s.as("", "PUT", "/v1/acl/bootstrap", "")
	if status != 400 || !strings.HasPrefix(text, "ACL bootstrap already done (reset index: ") {
		t.Errorf("%d %s", status, text)
	}
	s.reset = first.CreateIndex
	s.bootstrap()
	if status, text := s.as("", "PUT", "/v1/acl/bootstrap", ""); status != 400 {
		t.Errorf("the reset counts twice: %d %s", status, text)
	}
	if status, text := s.as(chosen, "GET", "/v1/acl/tokens", ""); status != 200 {
		t.Errorf("the first token is gone: %d %s", status, text)
	}
}

func TestTokensDecide(t *testing.T) {
	s := newSecured(t)
	if status, text := s.as("", "GET", "/v1/jobs", ""); status != 403 || text != `the anonymous policy lacks capability list-jobs in namespace "default": Permission denied` {
		t.Errorf("before the bootstrap: %d %s", status, text)
	}
	s.bootstrap()
	reader := s.policy("ro", `namespace "default" { policy = "read" }`)
	for _, test := range []struct {
		token, method, target string
		status                int
		text                  string
	}{
		{s.root, "GET", "/v1/jobs", 200, "[]"},
		{reader, "GET", "/v1/jobs", 200, "[]"},
		{reader, "GET", "/v1/nodes", 403, `token "ro" lacks capability node:read: Permission denied`},
		{reader, "GET", "/v1/acl/tokens", 403, `token "ro" is no management token: Permission denied`},
		{reader, "GET", "/v1/jobs?namespace=other", 403, `token "ro" lacks capability list-jobs in namespace "other": Permission denied`},
		{noID, "GET", "/v1/jobs", 403, "ACL token not found"},
	} {
		if status, text := s.as(test.token, test.method, test.target, ""); status != test.status || text != test.text {
			t.Errorf("%s %s: %d %s", test.method, test.target, status, text)
		}
	}
	if status, _, _ := s.call("GET", "/v1/jobs", "", "Authorization", "Bearer "+reader); status != 200 {
		t.Errorf("bearer: %d", status)
	}

	// What changes counts from the next request on.
	c := s.sdk(s.root)
	if _, err := c.ACLPolicies().Upsert(&sdk.ACLPolicy{Name: "ro", Rules: `node { policy = "read" }`}, nil); err != nil {
		t.Fatal(err)
	}
	if status, _ := s.as(reader, "GET", "/v1/jobs", ""); status != 403 {
		t.Errorf("after the policy changed: %d", status)
	}
	if status, _ := s.as(reader, "GET", "/v1/nodes", ""); status != 200 {
		t.Errorf("after the policy changed: %d", status)
	}
	if _, err := c.ACLPolicies().Upsert(&sdk.ACLPolicy{Name: "anonymous", Rules: `namespace "*" { policy = "read" }`}, nil); err != nil {
		t.Fatal(err)
	}
	if status, _ := s.as("", "GET", "/v1/jobs", ""); status != 200 {
		t.Errorf("with an anonymous policy: %d", status)
	}
	if status, _ := s.as(noID, "GET", "/v1/jobs", ""); status != 403 {
		t.Error("an unknown token is taken for none")
	}
}

func TestTokensExpire(t *testing.T) {
	s := newSecured(t)
	s.bootstrap()
	c := s.sdk(s.root)
	token, _, err := c.ACLTokens().Create(&sdk.ACLToken{Name: "short", Type: "management", ExpirationTTL: time.Hour}, nil)
	if err != nil || token.ExpirationTime == nil || !token.ExpirationTime.Equal(start.Add(time.Hour)) || token.ExpirationTTL != time.Hour {
		t.Fatalf("%+v %v", token, err)
	}
	s.now = start.Add(time.Hour - 1)
	if status, _ := s.as(token.SecretID, "GET", "/v1/jobs", ""); status != 200 {
		t.Errorf("just before: %d", status)
	}
	s.now = start.Add(time.Hour)
	if status, text := s.as(token.SecretID, "GET", "/v1/jobs", ""); status != 403 || text != "ACL token expired" {
		t.Errorf("expired: %d %s", status, text)
	}
	for body, want := range map[string]string{
		`{"Type": "management", "ExpirationTTL": "59s"}`:                                          "ExpirationTTL lets the token live 59s: it must be 1m0s to 24h0m0s",
		`{"Type": "management", "ExpirationTTL": "25h"}`:                                          "ExpirationTTL lets the token live 25h0m0s",
		`{"Type": "management", "ExpirationTime": "2020-01-01T00:00:00Z"}`:                        "ExpirationTime lets the token live -",
		`{"Type": "management", "ExpirationTTL": "1h", "ExpirationTime": "2026-11-23T23:30:00Z"}`: "are both given",
		`{"Type": "boss"}`:                             `Type is "boss": it must be "client" or "management"`,
		`{"Type": "client"}`:                           "Policies and Roles are empty",
		`{"Type": "management", "Policies": ["a"]}`:    "a management token may do everything",
		`{"Type": "client", "Roles": [{"Name": "x"}]}`: `there is no role "x"`,
		`{"Type": "client", "Roles": [{"ID": "x"}]}`:   `there is no role with ID "x"`,
		`{"Type": "management", "AccessorID": "` + noID + `", "SecretID": "` + otherID + `"}`:         "only a client token may bring its own secret",
		`{"Type": "client", "Policies": ["a"], "AccessorID": "` + noID + `", "SecretID": "guess-me"}`: "SecretID must be a random UUID",
		`{"Type": "client", "Policies": ["a"], "SecretID": "` + otherID + `"}`:                        "AccessorID must be as well",
		`{"Type": "client", "Policies": ["a"], "Name": "` + strings.Repeat("x", 257) + `"}`:           "Name has 257 bytes",
	} {
		if status, text := s.as(s.root, "PUT", "/v1/acl/token", body); status != 400 || !strings.Contains(text, want) || strings.Contains(text, "guess-me") {
			t.Errorf("%s: %d %s", body, status, text)
		}
	}
}

// The state and the log never hold a secret in clear.
func TestSecretsAreSealed(t *testing.T) {
	s := newSecured(t)
	s.bootstrap()
	token := s.policy("ci", `namespace "default" { policy = "read" }`)
	ott, _, err := s.sdk(token).ACLTokens().UpsertOneTimeToken(nil)
	if err != nil {
		t.Fatal(err)
	}
	var disk strings.Builder
	if err := s.store.Snapshot().Persist(&disk); err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string]string{"root": s.root, "client": token, "one-time": ott.OneTimeSecretID} {
		if strings.Contains(disk.String(), secret) {
			t.Errorf("the snapshot holds the %s secret", name)
		}
	}
	// It is shown to management and to its owner, and in no list.
	self, _, err := s.sdk(token).ACLTokens().Self(nil)
	if err != nil || self.SecretID != token || self.Name != "ci" {
		t.Errorf("self: %+v %v", self, err)
	}
	if info, _, err := s.sdk(s.root).ACLTokens().Info(self.AccessorID, nil); err != nil || info.SecretID != token {
		t.Errorf("management: %v", err)
	}
	if _, text := s.as(s.root, "GET", "/v1/acl/tokens", ""); strings.Contains(text, token) || strings.Contains(text, "SecretID") {
		t.Errorf("the list: %s", text)
	}
	var root string
	for row := range s.store.Snapshot().ACLTokens() {
		if row.Token.Type == "management" {
			root = row.Token.AccessorID
		}
	}
	status, denied := s.as(token, "GET", "/v1/acl/token/"+root, "")
	status2, denied2 := s.as(token, "GET", "/v1/acl/token/"+noID, "")
	if status != 403 || status2 != 403 || strings.ReplaceAll(denied, root, "") != strings.ReplaceAll(denied2, noID, "") {
		t.Errorf("others: %d %s, %d %s", status, denied, status2, denied2)
	}
}

func TestOneTimeTokens(t *testing.T) {
	s := newSecured(t)
	s.bootstrap()
	token := s.policy("ci", `namespace "default" { policy = "read" }`)
	mine := s.sdk(token)
	ott, _, err := mine.ACLTokens().UpsertOneTimeToken(nil)
	if err != nil {
		t.Fatal(err)
	}
	nobody := s.sdk("")
	got, _, err := nobody.ACLTokens().ExchangeOneTimeToken(ott.OneTimeSecretID, nil)
	if err != nil || got.SecretID != token {
		t.Fatalf("%+v %v", got, err)
	}
	if _, _, err := nobody.ACLTokens().ExchangeOneTimeToken(ott.OneTimeSecretID, nil); err == nil {
		t.Error("it counts twice")
	}
	ott, _, err = mine.ACLTokens().UpsertOneTimeToken(nil)
	if err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(10 * time.Minute)
	before := len(s.log.Log())
	if _, _, err := nobody.ACLTokens().ExchangeOneTimeToken(ott.OneTimeSecretID, nil); err == nil {
		t.Error("it counts after ten minutes")
	}
	if _, _, err := nobody.ACLTokens().ExchangeOneTimeToken(noID, nil); err == nil || len(s.log.Log()) != before+1 {
		t.Error("a guess reaches the log")
	}
	if _, _, err := nobody.ACLTokens().UpsertOneTimeToken(nil); err == nil {
		t.Error("without a token")
	}
}

func TestRoles(t *testing.T) {
	s := newSecured(t)
	s.bootstrap()
	c := s.sdk(s.root)
	if _, _, err := c.ACLRoles().Create(&sdk.ACLRole{Name: "dev", Policies: []*sdk.ACLRolePolicyLink{{Name: "ro"}}}, nil); err == nil || !strings.Contains(err.Error(), `there is no policy "ro"`) {
		t.Errorf("a role of a missing policy: %v", err)
	}
	if _, err := c.ACLPolicies().Upsert(&sdk.ACLPolicy{Name: "ro", Rules: `namespace "default" { policy = "read" }`}, nil); err != nil {
		t.Fatal(err)
	}
	role, _, err := c.ACLRoles().Create(&sdk.ACLRole{Name: "dev", Policies: []*sdk.ACLRolePolicyLink{{Name: "ro"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ACLRoles().Create(&sdk.ACLRole{Name: "dev", Policies: []*sdk.ACLRolePolicyLink{{Name: "ro"}}}, nil); err == nil {
		t.Error("a name twice")
	}
	token, _, err := c.ACLTokens().Create(&sdk.ACLToken{Name: "bob", Type: "client", Roles: []*sdk.ACLTokenRoleLink{{Name: "dev"}}}, nil)
	if err != nil || len(token.Roles) != 1 || token.Roles[0].ID != role.ID || token.Roles[0].Name != "dev" {
		t.Fatalf("%+v %v", token, err)
	}
	bob := s.sdk(token.SecretID)
	if _, _, err := bob.Jobs().List(nil); err != nil {
		t.Error(err)
	}
	own, _, err := bob.ACLRoles().List(nil)
	if err != nil || len(own) != 1 {
		t.Errorf("own roles: %v %v", own, err)
	}
	if _, _, err := bob.ACLRoles().GetByName("dev", nil); err != nil {
		t.Error(err)
	}
	if _, _, err := bob.ACLRoles().GetByName("none", nil); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("another's role: %v", err)
	}
	policies, _, err := bob.ACLPolicies().Self(nil)
	if err != nil || len(policies) != 1 || policies[0].Name != "ro" {
		t.Errorf("own policies: %v %v", policies, err)
	}
	if _, err := c.ACLRoles().Delete(role.ID, nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := bob.Jobs().List(nil); err == nil {
		t.Error("the role is gone and still counts")
	}
	self, _, err := bob.ACLTokens().Self(nil)
	if err != nil || len(self.Roles) != 0 {
		t.Errorf("the link to a deleted role: %+v %v", self, err)
	}
}

func TestTokenLists(t *testing.T) {
	s := newSecured(t)
	s.bootstrap()
	c := s.sdk(s.root)
	for range 4 {
		if _, _, err := c.ACLTokens().Create(&sdk.ACLToken{Type: "client", Policies: []string{"p"}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	var all []*sdk.ACLTokenListStub
	for next := ""; ; {
		page, meta, err := c.ACLTokens().List(&sdk.QueryOptions{PerPage: 2, NextToken: next})
		if err != nil || len(page) > 2 {
			t.Fatal(page, err)
		}
		all = append(all, page...)
		if next = meta.NextToken; next == "" {
			break
		}
	}
	if len(all) != 5 || !slices.IsSortedFunc(all, func(a, b *sdk.ACLTokenListStub) int { return strings.Compare(a.AccessorID, b.AccessorID) }) {
		t.Errorf("%d tokens in pages", len(all))
	}
	global, _, err := c.ACLTokens().List(&sdk.QueryOptions{Params: map[string]string{"global": "true"}})
	if err != nil || len(global) != 1 || global[0].Name != "Bootstrap Token" {
		t.Errorf("global: %v %v", global, err)
	}
	filtered, _, err := c.ACLTokens().List(&sdk.QueryOptions{Filter: `Type == "client"`, Prefix: ""})
	if err != nil || len(filtered) != 4 {
		t.Errorf("filter: %d %v", len(filtered), err)
	}
	if status, text := s.as(s.root, "GET", "/v1/acl/tokens?filter=SecretID+%3D%3D+%22x%22", ""); status != 400 {
		t.Errorf("a filter on secrets: %d %s", status, text)
	}
}

// What goes on is told of changes within a moment.
func TestChangesEndWhatGoesOn(t *testing.T) {
	for name, change := range map[string]func(*secured, *sdk.Client, string){
		"token deleted": func(s *secured, c *sdk.Client, accessor string) { _, _ = c.ACLTokens().Delete(accessor, nil) },
		"policy changed": func(s *secured, c *sdk.Client, _ string) {
			_, _ = c.ACLPolicies().Upsert(&sdk.ACLPolicy{Name: "ro", Rules: `node { policy = "read" }`}, nil)
		},
		"policy deleted": func(s *secured, c *sdk.Client, _ string) { _, _ = c.ACLPolicies().Delete("ro", nil) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSecured(t)
			s.bootstrap()
			token := s.policy("ro", `namespace "default" { policy = "read" }`)
			c := s.sdk(s.root)
			self, _, err := s.sdk(token).ACLTokens().Self(nil)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel, err := s.server.While(t.Context(), token, func(ctx context.Context) error {
				return s.resolver.Authorize(ctx, token, api.CapReadJob, "default")
			})
			if err != nil {
				t.Fatal(err)
			}
			defer cancel()
			// An unrelated change leaves it alone.
			if _, err := c.ACLPolicies().Upsert(&sdk.ACLPolicy{Name: "other", Rules: `node { policy = "read" }`}, nil); err != nil {
				t.Fatal(err)
			}
			if ctx.Err() != nil {
				t.Fatal("an unrelated change ended it")
			}
			change(s, c, self.AccessorID)
			<-ctx.Done()
			if cause := context.Cause(ctx); !errors.Is(cause, &api.Error{Code: api.CodeForbidden}) {
				t.Errorf("ended by %v", cause)
			}
		})
	}
}

func TestACLsSwitchedOff(t *testing.T) {
	w := newWorld(t)
	for _, route := range []string{"PUT /v1/acl/bootstrap", "GET /v1/acl/policies", "GET /v1/acl/tokens", "GET /v1/acl/token/self", "GET /v1/acl/roles", "PUT /v1/acl/token/onetime", "GET /v1/acl/nonsense"} {
		method, path, _ := strings.Cut(route, " ")
		if status, text, _ := w.call(method, path, ""); status != http.StatusBadRequest || text != "ACL support disabled" {
			t.Errorf("%s: %d %s", route, status, text)
		}
	}
}

func TestExplain(t *testing.T) {
	w := newMatrixWorld(t, "default")
	explain := func(token, body string) *api.ACLExplanation {
		t.Helper()
		status, text := w.as(token, "PUT", "/v1/acl/explain", body)
		if status != 200 {
			t.Fatalf("%s: %d %s", body, status, text)
		}
		out := &api.ACLExplanation{}
		if err := json.Unmarshal([]byte(text), out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, test := range []struct{ token, body, route, summary string }{
		{"w", `{"Method": "DELETE", "Path": "/v1/job/a/b?purge=true"}`, "DELETE /v1/job/{id}", `purge-job: namespace "default" allows it: submit-job contains it`},
		{"r", `{"Method": "put", "Path": "/v1/jobs"}`, "PUT /v1/jobs", `register-job is missing: namespace "default" is the most specific rule about namespace "default" and does not list it`},
		{"r", `{"Method": "GET", "Path": "/v1/jobs?namespace=x"}`, "GET /v1/jobs", `list-jobs is missing: no rule of the policies is about namespace "x"`},
		{"r", `{"Method": "GET", "Path": "/v1/allocation/` + matrixAlloc + `"}`, "GET /v1/allocation/{id}", `read-job: namespace "default" allows it`},
		{"o", `{"Method": "GET", "Path": "/v1/node/pool/gpu/nodes"}`, "GET /v1/node/pool/{id}/nodes", `node:read: node allows it; node_pool:read: node_pool "*" allows it`},
		{"r", `{"Method": "GET", "Path": "/v1/acl/tokens"}`, "GET /v1/acl/tokens", `management is missing: only a management token has it, no policy does`},
		{"n", `{"Method": "GET", "Path": "/v1/status/leader"}`, "GET /v1/status/leader", "everybody may do that"},
		{"n", `{"Method": "GET", "Path": "/v1/acl/token/self"}`, "GET /v1/acl/token/self", "any token may do that, and nobody else"},
		{"m", `{"Capability": "operator:write"}`, "", "operator:write: a management token may do everything"},
		{"m", `{"Capability": "node:read", "AccessorID": "` + matrixToken + `"}`, "", "node:read: node allows it"},
		{"m", `{"Capability": "node:read", "AccessorID": "anonymous"}`, "", "node:read is missing: no rule of the policies is about node"},
	} {
		if out := explain(w.tokens[test.token], test.body); out.Route != test.route || out.Summary != test.summary || out.Allowed == strings.Contains(test.summary, "missing") {
			if test.summary != "any token may do that, and nobody else" || out.Allowed {
				t.Errorf("%s of %s:\n%+v", test.body, test.token, out)
			}
		}
	}
	for body, want := range map[string]string{
		`{}`: "give Method and Path, or Capability",
		`{"Method": "GET", "Path": "/v1/nonsense"}`:                        "there is no route GET /v1/nonsense",
		`{"Method": "GET", "Path": "/v1/allocation/` + noID + `"}`:         "alloc not found",
		`{"Capability": "node:read", "AccessorID": "` + matrixToken + `"}`: "only a management token may read token",
	} {
		if status, text := w.as(w.tokens["r"], "PUT", "/v1/acl/explain", body); status < 400 || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s", body, status, text)
		}
	}
	// Somebody without rights learns nothing of an object.
	if status, text := w.as("", "PUT", "/v1/acl/explain", `{"Method": "GET", "Path": "/v1/allocation/`+matrixAlloc+`"}`); status != 404 || text != "alloc not found" {
		t.Errorf("%d %s", status, text)
	}
}

// Who waits in a read is told when his rights change, not before.
func TestBlockedReadsEndWithTheirRight(t *testing.T) {
	for name, test := range map[string]struct {
		change func(s *secured, accessor string)
		status int
	}{
		"token deleted": {func(s *secured, accessor string) { s.propose(&store.DeleteACLToken{AccessorID: accessor}) }, 403},
		"policy changed": {func(s *secured, _ string) {
			s.propose(&store.UpsertACLPolicy{Policy: &api.ACLPolicy{Name: "ro", Rules: `node { policy = "read" }`}})
		}, 200}, // the answer is what he has seen; the next one is refused
		"token expired": {func(s *secured, _ string) { time.Sleep(time.Hour) }, 403},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSecuredAt(t, time.Now)
				defer s.stop()
				root, _, err := s.server.BootstrapACL(t.Context(), "")
				if err != nil {
					t.Fatal(err)
				}
				if _, _, err := s.server.UpsertACLPolicy(t.Context(), root.SecretID, &api.ACLPolicy{Name: "ro", Rules: `namespace "default" { policy = "read" }`}); err != nil {
					t.Fatal(err)
				}
				token, _, _, err := s.server.UpsertACLToken(t.Context(), root.SecretID, &api.ACLToken{Type: "client", Policies: []string{"ro"}, ExpirationTTL: api.DurationText(time.Hour)})
				if err != nil {
					t.Fatal(err)
				}
				status := 0
				target := withIndex("/v1/evaluations?wait=5m", s.store.Snapshot().Index())
				go func() { status, _ = s.as(token.SecretID, "GET", target, "") }()
				if name == "token expired" { // waits are shorter than tokens live
					time.Sleep(59 * time.Minute)
					synctest.Wait()
					go func() { status, _ = s.as(token.SecretID, "GET", target, "") }()
				}
				synctest.Wait()
				s.propose(&store.UpsertACLPolicy{Policy: &api.ACLPolicy{Name: "unrelated", Rules: `node { policy = "read" }`}})
				synctest.Wait()
				if name != "token expired" && status != 0 {
					t.Fatalf("a change of others ended it: %d", status)
				}
				status = 0
				before := time.Now()
				test.change(s, token.AccessorID)
				synctest.Wait()
				if status != test.status {
					t.Errorf("status %d", status)
				}
				if d := time.Since(before); name != "token expired" && d > time.Second {
					t.Errorf("after %v", d)
				}
				if status, _ := s.as(token.SecretID, "GET", "/v1/evaluations", ""); status != 403 {
					t.Errorf("the next one: %d", status)
				}
			})
		})
	}
}
