package keyring

import (
	"context"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"math/big"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/drover-org/drover/api"
)

// MaxToken is the length of the longest token that Verify looks at: claims
// are names and IDs.
const MaxToken = 16 << 10

// leeway is what clocks may differ by.
const leeway = 30 * time.Second

// algorithms are all that a token may be signed with.
var algorithms = []jose.SignatureAlgorithm{api.SigningEdDSA, api.SigningRS256}

// Sign returns claims as a JWT that the active key signed.
func (r *Ring) Sign(ctx context.Context, claims any) (string, error) {
	k, err := r.active(ctx)
	if err != nil {
		return "", err
	}
	token, err := jwt.Signed(k.signer).Claims(claims).Serialize()
	if err != nil {
		return "", api.Errorf(api.CodeInternal, "sign: %w", err)
	}
	return token, nil
}

// Verify reads the claims of a JWT that one of the ring's keys signed and
// whose time is now. Errors have CodeForbidden and don't hold the token.
func (r *Ring) Verify(token string, claims any) error {
	if len(token) > MaxToken {
		return api.Errorf(api.CodeForbidden, "the token has %d bytes, more than %d: it is none of this region's", len(token), MaxToken)
	}
	t, err := jwt.ParseSigned(token, algorithms)
	if err != nil || len(t.Headers) != 1 {
		return api.Errorf(api.CodeForbidden, "the token is not a signed JWT of this region")
	}
	id, ok := api.ParseID(t.Headers[0].KeyID)
	k := r.current().byID[id]
	if !ok || k == nil || k.public == nil {
		return api.Errorf(api.CodeForbidden, "the token was not signed by a key of this region, or by one that is gone")
	}
	if t.Headers[0].Algorithm != k.row.SigningAlgorithm {
		return api.Errorf(api.CodeForbidden, "the token names the algorithm %q, its key signs with %s", t.Headers[0].Algorithm, k.row.SigningAlgorithm)
	}
	var times jwt.Claims
	if err := t.Claims(k.public, &times, claims); err != nil {
		return api.Errorf(api.CodeForbidden, "the token's signature or claims are not valid")
	}
	switch err := times.ValidateWithLeeway(jwt.Expected{Time: r.now()}, leeway); {
	case errors.Is(err, jwt.ErrExpired):
		return api.Errorf(api.CodeForbidden, "the token expired at %s", times.Expiry.Time().UTC().Format(time.RFC3339))
	case err != nil:
		return api.Errorf(api.CodeForbidden, "the token is not valid yet: compare the clocks")
	}
	return nil
}

// PublicKeys returns what verifies the tokens of this region and the index of
// its last change: the keys that sign, that did, and that will.
func (r *Ring) PublicKeys() (set *api.JSONWebKeySet, index uint64) {
	c := r.current()
	set = &api.JSONWebKeySet{Keys: make([]api.JSONWebKey, 0, len(c.sorted))}
	for _, k := range c.sorted {
		w := api.JSONWebKey{Use: "sig", KeyID: k.row.KeyID, Algorithm: k.row.SigningAlgorithm}
		switch public := k.public.(type) {
		case ed25519.PublicKey:
			w.KeyType, w.Curve, w.X = "OKP", "Ed25519", base64.RawURLEncoding.EncodeToString(public)
		case *rsa.PublicKey:
			w.KeyType = "RSA"
			w.N = base64.RawURLEncoding.EncodeToString(public.N.Bytes())
			w.E = base64.RawURLEncoding.EncodeToString(big.NewInt(int64(public.E)).Bytes())
		default:
			continue // it could not be read, which Err tells
		}
		set.Keys = append(set.Keys, w)
	}
	return set, c.index
}
