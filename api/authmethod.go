package api

import (
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"time"
)

// Types of auth methods.
const (
	AuthMethodOIDC = "OIDC" // a browser goes to an identity provider and back
	AuthMethodJWT  = "JWT"  // the caller has a signed token
)

// Scopes of the tokens that an auth method makes.
const (
	TokenLocalityLocal  = "local"
	TokenLocalityGlobal = "global"
)

// RedactedSecret stands in answers for a secret that is set. Sent back in an
// update it leaves the secret as it is.
const RedactedSecret = "redacted"

// DefaultTokenNameFormat is how tokens of an auth method are called.
const DefaultTokenNameFormat = "${auth_method_type}-${auth_method_name}"

// ACLAuthMethod says whom to believe who somebody is. What he may do is said
// by binding rules.
type ACLAuthMethod struct {
	Name            string
	Type            string
	TokenLocality   string
	TokenNameFormat string
	MaxTokenTTL     DurationText // life of the tokens that a login makes
	Default         bool         // used by a login that names no method; one of each type
	Config          *ACLAuthMethodConfig
	CreateTime      time.Time
	ModifyTime      time.Time
	CreateIndex     uint64
	ModifyIndex     uint64
}

// ACLAuthMethodConfig is how the tokens of an identity provider are checked.
type ACLAuthMethodConfig struct {
	JWTValidationPubKeys []string // PEM
	JWKSURL              string
	JWKSCACert           string // PEM
	OIDCDiscoveryURL     string
	DiscoveryCaPem       []string
	OIDCClientID         string
	OIDCClientSecret     string         // the state holds it sealed, answers say RedactedSecret
	OIDCClientAssertion  map[string]any // refused
	OIDCEnablePKCE       bool
	OIDCDisableUserInfo  bool
	OIDCScopes           []string // beside "openid"
	BoundAudiences       []string
	BoundIssuer          []string
	AllowedRedirectURIs  []string
	SigningAlgs          []string
	ExpirationLeeway     DurationText      // life after iat or nbf of a token without exp; 0: 150 s, negative: none
	NotBeforeLeeway      DurationText      // how long before iat or exp a token without nbf is good; the same
	ClockSkewLeeway      DurationText      // for all times; 0: 60 s, negative: none
	ClaimMappings        map[string]string // claim, or JSON pointer to one, to name
	ListClaimMappings    map[string]string
	VerboseLogging       bool // what was mapped and bound, at level debug
}

// ACLAuthMethodListStub is an auth method in a list, which anybody may read.
type ACLAuthMethodListStub struct {
	Name        string
	Type        string
	Default     bool
	CreateIndex uint64
	ModifyIndex uint64
}

// Stub returns what anybody may know.
func (m *ACLAuthMethod) Stub() *ACLAuthMethodListStub {
	return &ACLAuthMethodListStub{Name: m.Name, Type: m.Type, Default: m.Default, CreateIndex: m.CreateIndex, ModifyIndex: m.ModifyIndex}
}

// WithSecret returns a copy with another client secret.
func (m *ACLAuthMethod) WithSecret(secret string) *ACLAuthMethod {
	c := *m
	if m.Config != nil {
		cfg := *m.Config
		cfg.OIDCClientSecret = secret
		c.Config = &cfg
	}
	return &c
}

// ACLOIDCAuthURLRequest begins a login in a browser. ClientNonce is the
// client's own and has to come back with the answer.
type ACLOIDCAuthURLRequest struct {
	AuthMethodName string
	RedirectURI    string
	ClientNonce    string
}

// ACLOIDCAuthURLResponse says where the browser is to go.
type ACLOIDCAuthURLResponse struct {
	AuthURL string
}

// ACLOIDCCompleteAuthRequest ends a login in a browser with what came to the
// redirect URI.
type ACLOIDCCompleteAuthRequest struct {
	AuthMethodName string
	ClientNonce    string
	State          string
	Code           string
	Iss            string // optional: what the provider said of itself
	RedirectURI    string
}

