package sso

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"net/url"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/drover-org/drover/api"
	"golang.org/x/oauth2"
)

// flowLife is how long a browser may take to log in.
const flowLife = 10 * time.Minute

// Bounds of what a login in a browser brings.
const (
	maxClientNonce = 256
	maxCode        = 8 << 10
)

// Flow is one login in a browser, between its two halves. Servers don't keep
// it: the caller seals it and lets it travel as the "state" of the login's
// URL. So any server can end what another one began, also after a restart, and
// beginning logins costs no memory.
type Flow struct {
	Method      string
	Modified    uint64 // of the method
	Redirect    string
	ClientNonce string
	Nonce       string    // has to come back inside the provider's token
	Verifier    string    // of PKCE
	Ends        time.Time // the login has to
}

// Begin makes the flow of a login that comes back to redirect.
func (l *Logins) Begin(m *api.ACLAuthMethod, redirect, clientNonce string) (*Flow, error) {
	if err := checkRedirectURI(m.Config, redirect); err != nil {
		return nil, err
	}
	if clientNonce == "" || len(clientNonce) > maxClientNonce {
		return nil, api.Errorf(api.CodeInvalid, "ClientNonce has %d bytes: send from 1 to %d that nobody can guess, and send them again at the end", len(clientNonce), maxClientNonce)
	}
	return &Flow{
		Method: m.Name, Modified: m.ModifyIndex, Redirect: redirect, ClientNonce: clientNonce,
		Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Ends: l.now().Add(flowLife),
	}, nil
}

// checkRedirectURI admits the URIs of the method. Of those on the browser's own
// machine the port is free, as programs can't choose it.
func checkRedirectURI(c *api.ACLAuthMethodConfig, given string) error {
	if len(c.AllowedRedirectURIs) == 0 {
		return api.Errorf(api.CodeInvalid, "the auth method has no AllowedRedirectURIs: nobody can log in before it names where browsers may come back to")
	}
	if slices.Contains(c.AllowedRedirectURIs, given) {
		return nil
	}
	g, err := url.Parse(given)
	if err == nil && api.LoopbackHost(g.Hostname()) && g.User == nil && g.Fragment == "" {
		for _, text := range c.AllowedRedirectURIs {
			a, err := url.Parse(text)
			if err == nil && a.Scheme == g.Scheme && a.Hostname() == g.Hostname() && a.Path == g.Path && a.RawQuery == g.RawQuery {
				return nil
			}
		}
	}
	return api.Errorf(api.CodeInvalid, "RedirectURI %q is not in the auth method's AllowedRedirectURIs", given)
}

// URL returns where the browser is to go. state is the flow, sealed.
func (l *Logins) URL(ctx context.Context, m *api.ACLAuthMethod, f *Flow, state string) (string, error) {
	leave, err := l.enter()
	if err != nil {
		return "", err
	}
	defer leave()
	known, err := l.method(m)
	if err != nil {
		return "", err
	}
	p, err := known.discover(ctx, m.Config.OIDCDiscoveryURL)
	if err != nil {
		return "", err
	}
	opts := []oauth2.AuthCodeOption{oidc.Nonce(f.Nonce)}
	if m.Config.PKCE() {
		opts = append(opts, oauth2.S256ChallengeOption(f.Verifier))
	}
	return p.oauth(m.Config, f.Redirect).AuthCodeURL(state, opts...), nil
}

func (p *provider) oauth(c *api.ACLAuthMethodConfig, redirect string) *oauth2.Config {
	scopes := []string{oidc.ScopeOpenID}
	for _, s := range c.OIDCScopes {
		if s != oidc.ScopeOpenID {
			scopes = append(scopes, s)
		}
	}
	return &oauth2.Config{ClientID: c.OIDCClientID, ClientSecret: c.OIDCClientSecret, Endpoint: p.Endpoint(), RedirectURL: redirect, Scopes: scopes}
}

