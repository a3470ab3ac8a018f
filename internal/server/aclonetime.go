package server

import (
	"context"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/auth"
	"github.com/drover-org/drover/internal/store"
)

// oneTimeLife is how long a one-time token waits for its exchange.
const oneTimeLife = 10 * time.Minute

// AddOneTimeToken makes a one-time token for the caller's token.
func (s *Server) AddOneTimeToken(ctx context.Context, token string) (*api.OneTimeToken, uint64, error) {
	rights, err := s.rights(ctx, token)
	if err != nil {
		return nil, 0, err
	}
	if err := ownsToken(rights); err != nil {
		return nil, 0, err
	}
	secret, now := s.cfg.NewID(), s.now().UTC()
	hash, err := s.cfg.ACL.Sealer.Hash(ctx, auth.LabelOneTime, []byte(secret))
	if err != nil {
		return nil, 0, err
	}
	row := &store.OneTimeToken{Hash: hash, AccessorID: rights.Caller.AccessorID, ExpiresAt: now.Add(oneTimeLife)}
	res, err := s.propose(ctx, &store.AddOneTimeToken{Token: row, Now: now.UnixNano()})
	if err != nil {
		return nil, 0, err
	}
	return &api.OneTimeToken{
		OneTimeSecretID: secret, AccessorID: row.AccessorID, ExpiresAt: row.ExpiresAt, CreateIndex: res.Index, ModifyIndex: res.Index,
	}, res.Index, nil
}

// ExchangeOneTimeToken returns the token that a one-time secret stands for and
// uses the secret up. Which part of it is wrong is not told.
func (s *Server) ExchangeOneTimeToken(ctx context.Context, secret string) (*api.ACLToken, uint64, error) {
	if err := s.aclOn(); err != nil {
		return nil, 0, err
	}
	now := s.now()
	for _, hash := range s.cfg.ACL.Sealer.Hashes(auth.LabelOneTime, []byte(secret)) {
		if s.store.Snapshot().OneTimeToken(hash) == nil {
			continue // guesses don't fill the log
		}
		res, err := s.propose(ctx, &store.TakeOneTimeToken{Hash: hash, Now: now.UnixNano()})
		if err != nil {
			return nil, 0, err
		}
		if row, _ := res.Value.(*store.ACLToken); row != nil && !row.Token.Expired(now) {
			t, err := s.unsealed(s.store.Snapshot(), row)
			return t, res.Index, err
		}
	}
	return nil, 0, &api.Error{Code: api.CodeForbidden, Message: "Permission denied"}
}
