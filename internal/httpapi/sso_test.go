package httpapi_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/sso/ssotest"
	"github.com/drover-org/drover/internal/store"
)

// matrixRule and matrixPEM are of the auth method that the matrix has.
const matrixRule = "11111111-2222-3333-4444-666666666666"

var matrixPEM = func() string {
	p := ssotest.New()
	defer p.Close()
	return pemOf(p)
}()

func pemOf(p *ssotest.Provider) string {
	der, err := x509.MarshalPKIXPublicKey(p.PublicKey())
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// A provider's word becomes a token with what binding rules give, and no more.
func TestLogins(t *testing.T) {
	w := newSecured(t)
	w.bootstrap()
	p := ssotest.New()
	defer p.Close()
	w.propose(&store.UpsertACLPolicy{Policy: &api.ACLPolicy{Name: "team-ops", Rules: `node { policy = "read" }`}})
	w.propose(&store.UpsertACLRole{Role: &api.ACLRole{ID: matrixRole, Name: "dev", Policies: []*api.ACLRolePolicyLink{{Name: "team-ops"}}}})
	put := func(path, body string, want int, out any) string {
		t.Helper()
		status, text := w.as(w.root, "PUT", path, body)
		if status != want {
			t.Fatalf("PUT %s: %d %s", path, status, text)
		}
		if out != nil {
			if err := json.Unmarshal([]byte(text), out); err != nil {
				t.Fatal(err)
			}
		}
		return text
	}
	jwt := `{"Name":"ci","Type":"JWT","TokenLocality":"local","MaxTokenTTL":"1h","TokenNameFormat":"ci-${value.user}","Config":{"OIDCDiscoveryURL":"` + p.URL() +
		`","BoundAudiences":["drover"],"ClaimMappings":{"sub":"user","team":"team"},"ListClaimMappings":{"groups":"groups"}}}`
	put("/v1/acl/auth-method", jwt, 200, nil)
	put("/v1/acl/auth-method", jwt, 409, nil)
	put("/v1/acl/auth-method/ci", strings.Replace(jwt, "${value.user}", "${value.nosuch}", 1), 400, nil)
	put("/v1/acl/auth-method/other", strings.Replace(jwt, `"ci"`, `"other"`, 1), 404, nil)
	var rule api.ACLBindingRule
	put("/v1/acl/binding-rule", `{"AuthMethod":"ci","BindType":"policy","BindName":"team-${value.team}"}`, 200, &rule)
	put("/v1/acl/binding-rule", `{"AuthMethod":"ci","Selector":"\"dev\" in list.groups","BindType":"role","BindName":"dev"}`, 200, nil)
	put("/v1/acl/binding-rule", `{"AuthMethod":"ci","Selector":"value.user == root","BindType":"management"}`, 200, nil)
	put("/v1/acl/binding-rule", `{"AuthMethod":"nosuch","BindType":"management"}`, 400, nil)
	put("/v1/acl/binding-rule", `{"AuthMethod":"ci","BindType":"policy","BindName":"${value.nosuch}"}`, 400, nil)
	put("/v1/acl/binding-rule", `{"AuthMethod":"ci","Selector":"user ==","BindType":"management"}`, 400, nil)

	login := func(claims map[string]any) (*api.ACLToken, string) {
		claims["aud"] = "drover"
		body, _ := json.Marshal(api.ACLLoginRequest{AuthMethodName: "ci", LoginToken: p.Sign(claims)})
		status, text := w.as("", "POST", "/v1/acl/login", string(body))
		if status != 200 {
			return nil, fmt.Sprint(status, " ", text)
		}
		token := &api.ACLToken{}
		if err := json.Unmarshal([]byte(text), token); err != nil {
			t.Fatal(err)
		}
		return token, ""
	}
	p.Now = func() time.Time { return w.now }
	token, refusal := login(map[string]any{"sub": "jo", "team": "ops", "groups": []string{"dev"}})
	if token == nil || token.Name != "ci-jo" || token.Type != api.ACLTokenClient || fmt.Sprint(token.Policies) != "[team-ops]" || len(token.Roles) != 1 ||
		token.Roles[0].Name != "dev" || token.ExpirationTime == nil || token.Global {
		t.Fatalf("%+v %s", token, refusal)
	}
	if status, _ := w.as(token.SecretID, "GET", "/v1/nodes", ""); status != 200 {
		t.Errorf("the token may not read nodes: %d", status)
	}
	if token, refusal := login(map[string]any{"sub": "root"}); token == nil || token.Type != api.ACLTokenManagement {
		t.Errorf("%+v %s", token, refusal)
	}
	for name, claims := range map[string]map[string]any{
		"a policy that does not exist": {"sub": "jo", "team": "nosuch"}, "no team": {"sub": "jo"}, "an empty team": {"sub": "jo", "team": ""},
	} {
		if _, refusal := login(claims); !strings.HasPrefix(refusal, "403 the login was refused: no binding rule") {
			t.Errorf("%s: %s", name, refusal)
		}
	}
	if status, _ := w.as(w.root, "DELETE", "/v1/acl/auth-method/ci", ""); status != 200 {
		t.Errorf("delete: %d", status)
	}
	if status, text := w.as(w.root, "GET", "/v1/acl/binding-rules", ""); status != 200 || text != "[]" {
		t.Errorf("a method left its rules: %d %s", status, text)
	}
}

// A client's secret goes in and never comes out, by no route and in no row.
func TestOIDCLoginKeepsItsSecret(t *testing.T) {
	w := newSecured(t)
	w.bootstrap()
	p := ssotest.New()
	defer p.Close()
	p.Now = func() time.Time { return w.now }
	method := `{"Name":"sso","Type":"OIDC","TokenLocality":"global","MaxTokenTTL":"1h","Default":true,"Config":{"OIDCDiscoveryURL":"` + p.URL() + `","OIDCClientID":"` + ssotest.ClientID +
		`","OIDCClientSecret":"` + ssotest.ClientSecret + `","OIDCEnablePKCE":true,"SigningAlgs":["ES256"],"AllowedRedirectURIs":["http://localhost:4649/oidc/callback"],"ListClaimMappings":{"groups":"groups"}}}`
	all := ""
	do := func(token, verb, path, body string) string {
		t.Helper()
		status, text := w.as(token, verb, path, body)
		if status != 200 {
			t.Fatalf("%s %s: %d %s", verb, path, status, text)
		}
		all += text
		return text
	}
	do(w.root, "PUT", "/v1/acl/auth-method", method)
	do(w.root, "PUT", "/v1/acl/binding-rule", `{"AuthMethod":"sso","BindType":"management"}`)
	shown := do(w.root, "GET", "/v1/acl/auth-method/sso", "")
	do(w.root, "PUT", "/v1/acl/auth-method/sso", shown) // what is shown can be put back
	do("", "GET", "/v1/acl/auth-methods", "")
	if !strings.Contains(shown, `"OIDCClientSecret":"redacted"`) {
		t.Errorf("shown is %s", shown)
	}
	var there api.ACLOIDCAuthURLResponse
	if err := json.Unmarshal([]byte(do("", "PUT", "/v1/acl/oidc/auth-url", `{"AuthMethodName":"sso","RedirectURI":"http://localhost:4649/oidc/callback","ClientNonce":"n"}`)), &there); err != nil {
		t.Fatal(err)
	}
	browser := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := browser.Get(there.AuthURL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := json.Marshal(api.ACLOIDCCompleteAuthRequest{
		AuthMethodName: "sso", RedirectURI: "http://localhost:4649/oidc/callback", ClientNonce: "n", State: back.Query().Get("state"), Code: back.Query().Get("code"),
	})
	var token api.ACLToken
	if err := json.Unmarshal([]byte(do("", "PUT", "/v1/acl/oidc/complete-auth", string(body))), &token); err != nil || token.Type != api.ACLTokenManagement || !token.Global {
		t.Fatalf("%+v %v", token, err)
	}
	if status, text := w.as("", "PUT", "/v1/acl/oidc/complete-auth", `{"AuthMethodName":"sso","State":"x","Code":"y"}`); status != 403 {
		t.Errorf("a state of nobody: %d %s", status, text)
	}
	var row strings.Builder
	if err := w.store.Snapshot().Persist(&row); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(all, ssotest.ClientSecret) || strings.Contains(row.String(), ssotest.ClientSecret) {
		t.Error("the client's secret is in an answer or in the state")
	}
}