// ACLLoginRequest logs in with a token of an identity provider.
type ACLLoginRequest struct {
	AuthMethodName string
	LoginToken     string
}

// Bounds of an auth method.
const (
	maxAuthMethodKeys     = 32
	maxAuthMethodMappings = 100
	maxAuthMethodText     = 64 << 10
)

// SigningAlgs are the signatures that can be checked. Those with a shared
// secret are not among them.
var SigningAlgs = []string{"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"}

var mappedName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// Canonicalize fills in defaults.
func (m *ACLAuthMethod) Canonicalize() {
	def(&m.TokenNameFormat, DefaultTokenNameFormat)
	if m.Config != nil && m.Type == AuthMethodOIDC && len(m.Config.SigningAlgs) == 0 {
		m.Config.SigningAlgs = []string{"RS256"}
	}
}

// Validate returns everything that is wrong with a method that has its
// defaults. minTTL and maxTTL bound the life of tokens.
func (m *ACLAuthMethod) Validate(minTTL, maxTTL time.Duration) error {
	r := &report{}
	at := spot{r, ""}
	if !namespaceName.MatchString(m.Name) {
		at.bad("Name", "%q is not a name: use 1 to 128 letters, digits and hyphens", clip(m.Name))
	}
	if m.TokenLocality == "" {
		at.bad("TokenLocality", "is missing: it must be %q or %q", TokenLocalityLocal, TokenLocalityGlobal)
	}
	at.oneOf("TokenLocality", m.TokenLocality, TokenLocalityLocal, TokenLocalityGlobal)
	if ttl := time.Duration(m.MaxTokenTTL); ttl < minTTL || ttl > maxTTL {
		at.bad("MaxTokenTTL", "is %v: it must be from %v to %v", ttl, minTTL, maxTTL)
	}
	if m.Config == nil {
		at.bad("Config", "is missing")
		return r.err("auth method")
	}
	c, at := m.Config, at.in("Config")
	c.validate(at)
	switch m.Type {
	case AuthMethodOIDC:
		c.validateOIDC(at)
	case AuthMethodJWT:
		c.validateJWT(at)
	default:
		spot{r, ""}.bad("Type", "%q is none of %s, %s", clip(m.Type), AuthMethodOIDC, AuthMethodJWT)
	}
	return r.err("auth method")
}

// Warnings says what a valid method still lacks before anybody can log in.
func (m *ACLAuthMethod) Warnings() []string {
	if m.Type == AuthMethodOIDC && len(m.Config.AllowedRedirectURIs) == 0 {
		return []string{"Config > AllowedRedirectURIs is empty, so nobody can log in: name where browsers may come back to, such as http://localhost:4649/oidc/callback"}
	}
	return nil
}

// PKCE reports whether logins prove by a verifier that the one who ends them
// began them. Those of a client without a secret always do: nothing else binds
// them to it.
func (c *ACLAuthMethodConfig) PKCE() bool { return c.OIDCEnablePKCE || c.OIDCClientSecret == "" }

func (c *ACLAuthMethodConfig) validate(at spot) {
	for _, alg := range c.SigningAlgs {
		if !slices.Contains(SigningAlgs, alg) {
			at.bad("SigningAlgs", "%q can't be checked: use %v", clip(alg), SigningAlgs)
		}
	}
	if len(c.ClaimMappings)+len(c.ListClaimMappings) > maxAuthMethodMappings {
		at.bad("ClaimMappings, ListClaimMappings", "at most %d are possible", maxAuthMethodMappings)
	}
	for _, f := range []struct {
		name string
		m    map[string]string
	}{{"ClaimMappings", c.ClaimMappings}, {"ListClaimMappings", c.ListClaimMappings}} {
		seen := map[string]bool{}
		for claim, name := range f.m {
			if claim == "" || !mappedName.MatchString(name) || seen[name] {
				at.bad(f.name, "%q to %q: a claim becomes a name of letters, digits and underscores, each name once", clip(claim), clip(name))
			}
			seen[name] = true
		}
	}
	for i, text := range append([]string{c.JWKSCACert}, c.DiscoveryCaPem...) {
		if text != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(text)) {
			at.bad([]string{"JWKSCACert", "DiscoveryCaPem"}[min(i, 1)], "holds no PEM certificate")
		}
	}
	for _, u := range []struct{ name, url string }{{"JWKSURL", c.JWKSURL}, {"OIDCDiscoveryURL", c.OIDCDiscoveryURL}} {
		if u.url != "" && !secureURL(u.url) {
			at.bad(u.name, "%q must be an https:// URL; http:// is taken for this machine only", clip(u.url))
		}
	}
	size := len(c.OIDCClientSecret)
	for _, list := range [][]string{c.JWTValidationPubKeys, c.DiscoveryCaPem, c.OIDCScopes, c.BoundAudiences, c.BoundIssuer, c.AllowedRedirectURIs} {
		for _, s := range list {
			size += len(s)
		}
	}
	if size > maxAuthMethodText {
		at.bad("Config", "has %d bytes of text, at most %d are kept", size, maxAuthMethodText)
	}
}

