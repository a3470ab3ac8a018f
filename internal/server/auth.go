package server

import (
	"context"
	"errors"

	"github.com/drover-org/drover/api"
)

// Authorizer decides what the owner of a token may do.
type Authorizer interface {
	// Authorize returns nil, or an api.Error with CodeForbidden. It is asked
	// again for every use; an implementation caches.
	Authorize(ctx context.Context, token string, c api.Capability, namespace string) error
	// Caller tells who owns a token. The error is an api.Error with
	// CodeForbidden for a token that is unknown or has expired.
	Caller(ctx context.Context, token string) (*api.Caller, error)
	// Changed returns a channel that is closed when the answers about a token
	// may have become others: it expired, or tokens, policies or roles
	// changed. A nil channel says never; after ctx it may stay open.
	Changed(ctx context.Context, token string) <-chan struct{}
}

// AllowAll is the Authorizer of an agent without access control.
type AllowAll struct{}

// Authorize allows.
func (AllowAll) Authorize(context.Context, string, api.Capability, string) error { return nil }

// Caller knows nobody.
func (AllowAll) Caller(context.Context, string) (*api.Caller, error) {
	return &api.Caller{Kind: api.CallerAnonymous}, nil
}

// Changed is never.
func (AllowAll) Changed(context.Context, string) <-chan struct{} { return nil }

// Caller tells who owns a token.
func (s *Server) Caller(ctx context.Context, token string) (*api.Caller, error) {
	return s.cfg.Authorizer.Caller(ctx, token)
}

// While is for what goes on after a request was allowed: streams and sessions.
// It calls check at once and again whenever the token's rights may have
// changed. The context ends with ctx, or with the error of check as its cause.
// The caller must call the cancel function, which also ends the watching.
func (s *Server) While(ctx context.Context, token string, check func(context.Context) error) (context.Context, context.CancelFunc, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	changed := s.cfg.Authorizer.Changed(ctx, token) // before check, so that no change is missed
	if err := check(ctx); err != nil {
		cancel(nil)
		return nil, nil, err
	}
	if changed != nil {
		go func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-changed:
				}
				changed = s.cfg.Authorizer.Changed(ctx, token)
				if err := check(ctx); err != nil {
					cancel(err)
					return
				}
			}
		}()
	}
	return ctx, func() { cancel(nil) }, nil
}

// errRights ends waiting for who may do more or less than before.
var errRights = errors.New("the rights of the token changed")

// whileSame returns a context that ends when the policies of a token change,
// or the token ends.
func (s *Server) whileSame(ctx context.Context, token string) (context.Context, context.CancelFunc, error) {
	if !s.ACLEnabled() {
		return ctx, func() {}, nil
	}
	before, err := s.rights(ctx, token)
	if err != nil {
		return nil, nil, err
	}
	return s.While(ctx, token, func(ctx context.Context) error {
		now, err := s.rights(ctx, token)
		if err == nil && now.ACL != before.ACL { // the same policies make the same ACL
			err = errRights
		}
		return err
	})
}

func (s *Server) authorize(ctx context.Context, token string, c api.Capability, namespace string) error {
	return s.cfg.Authorizer.Authorize(ctx, token, c, namespace)
}

// visible returns which namespaces a read shows: the one asked for, which must
// be allowed, or for api.AllNamespaces every allowed one.
func (s *Server) visible(ctx context.Context, opts api.ListOptions, c api.Capability) (func(namespace string) bool, error) {
	if opts.Namespace != api.AllNamespaces {
		if err := s.authorize(ctx, opts.Token, c, opts.Namespace); err != nil {
			return nil, err
		}
		return func(ns string) bool { return ns == opts.Namespace }, nil
	}
	known := map[string]bool{}
	return func(ns string) bool {
		allowed, ok := known[ns]
		if !ok {
			allowed = s.authorize(ctx, opts.Token, c, ns) == nil
			known[ns] = allowed
		}
		return allowed
	}, nil
}

// seen authorises the reading of an object. One that the caller may not see
// gives the error that a missing one gives.
func (s *Server) seen(ctx context.Context, opts api.ListOptions, c api.Capability, namespace, noun string) error {
	return s.useOf(ctx, opts.Token, c, namespace, missing(noun))
}

// useOf authorises a use of an object that was found by an ID alone. Who may
// not even read it is answered absent, the error that a missing one gives, so
// that nobody learns of what is hidden from him. A token that is unknown or has
// expired is told so.
func (s *Server) useOf(ctx context.Context, token string, c api.Capability, namespace string, absent error) error {
	err := s.authorize(ctx, token, c, namespace)
	if api.ErrorCode(err) != api.CodeForbidden {
		return err
	}
	if err := s.known(ctx, token); err != nil {
		return err
	}
	if c != api.CapReadJob && s.authorize(ctx, token, api.CapReadJob, namespace) == nil {
		return err
	}
	return absent
}

// known refuses a token that is unknown or has expired.
func (s *Server) known(ctx context.Context, token string) error {
	_, err := s.cfg.Authorizer.Caller(ctx, token)
	return err
}
