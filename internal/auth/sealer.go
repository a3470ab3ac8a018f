package auth

import (
	"context"
	"fmt"

	"github.com/drover-org/drover/internal/store"
)

// Sealer keeps secrets. It is safe for concurrent use. Each secret has a label
// that says what it belongs to; under another one it neither opens nor is
// found.
type Sealer interface {
	// Seal encrypts and authenticates. ctx bounds waiting for a key.
	Seal(ctx context.Context, label string, secret []byte) ([]byte, error)
	// Open returns what was sealed. The error is for what was not sealed with
	// a key that is still there, or has been changed.
	Open(label string, sealed []byte) ([]byte, error)
	// Hash returns what a secret is kept under, which tells nothing of it to
	// who lacks the key.
	Hash(ctx context.Context, label string, secret []byte) ([]byte, error)
	// Hashes returns what Hash may have given, the likeliest first: it changes
	// when keys do.
	Hashes(label string, secret []byte) [][]byte
}

// Labels of what is hashed. What is sealed has the label of a token, see
// SealLabel.
const (
	LabelToken   = "acl-token"
	LabelOneTime = "acl-one-time-token"
)

// SealLabel is the label a token's secret is sealed under.
func SealLabel(accessor string) string { return LabelToken + "/" + accessor }

// Reseal returns a token's row with its secret sealed and hashed by the key
// that does so now.
func Reseal(ctx context.Context, s Sealer, row *store.ACLToken) (*store.ACLToken, error) {
	accessor := row.Token.AccessorID
	secret, err := s.Open(SealLabel(accessor), row.Sealed)
	if err != nil {
		return nil, fmt.Errorf("token %s: %w", accessor, err)
	}
	out := *row
	if out.Sealed, err = s.Seal(ctx, SealLabel(accessor), secret); err != nil {
		return nil, fmt.Errorf("token %s: %w", accessor, err)
	}
	if out.Hash, err = s.Hash(ctx, LabelToken, secret); err != nil {
		return nil, fmt.Errorf("token %s: %w", accessor, err)
	}
	return &out, nil
}
