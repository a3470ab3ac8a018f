package identity

import (
	"context"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/drover-org/drover/api"
)

// Signer signs claims.
type Signer interface {
	Sign(ctx context.Context, claims any) (token string, err error)
}

// Verifier reads the claims of a token that a Signer of the region signed and
// that has not expired. Its errors are api.Errors with CodeForbidden.
type Verifier interface {
	Verify(token string, claims any) error
}

// newClaims returns the claims that every token has.
func newClaims(issuer, subject string, audience []string, now time.Time, ttl time.Duration) jwt.Claims {
	at := jwt.NewNumericDate(now)
	c := jwt.Claims{Issuer: issuer, Subject: subject, Audience: audience, IssuedAt: at, NotBefore: at, ID: api.NewID()}
	if ttl > 0 {
		c.Expiry = jwt.NewNumericDate(now.Add(ttl))
	}
	return c
}

// expires returns when a token ends, the zero time for never.
func expires(c *jwt.Claims) time.Time {
	if c.Expiry == nil {
		return time.Time{}
	}
	return c.Expiry.Time()
}
