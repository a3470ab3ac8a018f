// Package ssotest is an identity provider for tests: OpenID Connect with codes,
// PKCE and user info, on this machine, whose users need no password.
package ssotest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// The only client of a Provider.
const (
	ClientID     = "drover"
	ClientSecret = "the-secret-of-the-client"
)

// Provider is an identity provider. Its fields may be changed under Lock.
type Provider struct {
	sync.Mutex
	User     map[string]any // claims of who logs in
	Info     map[string]any // what the user info adds
	Change   func(claims map[string]any)
	Asked    map[string]int // requests by path
	NoPKCE   bool           // takes codes without a verifier
	Now      func() time.Time
	server   *httptest.Server
	key      *ecdsa.PrivateKey
	keyID    int
	codes    map[string]url.Values // by code, what was asked for
	payloads map[string]map[string]any
}

// New starts a provider. Close ends it.
func New() *Provider {
	p := &Provider{
		User: map[string]any{"sub": "u1", "email": "jo@example.org", "groups": []string{"ops", "dev"}}, Info: map[string]any{},
		Asked: map[string]int{}, Now: time.Now, codes: map[string]url.Values{}, payloads: map[string]map[string]any{},
	}
	p.Rotate()
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("/keys", p.keys)
	mux.HandleFunc("/authorize", p.authorize)
	mux.HandleFunc("/token", p.token)
	mux.HandleFunc("/userinfo", p.userInfo)
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.Lock()
		defer p.Unlock()
		p.Asked[r.URL.Path]++
		mux.ServeHTTP(w, r)
	}))
	return p
}

// Close ends the provider.
func (p *Provider) Close() { p.server.Close() }

// URL is the issuer.
func (p *Provider) URL() string { return p.server.URL }

// Rotate replaces the key.
func (p *Provider) Rotate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	p.key = key
	p.keyID++
}

// PublicKey is the key that tokens are signed with now.
func (p *Provider) PublicKey() *ecdsa.PublicKey { return &p.key.PublicKey }

// Count returns how often a path was asked for.
func (p *Provider) Count(path string) int {
	p.Lock()
	defer p.Unlock()
	return p.Asked[path]
}

// Sign signs claims with the provider's key. What is missing of iss, iat and
// exp is added.
func (p *Provider) Sign(claims map[string]any) string {
	now := p.Now()
	all := map[string]any{"iss": p.server.URL, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	maps.Copy(all, claims)
	for name, v := range all {
		if v == nil {
			delete(all, name)
		}
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: p.key},
		(&jose.SignerOptions{}).WithHeader("kid", fmt.Sprint("key", p.keyID)))
	if err != nil {
		panic(err)
	}
	token, err := jwt.Signed(signer).Claims(all).Serialize()
	if err != nil {
		panic(err)
	}
	return token
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func fail(w http.ResponseWriter, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": "secret details"})
}

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	u := p.server.URL
	answer(w, map[string]any{
		"issuer": u, "authorization_endpoint": u + "/authorize", "token_endpoint": u + "/token", "jwks_uri": u + "/keys",
		"userinfo_endpoint": u + "/userinfo", "id_token_signing_alg_values_supported": []string{"ES256"},
	})
}

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &p.key.PublicKey, KeyID: fmt.Sprint("key", p.keyID), Algorithm: "ES256", Use: "sig"}}})
}

// authorize logs the user in at once.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("client_id") != ClientID || q.Get("response_type") != "code" {
		http.Error(w, "unknown client", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	p.codes[code] = q
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil {
		http.Error(w, "redirect_uri", http.StatusBadRequest)
		return
	}
	back.RawQuery = url.Values{"code": {code}, "state": {q.Get("state")}}.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	id, secret, ok := r.BasicAuth()
	if !ok {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	asked, known := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	switch {
	case id != ClientID || secret != ClientSecret:
		fail(w, "invalid_client")
		return
	case !known || asked.Get("redirect_uri") != r.PostFormValue("redirect_uri"):
		fail(w, "invalid_grant")
		return
	case !p.NoPKCE && (asked.Get("code_challenge_method") != "S256" || asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:])):
		fail(w, "invalid_grant")
		return
	}
	claims := maps.Clone(p.User)
	claims["aud"], claims["nonce"] = ClientID, asked.Get("nonce")
	if p.Change != nil {
		p.Change(claims)
	}
	access := rand.Text()
	info := map[string]any{"sub": p.User["sub"]}
	maps.Copy(info, p.Info)
	p.payloads["Bearer "+access] = info
	answer(w, map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 3600, "id_token": p.Sign(claims)})
}

func (p *Provider) userInfo(w http.ResponseWriter, r *http.Request) {
	info, ok := p.payloads[r.Header.Get("Authorization")]
	if !ok {
		http.Error(w, "unknown token", http.StatusUnauthorized)
		return
	}
	answer(w, info)
}