func (c *ACLAuthMethodConfig) validateOIDC(at spot) {
	if c.OIDCDiscoveryURL == "" {
		at.bad("OIDCDiscoveryURL", "is missing")
	}
	if c.OIDCClientID == "" {
		at.bad("OIDCClientID", "is missing")
	}
	if len(c.OIDCClientAssertion) > 0 {
		at.bad("OIDCClientAssertion", "is not supported: use OIDCClientSecret")
	}
	for _, u := range c.AllowedRedirectURIs {
		if !secureURL(u) {
			at.bad("AllowedRedirectURIs", "%q must be an https:// URL; http:// is taken for the browser's own machine only", clip(u))
		}
	}
	if len(c.JWTValidationPubKeys) > 0 || c.JWKSURL != "" {
		at.bad("JWTValidationPubKeys, JWKSURL", "belong to methods of type JWT")
	}
}

func (c *ACLAuthMethodConfig) validateJWT(at spot) {
	sources := 0
	for _, set := range []bool{len(c.JWTValidationPubKeys) > 0, c.JWKSURL != "", c.OIDCDiscoveryURL != ""} {
		if set {
			sources++
		}
	}
	if sources != 1 {
		at.bad("JWTValidationPubKeys, JWKSURL, OIDCDiscoveryURL", "exactly one of them says where keys come from, %d are set", sources)
	}
	if len(c.JWTValidationPubKeys) > maxAuthMethodKeys {
		at.bad("JWTValidationPubKeys", "at most %d are possible", maxAuthMethodKeys)
	}
	for i, text := range c.JWTValidationPubKeys {
		if _, err := ParsePublicKey(text); err != nil {
			at.bad("JWTValidationPubKeys", "the key with number %d: %v", i+1, err)
		}
	}
	if len(c.BoundAudiences)+len(c.BoundIssuer) == 0 && c.OIDCDiscoveryURL == "" {
		at.bad("BoundAudiences, BoundIssuer", "both are empty: any token that those keys signed, for whatever purpose, would be good")
	}
	if c.OIDCClientID != "" || c.OIDCClientSecret != "" || c.OIDCEnablePKCE || len(c.OIDCClientAssertion) > 0 || len(c.OIDCScopes) > 0 || len(c.AllowedRedirectURIs) > 0 {
		at.bad("OIDCClientID, OIDCClientSecret, OIDCClientAssertion, OIDCEnablePKCE, OIDCScopes, AllowedRedirectURIs", "belong to methods of type OIDC")
	}
}

// ParsePublicKey reads a public key or a certificate from PEM.
func ParsePublicKey(text string) (any, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, Errorf(CodeInvalid, "is not PEM")
	}
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return cert.PublicKey, nil
	}
	return nil, Errorf(CodeInvalid, "a PEM block %q is no public key", clip(block.Type))
}

// secureURL reports whether nobody on the way can change what is read there.
func secureURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && LoopbackHost(u.Hostname())
}

// LoopbackHost reports whether a host name or address is always the machine
// itself.
func LoopbackHost(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
