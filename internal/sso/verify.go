package sso

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// maxToken bounds a login token: identity providers keep theirs below the 8
// KiB that servers take in a header.
const maxToken = 32 << 10

// Default leeways.
const (
	defaultLeeway = 150 * time.Second
	defaultSkew   = time.Minute
)

// refused is the answer to a login that is not believed. It says why: who
// tries holds the token anyway. Clients know it by its end.
func refused(format string, args ...any) error {
	return api.Errorf(api.CodeForbidden, "the login was refused: "+format+": Permission denied", args...)
}

// unavailable is the answer when the provider could not be asked.
func unavailable(what string, err error) error {
	return api.Errorf(api.CodeUnavailable, "%s: %w", what, err)
}

// algorithms are those a method believes in.
func algorithms(c *api.ACLAuthMethodConfig) []jose.SignatureAlgorithm {
	names := c.SigningAlgs
	if len(names) == 0 {
		names = api.SigningAlgs
	}
	out := make([]jose.SignatureAlgorithm, len(names))
	for i, n := range names {
		out[i] = jose.SignatureAlgorithm(n)
	}
	return out
}

// checkClaims checks who made a token, for whom, and when. issuer, if set, is
// what the provider calls itself.
func checkClaims(c *api.ACLAuthMethodConfig, issuer string, payload []byte, now time.Time) (map[string]any, error) {
	var std jwt.Claims
	var all map[string]any
	if err := json.Unmarshal(payload, &std); err != nil {
		return nil, refused("its claims can't be read: %v", err)
	}
	if err := json.Unmarshal(payload, &all); err != nil {
		return nil, refused("its claims can't be read: %v", err)
	}
	if issuer != "" && std.Issuer != issuer {
		return nil, refused("it is from issuer %q, not %q", std.Issuer, issuer)
	}
	if len(c.BoundIssuer) > 0 && !slices.Contains(c.BoundIssuer, std.Issuer) {
		return nil, refused("it is from issuer %q, which is not in the auth method's BoundIssuer", std.Issuer)
	}
	if (len(c.BoundAudiences) > 0 || len(std.Audience) > 0) && !slices.ContainsFunc(std.Audience, func(a string) bool { return slices.Contains(c.BoundAudiences, a) }) {
		return nil, refused("it is for audience %q, and the auth method's BoundAudiences has none of it", []string(std.Audience))
	}
	return all, checkTimes(c, std, now)
}

// checkTimes checks a token's times. Of those that are missing each is taken
// from another one with its leeway.
func checkTimes(c *api.ACLAuthMethodConfig, std jwt.Claims, now time.Time) error {
	skew := leeway(c.ClockSkewLeeway, defaultSkew)
	at := func(d *jwt.NumericDate) time.Time {
		if d == nil {
			return time.Time{}
		}
		return d.Time()
	}
	issued, begin, end := at(std.IssuedAt), at(std.NotBefore), at(std.Expiry)
	if issued.IsZero() && begin.IsZero() && end.IsZero() {
		return refused("it has none of exp, nbf and iat, so that it would be good for ever")
	}
	if end.IsZero() {
		end = later(issued, begin).Add(leeway(c.ExpirationLeeway, defaultLeeway))
	}
	if begin.IsZero() {
		if begin = issued; begin.IsZero() {
			begin = end
		}
		begin = begin.Add(-leeway(c.NotBeforeLeeway, defaultLeeway))
	}
	switch {
	case !now.Before(end.Add(skew)):
		return refused("it expired at %s", end.UTC().Format(time.RFC3339))
	case now.Before(begin.Add(-skew)):
		return refused("it is not good before %s", begin.UTC().Format(time.RFC3339))
	case !issued.IsZero() && now.Before(issued.Add(-skew)):
		return refused("it was issued in the future, at %s", issued.UTC().Format(time.RFC3339))
	}
	return nil
}

func leeway(d api.DurationText, def time.Duration) time.Duration {
	switch {
	case d == 0:
		return def
	case d < 0:
		return 0
	}
	return time.Duration(d)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
