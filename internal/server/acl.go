package server

import (
	"context"
	"regexp"
	"slices"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/auth"
	"github.com/drover-org/drover/internal/sso"
	"github.com/drover-org/drover/internal/store"
)

// ACL is what the use cases of policies, roles and tokens need.
type ACL struct {
	Rights Rights
	Sealer auth.Sealer
	Logins *sso.Logins
	MinTTL time.Duration // bounds of how long a token that expires may live
	MaxTTL time.Duration
	// ResetIndex returns the index an operator wrote down to allow another
	// bootstrap, 0 without.
	ResetIndex func() (uint64, error)
}

// Rights tells whose a secret is and what he may do; see auth.Resolver.
type Rights interface {
	Rights(ctx context.Context, secret string) (*auth.Rights, error)
	RightsOf(accessor string) (*auth.Rights, error)
}

// ACLEnabled reports whether there is access control.
func (s *Server) ACLEnabled() bool { return s.cfg.ACL != nil }

// aclOn returns an error when there is no access control.
func (s *Server) aclOn() error {
	if s.cfg.ACL == nil {
		return &api.Error{Code: api.CodeInvalid, Message: "ACL support disabled"}
	}
	return nil
}

// manages returns nil for the owner of a management token.
func (s *Server) manages(ctx context.Context, token string) error {
	if err := s.aclOn(); err != nil {
		return err
	}
	return s.authorize(ctx, token, api.CapManagement, "")
}

// rights returns whose a token is.
func (s *Server) rights(ctx context.Context, token string) (*auth.Rights, error) {
	if err := s.aclOn(); err != nil {
		return nil, err
	}
	return s.cfg.ACL.Rights.Rights(ctx, token)
}

// notYours refuses to show an object, the same whether it exists or not.
func notYours(noun, name string) error {
	return api.Errorf(api.CodeForbidden, "only a management token may read %s %q, or a token that has it: Permission denied", noun, name)
}

// Bounds of names and descriptions.
const (
	maxTokenName   = 256
	maxDescription = 256
)

var aclName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)

func checkACLName(noun, name string) error {
	if !aclName.MatchString(name) {
		return api.Errorf(api.CodeInvalid, "Name %q of a %s must have 1 to 128 letters, digits, - or _", name, noun)
	}
	return nil
}

func isID(s string) bool {
	_, ok := api.ParseID(s)
	return ok
}

func checkDescription(text string) error {
	if len(text) > maxDescription {
		return api.Errorf(api.CodeInvalid, "Description has %d bytes: at most %d", len(text), maxDescription)
	}
	return nil
}

// byName is the page of a list that is ordered by a name or an ID, which is
// its token; named tells whether there can be such a one.
func byName[T any](opts api.ListOptions, items []T, name func(T) string, named func(string) bool) ([]T, string, error) {
	if opts.NextToken != "" && !named(opts.NextToken) {
		return nil, "", badToken(opts.NextToken)
	}
	match, err := newFilter[T](opts.Filter)
	if err != nil {
		return nil, "", err
	}
	p := pager[T]{opts: opts, match: match, token: name}
	if start := opts.NextToken; start != "" {
		p.before = func(i T) bool { return name(i) < start != opts.Reverse && name(i) != start }
	}
	if opts.Reverse {
		slices.Reverse(items)
	}
	page, next := p.page(slices.Values(items))
	return slices.Collect(page), next, nil
}

// listACL reads a list of stubs by name; list gathers those the caller may see.
func listACL[T any](ctx context.Context, s *Server, opts api.ListOptions, key store.Key, table store.Table, name func(T) string, named func(string) bool, list func(*store.Snapshot, *auth.Rights) []T) ([]T, api.Meta, error) {
	if _, err := s.rights(ctx, opts.Token); err != nil {
		return nil, api.Meta{}, err
	}
	var next string
	out, meta, err := read(ctx, s, opts, []store.Key{key, store.KeyACL()}, func(snap *store.Snapshot) ([]T, uint64, error) {
		rights, err := s.rights(ctx, opts.Token)
		if err != nil {
			return nil, 0, err
		}
		var page []T
		page, next, err = byName(opts, list(snap, rights), name, named)
		return page, max(snap.TableIndex(table), 1), err
	})
	meta.NextToken = next
	return out, meta, err
}
