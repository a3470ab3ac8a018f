package cli

import (
	"context"
	"crypto/rand"
	"flag"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

type loginOptions struct {
	machine             machine
	method, kind, token string
	callback            string
}

func loginVerb() *verb {
	var o loginOptions
	return &verb{
		name: "login", args: "[options]",
		short: "Get a token by single sign-on",
		long: `
Logs in by an auth method and prints the token that it gives; NOMAD_TOKEN makes
the other commands use it. Without -method the default method is used.

A method of type JWT takes the signed token of -login-token. One of type OIDC
sends the browser to the identity provider: its address is printed, and opened
where there is a screen. The answer comes back to -oidc-callback-addr, which the
method must allow as http://HOST:PORT/oidc/callback (any port, for the same
host) and which is this machine only.

    export NOMAD_TOKEN=$(drover login -method ci -login-token @token -t '{{.SecretID}}')`,
		flags: func(fs *flag.FlagSet) {
			o.machine.flags(fs)
			fs.StringVar(&o.method, "method", "", "`NAME` of the auth method")
			fs.StringVar(&o.kind, "type", "", "`TYPE` of the auth method: JWT or OIDC")
			fs.StringVar(&o.token, "login-token", "", "`TOKEN` of the identity provider; @FILE reads a file, - standard input")
			fs.StringVar(&o.callback, "oidc-callback-addr", "localhost:4649", "`HOST:PORT` where the browser comes back to; port 0: any free one")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runLogin(ctx, e, &o, args) },
	}
}

func runLogin(ctx context.Context, e *env, o *loginOptions, args []string) error {
	if err := none(args); err != nil {
		return err
	}
	word, err := e.textOrFile(o.token)
	if err != nil {
		return err
	}
	word = strings.TrimSpace(word)
	if o.token != "" && word == "" {
		return usagef("-login-token: there is no token in %s", strings.TrimPrefix(o.token, "@"))
	}
	e.conn.Token = "" // who logs in has none, or one that may have expired
	c, err := e.client()
	if err != nil {
		return err
	}
	method, kind, err := o.choose(ctx, c, word != "")
	if err != nil {
		return err
	}
	var t *api.ACLToken
	switch {
	case kind == api.AuthMethodOIDC && word != "":
		return usagef("-login-token is for auth methods of type JWT, not OIDC")
	case kind == api.AuthMethodOIDC:
		t, err = loginByBrowser(ctx, e, c, method, o.callback)
	case word == "":
		return usagef("-login-token is missing: an auth method of type JWT takes a token of the identity provider")
	default:
		t, err = c.ACL().Login(ctx, &api.ACLLoginRequest{AuthMethodName: method, LoginToken: word})
	}
	return give(e, &o.machine, t, err, e.tokenFacts)
}

// choose finds the auth method and its type, as far as the flags leave it open.
// An empty name is the default method of the type.
func (o *loginOptions) choose(ctx context.Context, c *client.Client, hasToken bool) (method, kind string, err error) {
	switch kind = strings.ToUpper(o.kind); {
	case kind == api.AuthMethodJWT || kind == api.AuthMethodOIDC:
		return o.method, kind, nil
	case kind != "":
		return "", "", usagef("-type %q is none of JWT, OIDC", o.kind)
	case hasToken:
		return o.method, api.AuthMethodJWT, nil
	}
	list, _, err := c.ACL().AuthMethods(ctx, api.ListOptions{})
	if err != nil {
		return "", "", err
	}
	var names []string
	var fit []*api.ACLAuthMethodListStub
	for _, m := range list {
		names = append(names, m.Name)
		if m.Name == o.method || o.method == "" && m.Default {
			fit = append(fit, m)
		}
	}
	switch {
	case len(fit) == 1:
		return fit[0].Name, fit[0].Type, nil
	case len(fit) > 1:
		return "", "", usagef("there is a default auth method of each type: say which with -type JWT or -type OIDC")
	case len(names) == 0:
		return "", "", api.Errorf(api.CodeNotFound, "there are no auth methods: \"drover acl auth-method create\" makes one")
	case o.method == "":
		return "", "", usagef("-method is missing, and no auth method is the default one: there are %s", strings.Join(names, ", "))
	}
	return "", "", api.Errorf(api.CodeNotFound, "auth method %q not found: there are %s", o.method, strings.Join(names, ", "))
}

// loginByBrowser sends the user's browser to the identity provider and ends the
// login with what comes back.
func loginByBrowser(ctx context.Context, e *env, c *client.Client, method, addr string) (*api.ACLToken, error) {
	cb, err := listenForLogin(addr)
	if err != nil {
		return nil, err
	}
	defer cb.close()
	nonce := rand.Text()
	there, err := c.ACL().OIDCAuthURL(ctx, &api.ACLOIDCAuthURLRequest{AuthMethodName: method, RedirectURI: cb.redirect, ClientNonce: nonce})
	if err != nil {
		return nil, err
	}
	if err := cb.serve(there.AuthURL); err != nil {
		return nil, err
	}
	e.note("Log in with your browser at:\n\n    %s\n", visible(there.AuthURL))
	e.openBrowser(there.AuthURL)
	back, err := cb.wait(ctx)
	if err != nil {
		return nil, err
	}
	return c.ACL().OIDCCompleteAuth(ctx, &api.ACLOIDCCompleteAuthRequest{
		AuthMethodName: method, ClientNonce: nonce, RedirectURI: cb.redirect,
		State: back.Get("state"), Code: back.Get("code"), Iss: back.Get("iss"),
	})
}
