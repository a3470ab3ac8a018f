package sso_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/sso"
	"github.com/drover-org/drover/internal/sso/ssotest"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"pgregory.net/rapid"
)

var start = time.Date(2026, 11, 24, 22, 0, 0, 0, time.UTC)

// world is a provider and Logins whose clocks a test moves.
type world struct {
	t *testing.T
	*ssotest.Provider
	logins *sso.Logins
	now    time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, Provider: ssotest.New(), now: start}
	t.Cleanup(w.Close)
	w.Now = func() time.Time { return w.now }
	w.logins = sso.New(w.Now)
	return w
}

func (w *world) jwtMethod() *api.ACLAuthMethod {
	return &api.ACLAuthMethod{Name: "jwt", Type: api.AuthMethodJWT, ModifyIndex: 7, Config: &api.ACLAuthMethodConfig{
		OIDCDiscoveryURL: w.URL(), BoundAudiences: []string{"drover"},
		ClaimMappings:     map[string]string{"sub": "user", "/address/country": "country", "level": "level", "admin": "admin"},
		ListClaimMappings: map[string]string{"groups": "groups", "sub": "subs"},
	}}
}

func pemOf(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func sign(t *testing.T, alg jose.SignatureAlgorithm, key any, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// What a token must say, and when, to be believed.
func TestJWTClaims(t *testing.T) {
	w := newWorld(t)
	at := func(d time.Duration) int64 { return start.Add(d).Unix() }
	for _, tc := range []struct {
		name   string
		change func(*api.ACLAuthMethodConfig)
		claims map[string]any // added to iss, iat, exp, aud
		want   string         // a part of the refusal; "" for none
	}{
		{"plain", nil, nil, ""},
		{"of several audiences one", nil, map[string]any{"aud": []string{"x", "drover"}}, ""},
		{"audience of another", nil, map[string]any{"aud": "other"}, `it is for audience ["other"]`},
		{"no audience", nil, map[string]any{"aud": nil}, "it is for audience []"},
		{"audience though none is bound", func(c *api.ACLAuthMethodConfig) { c.BoundAudiences = nil }, nil, "BoundAudiences has none"},
		{"no audience, none bound", func(c *api.ACLAuthMethodConfig) { c.BoundAudiences = nil }, map[string]any{"aud": nil}, ""},
		{"issuer of another", nil, map[string]any{"iss": "https://evil"}, `it is from issuer "https://evil"`},
		{"issuer not bound", func(c *api.ACLAuthMethodConfig) { c.BoundIssuer = []string{"https://x"} }, nil, "BoundIssuer"},
		{"issuer bound", func(c *api.ACLAuthMethodConfig) { c.BoundIssuer = []string{"https://x", w.URL()} }, nil, ""},
		{"expired within the skew", nil, map[string]any{"exp": at(-59 * time.Second)}, ""},
		{"expired", nil, map[string]any{"exp": at(-time.Minute)}, "it expired at"},
		{"expired without skew", func(c *api.ACLAuthMethodConfig) { c.ClockSkewLeeway = -1 }, map[string]any{"exp": at(0)}, "it expired at"},
		{"expired with more skew", func(c *api.ACLAuthMethodConfig) { c.ClockSkewLeeway = api.DurationText(time.Hour) }, map[string]any{"exp": at(-59 * time.Minute)}, ""},
		{"not yet", nil, map[string]any{"nbf": at(61 * time.Second)}, "it is not good before"},
		{"not yet within the skew", nil, map[string]any{"nbf": at(time.Minute)}, ""},
		{"issued in the future", nil, map[string]any{"iat": at(2 * time.Minute), "nbf": at(-time.Hour)}, "issued in the future"},
		{"no expiry, young", nil, map[string]any{"exp": nil, "iat": at(-200 * time.Second)}, ""},
		{"no expiry, old", nil, map[string]any{"exp": nil, "iat": at(-210 * time.Second)}, "it expired at"},
		{"no expiry and no leeway", func(c *api.ACLAuthMethodConfig) { c.ExpirationLeeway = -1 }, map[string]any{"exp": nil, "iat": at(-61 * time.Second)}, "it expired at"},
		{"expiry far ahead and no beginning", nil, map[string]any{"iat": nil}, "it is not good before"},
		{"no times", nil, map[string]any{"exp": nil, "iat": nil}, "none of exp, nbf and iat"},
		{"algorithm not allowed", func(c *api.ACLAuthMethodConfig) { c.SigningAlgs = []string{"RS256"} }, nil, "signed with none of [RS256]"},
		{"claims of the wrong kind", nil, map[string]any{"exp": "soon"}, "claims can't be read"},
	} {
		m := w.jwtMethod()
		m.Name = tc.name
		if tc.change != nil {
			tc.change(m.Config)
		}
		claims := map[string]any{"aud": "drover", "sub": "jo"}
		for k, v := range tc.claims {
			claims[k] = v
		}
		id, err := w.logins.JWT(t.Context(), m, w.Sign(claims))
		switch {
		case tc.want == "" && (err != nil || id.Values["user"] != "jo"):
			t.Errorf("%s: %v %v", tc.name, id, err)
		case tc.want != "" && (api.ErrorCode(err) != api.CodeForbidden || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

// Only the method's own keys count, whatever the token says of its signature.
func TestJWTSignatures(t *testing.T) {
	w := newWorld(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pub, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, strange, _ := ed25519.GenerateKey(rand.Reader)
	rsaPEM := pemOf(t, &rsaKey.PublicKey)
	m := &api.ACLAuthMethod{Name: "fixed", Type: api.AuthMethodJWT, Config: &api.ACLAuthMethodConfig{
		JWTValidationPubKeys: []string{rsaPEM, pemOf(t, pub)}, BoundAudiences: []string{"a"},
	}}
	claims := map[string]any{"aud": "a", "exp": start.Add(time.Minute).Unix(), "iat": start.Unix()}
	none := "eyJhbGciOiJub25lIn0." + strings.Split(sign(t, jose.EdDSA, edKey, claims), ".")[1] + "."
	good := sign(t, jose.EdDSA, edKey, claims)
	for name, tc := range map[string]struct {
		token string
		ok    bool
	}{
		"RS256": {sign(t, jose.RS256, rsaKey, claims), true}, "PS384": {sign(t, jose.PS384, rsaKey, claims), true}, "EdDSA": {good, true},
		"a strange key": {sign(t, jose.EdDSA, strange, claims), false}, "no signature": {none, false},
		"the public key as a shared secret": {sign(t, jose.HS256, []byte(rsaPEM), claims), false},
		"a changed payload":                 {strings.Replace(good, ".", ".A", 1), false},
		"garbage":                           {"x.y.z", false}, "nothing": {"", false},
	} {
		if _, err := w.logins.JWT(t.Context(), m, tc.token); (err == nil) != tc.ok || err != nil && api.ErrorCode(err) != api.CodeForbidden {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.logins.JWT(t.Context(), m, strings.Repeat("x", 33<<10)); api.ErrorCode(err) != api.CodeInvalid {
		t.Errorf("a token that is too long: %v", err)
	}
}

func TestClaimsBecomeAnIdentity(t *testing.T) {
	w := newWorld(t)
	id, err := w.logins.JWT(t.Context(), w.jwtMethod(), w.Sign(map[string]any{
		"aud": "drover", "sub": "jo", "groups": []any{"ops", 7, map[string]any{}}, "address": map[string]any{"country": "ch"}, "level": 3, "admin": true, "other": "x",
	}))
	want := &sso.Identity{
		Values: map[string]string{"user": "jo", "country": "ch", "level": "3", "admin": "true"},
		Lists:  map[string][]string{"groups": {"ops", "7"}, "subs": {"jo"}},
	}
	if err != nil || !reflect.DeepEqual(id, want) {
		t.Errorf("%+v %v", id, err)
	}
}

// Keys are kept, taken anew for unknown ones, and not at the pace of those who
// try.
func TestKeysAreFetchedSeldom(t *testing.T) {
	w := newWorld(t)
	m := w.jwtMethod()
	login := func() error {
		t.Helper()
		_, err := w.logins.JWT(t.Context(), m, w.Sign(map[string]any{"aud": "drover"}))
		return err
	}
	for range 10 {
		if err := login(); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.Count("/keys"); got != 1 {
		t.Errorf("%d fetches for 10 logins", got)
	}
	other := newWorld(t)
	for range 10 { // tokens of keys that nobody knows
		_, _ = w.logins.JWT(t.Context(), m, other.Sign(map[string]any{"aud": "drover"}))
	}
	if got := w.Count("/keys"); got > 2 {
		t.Errorf("strangers made %d fetches", got)
	}
	w.Rotate()
	w.now = w.now.Add(6 * time.Second)
	if err := login(); err != nil {
		t.Errorf("after a rotation: %v", err)
	}
	before := w.Count("/keys")
	w.now = w.now.Add(time.Hour)
	if err := login(); err != nil || w.Count("/keys") != before+1 {
		t.Errorf("old keys were not asked for again: %v", err)
	}
	m = m.WithSecret("")
	m.ModifyIndex++
	if err := login(); err != nil || w.Count("/.well-known/openid-configuration") < 2 {
		t.Errorf("a method that changed does not start anew: %v", err)
	}
}

// A provider that misbehaves gives an error and takes nothing more.
func TestBadProviders(t *testing.T) {
	w := newWorld(t)
	token := w.Sign(map[string]any{"aud": "drover"})
	for name, h := range map[string]http.HandlerFunc{
		"endless": func(rw http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := rw.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		},
		"away":    func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, w.URL()+"/keys", http.StatusFound) },
		"broken":  func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(500) },
		"no JSON": func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("<html>")) },
		"no keys": func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte(`{"keys":[]}`)) },
		"a secret": func(rw http.ResponseWriter, _ *http.Request) {
			_, _ = rw.Write([]byte(`{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`))
		},
	} {
		srv := httptest.NewServer(h)
		m := &api.ACLAuthMethod{Name: name, Type: api.AuthMethodJWT, Config: &api.ACLAuthMethodConfig{JWKSURL: srv.URL, BoundAudiences: []string{"drover"}}}
		if _, err := w.logins.JWT(t.Context(), m, token); api.ErrorCode(err) != api.CodeUnavailable {
			t.Errorf("%s: %v", name, err)
		}
		srv.Close()
	}
}

func (w *world) oidcMethod() *api.ACLAuthMethod {
	return &api.ACLAuthMethod{Name: "oidc", Type: api.AuthMethodOIDC, ModifyIndex: 3, Config: &api.ACLAuthMethodConfig{
		OIDCDiscoveryURL: w.URL(), OIDCClientID: ssotest.ClientID, OIDCClientSecret: ssotest.ClientSecret, OIDCEnablePKCE: true,
		AllowedRedirectURIs: []string{"http://localhost:4649/oidc/callback", "https://ui/ui/settings/tokens"}, SigningAlgs: []string{"ES256"},
		OIDCScopes: []string{"groups"}, ClaimMappings: map[string]string{"email": "email", "phone": "phone"}, ListClaimMappings: map[string]string{"groups": "groups"},
	}}
}

// begin starts a flow and lets the browser go there and back.
func (w *world) begin(m *api.ACLAuthMethod) (*sso.Flow, *api.ACLOIDCCompleteAuthRequest) {
	w.t.Helper()
	req := &api.ACLOIDCCompleteAuthRequest{RedirectURI: "http://localhost:5555/oidc/callback", ClientNonce: "client-nonce"}
	f, err := w.logins.Begin(m, req.RedirectURI, req.ClientNonce)
	if err != nil {
		w.t.Fatal(err)
	}
	there, err := w.logins.URL(w.t.Context(), m, f, "sealed-state")
	if err != nil {
		w.t.Fatal(err)
	}
	if strings.Contains(there, f.Verifier) || strings.Contains(there, ssotest.ClientSecret) || !strings.Contains(there, "scope=openid+groups") {
		w.t.Errorf("the URL is %s", there)
	}
	browser := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := browser.Get(there)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || back.Host != "localhost:5555" || back.Query().Get("state") != "sealed-state" {
		w.t.Fatalf("came back to %v %v", back, err)
	}
	req.Code = back.Query().Get("code")
	return f, req
}

func TestOIDCLogin(t *testing.T) {
	w := newWorld(t)
	m := w.oidcMethod()
	w.Info = map[string]any{"phone": "1234", "email": "not this one"}
	f, req := w.begin(m)
	req.Iss = w.URL()
	id, err := w.logins.Finish(t.Context(), m, f, req)
	if err != nil || id.Values["email"] != "jo@example.org" || id.Values["phone"] != "1234" || fmt.Sprint(id.Lists["groups"]) != "[ops dev]" {
		t.Fatalf("%+v %v", id, err)
	}
	if _, err := w.logins.Finish(t.Context(), m, f, req); api.ErrorCode(err) != api.CodeForbidden || strings.Contains(err.Error(), "secret") {
		t.Errorf("a code used twice: %v", err)
	}
	m.Config.OIDCDisableUserInfo = true
	f, req = w.begin(m)
	if id, err := w.logins.Finish(t.Context(), m, f, req); err != nil || id.Values["phone"] != "" {
		t.Errorf("without user info: %+v %v", id, err)
	}
}

// Nothing but PKCE binds a login to a client without a secret.
func TestPublicClientsUsePKCE(t *testing.T) {
	w := newWorld(t)
	m := w.oidcMethod()
	m.Config.OIDCEnablePKCE, m.Config.OIDCClientSecret = false, ""
	f, err := w.logins.Begin(m, "http://localhost:5555/oidc/callback", "n")
	if err != nil {
		t.Fatal(err)
	}
	there, err := w.logins.URL(t.Context(), m, f, "state")
	if err != nil || !strings.Contains(there, "code_challenge_method=S256") {
		t.Errorf("%s %v", there, err)
	}
	m.Config.OIDCClientSecret = ssotest.ClientSecret
	if there, err = w.logins.URL(t.Context(), m, f, "state"); err != nil || strings.Contains(there, "code_challenge") {
		t.Errorf("with a secret it is the method's choice: %s %v", there, err)
	}
}

// Whatever does not belong to this very login ends it.
func TestOIDCRefusals(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*world, *api.ACLAuthMethod, *sso.Flow, *api.ACLOIDCCompleteAuthRequest)
		want   string
	}{
		"another client nonce": {func(_ *world, _ *api.ACLAuthMethod, _ *sso.Flow, r *api.ACLOIDCCompleteAuthRequest) {
			r.ClientNonce = "x"
		}, "ClientNonce is not"},
		"another redirect": {func(_ *world, _ *api.ACLAuthMethod, _ *sso.Flow, r *api.ACLOIDCCompleteAuthRequest) {
			r.RedirectURI = "https://ui/ui/settings/tokens"
		}, "RedirectURI"},
		"another code": {func(_ *world, _ *api.ACLAuthMethod, _ *sso.Flow, r *api.ACLOIDCCompleteAuthRequest) { r.Code = "x" }, "invalid_grant"},
		"another issuer": {func(_ *world, _ *api.ACLAuthMethod, _ *sso.Flow, r *api.ACLOIDCCompleteAuthRequest) {
			r.Iss = "https://evil"
		}, "Iss is"},
		"another verifier":      {func(_ *world, _ *api.ACLAuthMethod, f *sso.Flow, _ *api.ACLOIDCCompleteAuthRequest) { f.Verifier = "x" }, "invalid_grant"},
		"another nonce":         {func(_ *world, _ *api.ACLAuthMethod, f *sso.Flow, _ *api.ACLOIDCCompleteAuthRequest) { f.Nonce = "x" }, "nonce"},
		"a method that changed": {func(_ *world, m *api.ACLAuthMethod, _ *sso.Flow, _ *api.ACLOIDCCompleteAuthRequest) { m.ModifyIndex++ }, "another form"},
		"too late": {func(w *world, _ *api.ACLAuthMethod, _ *sso.Flow, _ *api.ACLOIDCCompleteAuthRequest) {
			w.now = w.now.Add(10 * time.Minute)
		}, "took longer"},
		"another secret": {func(_ *world, m *api.ACLAuthMethod, _ *sso.Flow, _ *api.ACLOIDCCompleteAuthRequest) {
			m.Config.OIDCClientSecret = "x"
		}, "invalid_client"},
		"a token for others": {func(w *world, _ *api.ACLAuthMethod, _ *sso.Flow, _ *api.ACLOIDCCompleteAuthRequest) {
			w.Change = func(c map[string]any) { c["aud"] = "other" }
		}, "audience"},
		"a token made for others": {func(w *world, _ *api.ACLAuthMethod, _ *sso.Flow, _ *api.ACLOIDCCompleteAuthRequest) {
			w.Change = func(c map[string]any) { c["aud"], c["azp"] = []string{"drover", "other"}, "other" }
		}, `made for client "other"`},
		"a token of others": {func(w *world, _ *api.ACLAuthMethod, _ *sso.Flow, _ *api.ACLOIDCCompleteAuthRequest) {
			w.Change = func(c map[string]any) { c["iss"] = "https://evil" }
		}, "issuer"},
		"info about others": {func(w *world, _ *api.ACLAuthMethod, _ *sso.Flow, _ *api.ACLOIDCCompleteAuthRequest) {
			w.Info = map[string]any{"sub": "u2"}
		}, "another subject"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			m := w.oidcMethod()
			f, req := w.begin(m)
			tc.change(w, m, f, req)
			_, err := w.logins.Finish(t.Context(), m, f, req)
			if api.ErrorCode(err) != api.CodeForbidden || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
			if strings.Contains(fmt.Sprint(err), ssotest.ClientSecret) || strings.Contains(fmt.Sprint(err), "secret details") {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}

func TestRedirectURIs(t *testing.T) {
	w := newWorld(t)
	none := w.oidcMethod()
	none.Config.AllowedRedirectURIs = nil
	if _, err := w.logins.Begin(none, "http://localhost:4649/oidc/callback", "n"); api.ErrorCode(err) != api.CodeInvalid || len(none.Warnings()) == 0 || len(w.oidcMethod().Warnings()) > 0 {
		t.Errorf("a method without redirect URIs: %v, %q", err, none.Warnings())
	}
	for uri, ok := range map[string]bool{
		"http://localhost:4649/oidc/callback": true, "http://localhost:1/oidc/callback": true, "https://ui/ui/settings/tokens": true,
		"http://127.0.0.1:4649/oidc/callback": false, "http://localhost:4649/other": false, "https://ui:444/ui/settings/tokens": false,
		"https://ui.evil/ui/settings/tokens": false, "http://evil@localhost/oidc/callback": false, "http://localhost/oidc/callback#x": false,
		"https://localhost:4649/oidc/callback": false, "http://localhost:4649/oidc/callback?x=y": false, "": false,
	} {
		if _, err := w.logins.Begin(w.oidcMethod(), uri, "n"); (err == nil) != ok || err != nil && api.ErrorCode(err) != api.CodeInvalid {
			t.Errorf("%s: %v", uri, err)
		}
	}
}

func TestSelectors(t *testing.T) {
	id := &sso.Identity{Values: map[string]string{"country": "ch", "level": "3"}, Lists: map[string][]string{"groups": {"ops", "dev"}, "none": {}}}
	for text, want := range map[string]any{
		"": true, `value.country == "ch"`: true, `value.country != "ch"`: false, `"ops" in list.groups`: true, `"x" in list.groups`: false,
		`"ops" not in list.groups`: false, `list.groups contains "dev" and value.level == 3`: true, `value.nosuch == "x"`: false,
		`value.nosuch != "x"`: true, `not ("x" in list.nosuch)`: true, `list.none is empty`: true, `value.country matches "^c"`: true,
		`any list.groups as g { g == "dev" }`: true,
		`country == "ch"`:                     `there is no "country"`, `values.x == "y"`: "there is no", `value.country ==`: "is not an expression",
		strings.Repeat("x", 9<<10): "at most",
	} {
		s, err := sso.ParseSelector(text)
		switch want := want.(type) {
		case bool:
			if err != nil || s.Matches(id) != want {
				t.Errorf("%s: %v, want %v", text, err, want)
			}
		case string:
			if api.ErrorCode(err) != api.CodeInvalid || !strings.Contains(err.Error(), want) {
				t.Errorf("%.40s: %v, want %q", text, err, want)
			}
		}
	}
}

func TestTemplates(t *testing.T) {
	vars := (&sso.Identity{Values: map[string]string{"team": "ops", "empty": ""}}).Vars()
	for text, want := range map[string]string{
		"plain": "plain", "team-${value.team}": "team-ops", "${ value.team }${value.team}": "opsops", "$${value.team}": "${value.team}",
		"${value.nosuch}": "!", "a-${value.empty}": "!", "$x": "$x", "": "",
	} {
		tpl, err := sso.ParseTemplate(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, ok := tpl.Expand(vars)
		if !ok {
			got = "!"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	if _, err := sso.ParseTemplate("a${b"); api.ErrorCode(err) != api.CodeInvalid {
		t.Errorf("an open template: %v", err)
	}
	rapid.Check(t, func(rt *rapid.T) { // text without "${" stands for itself; nothing panics
		text := rapid.String().Draw(rt, "text")
		tpl, err := sso.ParseTemplate(text)
		if err == nil && !strings.Contains(text, "${") {
			if got, ok := tpl.Expand(nil); !ok || got != text {
				rt.Fatalf("%q became %q", text, got)
			}
		}
	})
}

// Logins survive any text; the fuzzer's findings are kept in testdata.
func FuzzToken(f *testing.F) {
	f.Add("x.y.z")
	f.Add("eyJhbGciOiJFUzI1NiJ9.e30.AA")
	p := ssotest.New()
	f.Cleanup(p.Close)
	logins := sso.New(func() time.Time { return start })
	der, _ := x509.MarshalPKIXPublicKey(p.PublicKey())
	m := &api.ACLAuthMethod{Name: "m", Type: api.AuthMethodJWT, Config: &api.ACLAuthMethodConfig{
		JWTValidationPubKeys: []string{string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}, BoundAudiences: []string{"a"},
	}}
	f.Fuzz(func(t *testing.T, token string) {
		if id, err := logins.JWT(t.Context(), m, token); err == nil {
			b, _ := json.Marshal(id)
			t.Fatalf("%q is believed: %s", token, b)
		}
	})
}
