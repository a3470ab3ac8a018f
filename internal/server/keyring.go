package server

import (
	"context"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// Keyring is what the use cases need of the root keys.
type Keyring interface {
	// NewKey makes a root key wrapped for the servers of the region. It is not
	// in use before it is in the state.
	NewKey(id, signing string) (*api.WrappedRootKey, error)
	// PublicKeys returns what verifies the region's identities, and the index
	// of its last change.
	PublicKeys() (*api.JSONWebKeySet, uint64)
	// Sign makes a JWT of claims.
	Sign(ctx context.Context, claims any) (token string, err error)
	// Verify reads the claims of a JWT that Sign made and whose time is now.
	// Its errors have CodeForbidden.
	Verify(token string, claims any) error
}

// maxPublishTime is how far ahead a key may be published.
const maxPublishTime = 365 * 24 * time.Hour

// RootKeys lists the root keys, the newest first.
func (s *Server) RootKeys(ctx context.Context, opts api.ListOptions) ([]*api.RootKey, api.Meta, error) {
	if err := s.authorize(ctx, opts.Token, api.CapOperatorKeyringRead, ""); err != nil {
		return nil, api.Meta{}, err
	}
	return read(ctx, s, opts, []store.Key{store.KeyRootKeys()}, func(snap *store.Snapshot) ([]*api.RootKey, uint64, error) {
		keys, index := snap.RootKeys()
		out := make([]*api.RootKey, len(keys))
		for i, k := range keys {
			out[i] = &k.RootKey
		}
		return out, index, nil
	})
}

// RotateRootKey makes a root key that takes the place of the active one, at
// once or at the time of its publication.
func (s *Server) RotateRootKey(ctx context.Context, token string, req *api.RootKeyRotation) (*api.RootKeyResponse, error) {
	if err := s.authorize(ctx, token, api.CapOperatorKeyringRotate, ""); err != nil {
		return nil, err
	}
	if a := req.Algorithm; a != "" && a != api.AlgorithmAES256GCM {
		return nil, api.Errorf(api.CodeInvalid, "algo is %q: it must be %q", a, api.AlgorithmAES256GCM)
	}
	now := s.now()
	switch publish := time.Unix(0, req.PublishTime); {
	case req.PublishTime == 0:
	case req.Full:
		return nil, api.Errorf(api.CodeInvalid, "full and publish_time exclude each other: what older keys sealed is sealed again when the new key is active")
	case publish.Before(now) || publish.After(now.Add(maxPublishTime)):
		return nil, api.Errorf(api.CodeInvalid, "publish_time is %d, which is %s: it must be Unix nanoseconds from now to a year ahead", req.PublishTime, publish.UTC().Format(time.RFC3339))
	}
	// Nobody would make a key for a server that can't put it into the log.
	if err := s.cfg.Cluster.CheckRead(ctx, false); err != nil {
		return nil, err
	}
	signing, err := s.signing(req.SigningAlgorithm)
	if err != nil {
		return nil, err
	}
	key, err := s.cfg.Keyring.NewKey(s.cfg.NewID(), signing)
	if err != nil {
		return nil, err
	}
	if key.State = api.RootKeyActive; req.PublishTime != 0 {
		key.State, key.PublishTime = api.RootKeyPrepublished, req.PublishTime
	}
	res, err := s.propose(ctx, &store.PutRootKey{Key: key, Full: req.Full, Now: now.UnixNano()})
	if err != nil {
		return nil, err
	}
	out := key.RootKey
	out.CreateIndex, out.ModifyIndex = res.Index, res.Index
	return &api.RootKeyResponse{Key: &out, Index: res.Index}, nil
}

// signing returns how a new key signs: as asked for, or like the active one.
func (s *Server) signing(asked string) (string, error) {
	switch asked {
	case api.SigningEdDSA, api.SigningRS256:
		return asked, nil
	case "":
	default:
		return "", api.Errorf(api.CodeInvalid, "signing is %q: it must be %q or %q", asked, api.SigningEdDSA, api.SigningRS256)
	}
	keys, _ := s.store.RootKeys()
	for _, k := range keys {
		if k.State == api.RootKeyActive {
			return k.SigningAlgorithm, nil
		}
	}
	return api.SigningEdDSA, nil
}

// DeleteRootKey removes a root key for good. Without force one that something
// still needs is refused; the active one always is.
func (s *Server) DeleteRootKey(ctx context.Context, token, id string, force bool) (index uint64, err error) {
	if err := s.authorize(ctx, token, api.CapOperatorKeyringDelete, ""); err != nil {
		return 0, err
	}
	if err := checkID("root key", id); err != nil {
		return 0, err
	}
	res, err := s.propose(ctx, &store.DeleteRootKey{KeyID: id, Force: force})
	return res.Index, err
}

// PublicKeys returns what verifies the identities of this region. Everybody
// may know.
func (s *Server) PublicKeys(ctx context.Context, opts api.ListOptions) (*api.JSONWebKeySet, api.Meta, error) {
	return read(ctx, s, opts, []store.Key{store.KeyRootKeys()}, func(*store.Snapshot) (*api.JSONWebKeySet, uint64, error) {
		set, index := s.cfg.Keyring.PublicKeys()
		return set, index, nil
	})
}

// OpenIDConfiguration tells where the public keys are to those who know the
// region's issuer.
func (s *Server) OpenIDConfiguration() (*api.OpenIDConfiguration, error) {
	issuer := s.cfg.OIDCIssuer
	if issuer == "" {
		return nil, api.Errorf(api.CodeNotFound, "this region is no OpenID issuer: set server.oidc_issuer to the URL that others reach it at")
	}
	return &api.OpenIDConfiguration{
		Issuer: issuer, JWKS: issuer + "/.well-known/jwks.json",
		IDTokenAlgs: []string{api.SigningEdDSA, api.SigningRS256}, ResponseTypes: []string{"code"}, Subjects: []string{"public"},
	}, nil
}
