package cli

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
)

type aclAuthMethodOptions struct {
	machine                  machine
	name, kind               string
	locality, format, config string
	ttl                      time.Duration
	isDefault                bool
	given                    func() map[string]bool
}

func (o *aclAuthMethodOptions) flags(fs *flag.FlagSet) {
	o.machine.flags(fs)
	fs.StringVar(&o.locality, "token-locality", "", "`SCOPE` of the tokens: local or global")
	fs.StringVar(&o.format, "token-name-format", "", "`TEXT` that the tokens are called, with ${auth_method_name} and such")
	fs.DurationVar(&o.ttl, "max-token-ttl", 0, "`DURATION` until the tokens expire, such as 8h")
	fs.BoolVar(&o.isDefault, "default", false, "used by logins that name no method")
	fs.StringVar(&o.config, "config", "", "`JSON` of the configuration; @FILE reads a file, - standard input")
	o.given = func() map[string]bool { return given(fs) }
}

// apply puts what was given into m.
func (o *aclAuthMethodOptions) apply(e *env, m *api.ACLAuthMethod) error {
	set := o.given()
	if set["token-locality"] {
		m.TokenLocality = o.locality
	}
	if set["token-name-format"] {
		m.TokenNameFormat = o.format
	}
	if set["max-token-ttl"] {
		m.MaxTokenTTL = api.DurationText(o.ttl)
	}
	if set["default"] {
		m.Default = o.isDefault
	}
	if !set["config"] {
		return nil
	}
	text, err := e.textOrFile(o.config)
	if err != nil {
		return err
	}
	m.Config = &api.ACLAuthMethodConfig{}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(m.Config); err != nil {
		return usagef("-config is not the JSON of an auth method's Config: %v", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return usagef("-config has text behind the JSON of an auth method's Config")
	}
	return nil
}

// textOrFile is the value of a flag, or with - what comes by standard input,
// or with @FILE what the file holds.
func (e *env) textOrFile(value string) (string, error) {
	path, named := strings.CutPrefix(value, "@")
	if !named && value != "-" {
		return value, nil
	}
	text, err := e.readSource(path)
	return string(text), err
}

func aclAuthMethodCreateVerb() *verb {
	var o aclAuthMethodOptions
	return &verb{
		name: "acl auth-method create", args: "[options]",
		short: "Create an auth method",
		long: `
Creates an auth method, which says whom to believe who somebody is. What its
users may do is said by binding rules. A client secret in -config is best read
from a file or from standard input.`,
		flags: func(fs *flag.FlagSet) {
			o.flags(fs)
			fs.StringVar(&o.name, "name", "", "`NAME` of the method")
			fs.StringVar(&o.kind, "type", "", "`TYPE`: JWT or OIDC")
		},
		run: func(ctx context.Context, e *env, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			m := &api.ACLAuthMethod{Name: o.name, Type: strings.ToUpper(o.kind)}
			if err := o.apply(e, m); err != nil {
				return err
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			out, err := c.ACL().CreateAuthMethod(ctx, m)
			return give(e, &o.machine, out, err, e.authMethodFacts)
		},
	}
}

func aclAuthMethodUpdateVerb() *verb {
	var o aclAuthMethodOptions
	return &verb{
		name: "acl auth-method update", args: "[options] NAME",
		short: "Change an auth method",
		long: `
Changes an auth method. What is given replaces what was there: -config all of
the configuration, in which a client secret "redacted" stays as it is.`,
		flags: o.flags,
		run: func(ctx context.Context, e *env, args []string) error {
			name, err := one(args, "name")
			if err != nil {
				return err
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			m, _, err := c.ACL().AuthMethod(ctx, name, api.ListOptions{})
			if err != nil {
				return err
			}
			if err := o.apply(e, m); err != nil {
				return err
			}
			out, err := c.ACL().UpdateAuthMethod(ctx, m)
			return give(e, &o.machine, out, err, e.authMethodFacts)
		},
	}
}

func (e *env) authMethodFacts(m *api.ACLAuthMethod) {
	f := &facts{}
	f.add("Name", m.Name)
	f.add("Type", m.Type)
	f.add("Default", strconv.FormatBool(m.Default))
	f.add("Token locality", m.TokenLocality)
	f.add("Max token TTL", time.Duration(m.MaxTokenTTL).String())
	f.add("Token name format", visible(m.TokenNameFormat))
	f.add("Created", when(m.CreateTime))
	f.add("Modified", when(m.ModifyTime))
	e.show(f)
	if m.Config != nil {
		e.heading("Config")
		e.show(authMethodConfigFacts(m.Config))
	}
}

// authMethodConfigFacts shows what is set of a configuration.
func authMethodConfigFacts(c *api.ACLAuthMethodConfig) *facts {
	f := &facts{}
	list := func(name string, values []string) { f.addIf(name, visible(strings.Join(values, ", "))) }
	count := func(name string, n int, what string) {
		if n > 0 {
			f.add(name, plural(n, what))
		}
	}
	leeway := func(name string, d api.DurationText) {
		if d != 0 {
			f.add(name, time.Duration(d).String())
		}
	}
	is := func(name string, set bool) {
		if set {
			f.add(name, "true")
		}
	}
	pairs := func(name string, m map[string]string) {
		var out []string
		for _, claim := range keys(m) {
			out = append(out, claim+" → "+m[claim])
		}
		list(name, out)
	}
	count("Validation keys", len(c.JWTValidationPubKeys), "key")
	f.addIf("JWKS URL", visible(c.JWKSURL))
	if c.JWKSCACert != "" {
		f.add("JWKS CA", "set")
	}
	f.addIf("OIDC discovery URL", visible(c.OIDCDiscoveryURL))
	count("Discovery CA", len(c.DiscoveryCaPem), "certificate")
	f.addIf("OIDC client ID", visible(c.OIDCClientID))
	f.addIf("OIDC client secret", visible(c.OIDCClientSecret))
	is("PKCE", c.OIDCEnablePKCE)
	is("User info disabled", c.OIDCDisableUserInfo)
	list("OIDC scopes", c.OIDCScopes)
	list("Bound audiences", c.BoundAudiences)
	list("Bound issuer", c.BoundIssuer)
	list("Redirect URIs", c.AllowedRedirectURIs)
	list("Signing algorithms", c.SigningAlgs)
	leeway("Expiration leeway", c.ExpirationLeeway)
	leeway("Not before leeway", c.NotBeforeLeeway)
	leeway("Clock skew leeway", c.ClockSkewLeeway)
	pairs("Claim mappings", c.ClaimMappings)
	pairs("List claim mappings", c.ListClaimMappings)
	is("Verbose logging", c.VerboseLogging)
	return f
}

func aclAuthMethodListVerb() *verb {
	return listVerb("acl auth-method list", "List auth methods", "Lists the auth methods. No token is needed.",
		func(ctx context.Context, e *env, m *machine) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			list, _, err := c.ACL().AuthMethods(ctx, api.ListOptions{})
			return give(e, m, list, err, func(list []*api.ACLAuthMethodListStub) {
				if len(list) == 0 {
					e.say("No auth methods.")
					return
				}
				t := newTable("Name", "Type", "Default")
				for _, a := range list {
					t.row(a.Name, a.Type, strconv.FormatBool(a.Default))
				}
				e.show(t)
			})
		})
}

func aclAuthMethodInfoVerb() *verb {
	return infoVerb("acl auth-method info", "name", "Show an auth method", "Shows an auth method, its client secret redacted.",
		func(ctx context.Context, e *env, m *machine, name string) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			a, _, err := c.ACL().AuthMethod(ctx, name, api.ListOptions{})
			return give(e, m, a, err, e.authMethodFacts)
		})
}

func aclAuthMethodDeleteVerb() *verb {
	return removeVerb("acl auth-method delete", "name", "Delete an auth method and its binding rules", func(ctx context.Context, e *env, name string) error {
		c, err := e.client()
		if err != nil {
			return err
		}
		if err := c.ACL().DeleteAuthMethod(ctx, name); err != nil {
			return err
		}
		e.say("Auth method %s is deleted.", name)
		return nil
	})
}