// Finish exchanges the code that a browser brought back for who logged in. m
// holds the client's secret.
func (l *Logins) Finish(ctx context.Context, m *api.ACLAuthMethod, f *Flow, req *api.ACLOIDCCompleteAuthRequest) (*Identity, error) {
	switch {
	case f.Method != m.Name || f.Modified != m.ModifyIndex:
		return nil, refused("it was begun with another form of the auth method: begin again")
	case f.Redirect != req.RedirectURI:
		return nil, refused("RedirectURI %q is not the one it was begun with", req.RedirectURI)
	case subtle.ConstantTimeCompare([]byte(f.ClientNonce), []byte(req.ClientNonce)) != 1:
		return nil, refused("ClientNonce is not the one it was begun with")
	case !l.now().Before(f.Ends):
		return nil, refused("it took longer than %v: begin again", flowLife)
	case req.Code == "" || len(req.Code) > maxCode:
		return nil, api.Errorf(api.CodeInvalid, "Code has %d bytes: send the code that came to the redirect URI", len(req.Code))
	}
	leave, err := l.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	known, err := l.method(m)
	if err != nil {
		return nil, err
	}
	p, err := known.discover(ctx, m.Config.OIDCDiscoveryURL)
	if err != nil {
		return nil, err
	}
	if req.Iss != "" && req.Iss != p.issuer {
		return nil, refused("Iss is %q, but the provider is %q", req.Iss, p.issuer)
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, known.client), 2*requestTimeout)
	defer cancel()
	claims, err := l.exchange(ctx, m, p, f, req.Code)
	if err != nil {
		return nil, err
	}
	return newIdentity(m.Config, claims), nil
}

// exchange returns the claims of the provider's token, and those of its user
// info where the token has none of that name.
func (l *Logins) exchange(ctx context.Context, m *api.ACLAuthMethod, p *provider, f *Flow, code string) (map[string]any, error) {
	var opts []oauth2.AuthCodeOption
	if m.Config.PKCE() {
		opts = append(opts, oauth2.VerifierOption(f.Verifier))
	}
	oauth := p.oauth(m.Config, f.Redirect)
	tokens, err := oauth.Exchange(ctx, code, opts...)
	if err != nil {
		return nil, exchangeError(err)
	}
	raw, _ := tokens.Extra("id_token").(string)
	if raw == "" || len(raw) > maxToken {
		return nil, refused("the provider sent no ID token")
	}
	payload, err := verifySignature(ctx, p.keys, raw, algorithms(m.Config))
	if err != nil {
		return nil, err
	}
	bound := *m.Config
	if len(bound.BoundAudiences) == 0 {
		bound.BoundAudiences = []string{bound.OIDCClientID}
	}
	claims, err := checkClaims(&bound, p.issuer, payload, l.now())
	if err != nil {
		return nil, err
	}
	nonce, _ := claims["nonce"].(string)
	if subtle.ConstantTimeCompare([]byte(nonce), []byte(f.Nonce)) != 1 {
		return nil, refused("the nonce of the provider's token is not this login's")
	}
	if azp, ok := claims["azp"].(string); ok && azp != bound.OIDCClientID {
		return nil, refused("the provider's token was made for client %q", azp)
	}
	if m.Config.OIDCDisableUserInfo || p.UserInfoEndpoint() == "" {
		return claims, nil
	}
	return claims, addUserInfo(ctx, p, oauth2.StaticTokenSource(tokens), claims)
}

func addUserInfo(ctx context.Context, p *provider, source oauth2.TokenSource, claims map[string]any) error {
	info, err := p.UserInfo(ctx, source)
	if err != nil {
		return unavailable("the identity provider's user info could not be read", err)
	}
	if info.Subject != claims["sub"] {
		return refused("the provider's user info is about another subject than its token")
	}
	var more map[string]any
	if err := info.Claims(&more); err != nil {
		return unavailable("the identity provider's user info could not be read", err)
	}
	for name, v := range more {
		if _, ok := claims[name]; !ok {
			claims[name] = v
		}
	}
	return nil
}

// exchangeError says why a code gave no tokens, without the provider's answer,
// which may quote what was sent.
func exchangeError(err error) error {
	var answer *oauth2.RetrieveError
	if errors.As(err, &answer) {
		if answer.ErrorCode != "" {
			return refused("the provider did not take the code: %s", answer.ErrorCode)
		}
		return refused("the provider did not take the code: %s", answer.Response.Status)
	}
	return unavailable("the identity provider could not be asked", err)
}
