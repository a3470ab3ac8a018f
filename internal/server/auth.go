package server

import (
	"context"

	"github.com/drover-org/drover/api"
)

// Authorizer decides what the owner of a token may do.
type Authorizer interface {
	// Authorize returns nil, or an api.Error with CodeForbidden. It is asked
	// again for every use; an implementation caches.
	Authorize(ctx context.Context, token string, c api.Capability, namespace string) error
}

// AllowAll is the Authorizer of an agent without access control.
type AllowAll struct{}

// Authorize allows.
func (AllowAll) Authorize(context.Context, string, api.Capability, string) error { return nil }

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

// seen returns err, or for an object that the caller may not see the error
// that a missing one gives.
func (s *Server) seen(ctx context.Context, opts api.ListOptions, c api.Capability, namespace, noun string) error {
	err := s.authorize(ctx, opts.Token, c, namespace)
	if api.ErrorCode(err) == api.CodeForbidden {
		return missing(noun)
	}
	return err
}
