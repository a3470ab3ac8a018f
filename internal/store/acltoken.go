package store

import (
	"bytes"
	"iter"
	"slices"
	"time"

	"github.com/drover-org/drover/api"
)

// ACLToken is a token as the state holds it: without its secret in clear.
type ACLToken struct {
	Token  *api.ACLToken // SecretID is empty; roles are linked by ID alone
	Hash   []byte        // of the secret, keyed: what a token is looked up by
	Sealed []byte        // the secret, for those who may see it
}

// OneTimeToken is good for one exchange against a token. Its secret is kept
// nowhere.
type OneTimeToken struct {
	Hash       []byte // of the secret, keyed
	AccessorID string // of the token
	ExpiresAt  time.Time
}

func lessToken(a, b *ACLToken) bool { return a.Token.AccessorID < b.Token.AccessorID }

func lessTokenHash(a, b *ACLToken) bool { return bytes.Compare(a.Hash, b.Hash) < 0 }

func lessOneTime(a, b *OneTimeToken) bool { return bytes.Compare(a.Hash, b.Hash) < 0 }

func (t *tables) aclToken(accessor string) *ACLToken {
	row, _ := t.aclTokens.Get(&ACLToken{Token: &api.ACLToken{AccessorID: accessor}})
	return row
}

// ACLToken returns a token by its accessor ID, or nil.
func (s *Snapshot) ACLToken(accessor string) *ACLToken { return s.aclToken(accessor) }

// ACLTokenByHash returns the token whose secret has a hash, or nil.
func (s *Snapshot) ACLTokenByHash(hash []byte) *ACLToken {
	row, _ := s.aclTokensHash.Get(&ACLToken{Hash: hash})
	return row
}

// ACLTokens yields every token by accessor ID.
func (s *Snapshot) ACLTokens() iter.Seq[*ACLToken] {
	return func(yield func(*ACLToken) bool) { s.aclTokens.Scan(yield) }
}

// OneTimeToken returns the one-time token whose secret has a hash, or nil.
func (s *Snapshot) OneTimeToken(hash []byte) *OneTimeToken {
	o, _ := s.oneTimeTokens.Get(&OneTimeToken{Hash: hash})
	return o
}

// OneTimeTokens yields every one-time token.
func (s *Snapshot) OneTimeTokens() iter.Seq[*OneTimeToken] {
	return func(yield func(*OneTimeToken) bool) { s.oneTimeTokens.Scan(yield) }
}

// ACLBootstrapIndex is the log index of the last bootstrap, 0 before the
// first.
func (s *Snapshot) ACLBootstrapIndex() uint64 { return s.aclBootstrap }

// BootstrapACL adds the first management token, once; again only when Reset is
// the index of the last bootstrap. The value is the token.
type BootstrapACL struct {
	Token *ACLToken
	Reset uint64
}

func (c *BootstrapACL) apply(t *tx) (any, error) {
	if t.aclBootstrap != 0 && c.Reset != t.aclBootstrap {
		return nil, invalid("ACL bootstrap already done (reset index: %d)", t.aclBootstrap)
	}
	token, err := t.putToken(c.Token)
	if err != nil {
		return nil, err
	}
	t.aclBootstrap = t.index
	return token, nil
}

// UpsertACLToken adds a token or replaces the one of the same accessor ID,
// whose secret, type and times stay. The value is the *api.ACLToken.
type UpsertACLToken struct {
	Token *ACLToken
}

func (c *UpsertACLToken) apply(t *tx) (any, error) { return t.putToken(c.Token) }

func (t *tx) putToken(row *ACLToken) (*api.ACLToken, error) {
	token := *row.Token
	next := &ACLToken{Token: &token, Hash: row.Hash, Sealed: row.Sealed}
	token.CreateIndex, token.ModifyIndex = t.index, t.index
	if old := t.aclToken(token.AccessorID); old != nil {
		o := old.Token
		token.CreateIndex, token.CreateTime, token.Type = o.CreateIndex, o.CreateTime, o.Type
		token.ExpirationTime, token.ExpirationTTL = o.ExpirationTime, o.ExpirationTTL
		next.Hash, next.Sealed = old.Hash, old.Sealed
	} else if _, taken := t.aclTokensHash.Get(next); taken {
		return nil, invalid("SecretID is the one of another token: choose another, or leave it out")
	}
	for _, link := range token.Roles {
		if _, ok := t.aclRoles.Get(&api.ACLRole{ID: link.ID}); !ok {
			return nil, invalid("Roles: there is no role with ID %q: create it first", link.ID)
		}
	}
	t.aclTokens.Set(next)
	t.aclTokensHash.Set(next)
	t.touchACLToken(token.AccessorID)
	t.changed(api.TopicACLToken, &token)
	return &token, nil
}

// DeleteACLToken deletes a token.
type DeleteACLToken struct {
	AccessorID string
}

func (c *DeleteACLToken) apply(t *tx) (any, error) {
	if t.aclToken(c.AccessorID) == nil {
		return nil, notFound("ACL token", c.AccessorID)
	}
	t.deleteACLToken(c.AccessorID)
	return nil, nil
}

func (t *tx) deleteACLToken(accessor string) {
	row := t.aclToken(accessor)
	t.aclTokens.Delete(row)
	t.aclTokensHash.Delete(row)
	t.touchACLToken(accessor)
	t.deleted(api.TopicACLToken, "ACLTokenDeleted", row.Token)
}

func (t *tx) touchACLToken(accessor string) {
	t.bump(TableACLTokens)
	t.touch(KeyACL(), KeyACLTokens(), KeyACLToken(accessor))
}

// MaxOneTimeTokens bounds how many one-time tokens wait for their exchange:
// who asks for ever more gets an error, not the servers' memory.
const MaxOneTimeTokens = 10_000

// AddOneTimeToken adds a one-time token.
type AddOneTimeToken struct {
	Token *OneTimeToken
	Now   int64
}

func (c *AddOneTimeToken) apply(t *tx) (any, error) {
	if t.oneTimeTokens.Len() >= MaxOneTimeTokens {
		t.dropOneTime(c.Now)
	}
	if t.oneTimeTokens.Len() >= MaxOneTimeTokens {
		return nil, api.Errorf(api.CodeLimited, "%d one-time tokens wait for their exchange already: try again in some minutes", MaxOneTimeTokens)
	}
	t.oneTimeTokens.Set(c.Token)
	return nil, nil
}

// dropOneTime deletes the one-time tokens that have expired.
func (t *tx) dropOneTime(now int64) {
	var gone []*OneTimeToken
	t.oneTimeTokens.Scan(func(o *OneTimeToken) bool {
		if o.ExpiresAt.UnixNano() <= now {
			gone = append(gone, o)
		}
		return true
	})
	for _, o := range gone {
		t.oneTimeTokens.Delete(o)
	}
}

// TakeOneTimeToken uses a one-time token up. The value is the token it stands
// for, a *ACLToken.
type TakeOneTimeToken struct {
	Hash []byte
	Now  int64
}

func (c *TakeOneTimeToken) apply(t *tx) (any, error) {
	forbidden := func() error { return &api.Error{Code: api.CodeForbidden, Message: "Permission denied"} }
	o, ok := t.oneTimeTokens.Get(&OneTimeToken{Hash: c.Hash})
	if !ok {
		return nil, forbidden()
	}
	t.oneTimeTokens.Delete(o)
	if o.ExpiresAt.UnixNano() <= c.Now {
		return (*ACLToken)(nil), nil // deleted all the same
	}
	return t.aclToken(o.AccessorID), nil
}

// ReapACL deletes tokens that have expired; others are passed over, and
// one-time tokens are found by the command itself.
type ReapACL struct {
	Tokens []string // accessor IDs
	Now    int64
}

func (c *ReapACL) apply(t *tx) (any, error) {
	if len(c.Tokens) > MaxReap {
		return nil, invalid("a deletion of %d objects is over the bound of %d: split it", len(c.Tokens), MaxReap)
	}
	for _, id := range slices.Compact(c.Tokens) {
		if row := t.aclToken(id); row != nil && row.Token.Expired(time.Unix(0, c.Now)) {
			t.deleteACLToken(id)
		}
	}
	t.dropOneTime(c.Now)
	return nil, nil
}

// MaxReseal is how many tokens one ResealACLTokens may hold.
const MaxReseal = 512

// ResealACLTokens replaces how tokens' secrets are sealed and hashed. Nothing
// else of the tokens changes, for nobody. Tokens that are gone, or whose
// secret was sealed by another key meanwhile, are passed over.
type ResealACLTokens struct {
	Key    string // ID of the root key that is to go
	Tokens []*ACLToken
}

func (c *ResealACLTokens) apply(t *tx) (any, error) {
	if len(c.Tokens) > MaxReseal {
		return nil, invalid("%d tokens are over the bound of %d: split them", len(c.Tokens), MaxReseal)
	}
	for _, row := range c.Tokens {
		old := t.aclToken(row.Token.AccessorID)
		if old == nil || !old.SealedWith(c.Key) {
			continue
		}
		next := &ACLToken{Token: old.Token, Hash: row.Hash, Sealed: row.Sealed}
		t.aclTokensHash.Delete(old)
		t.aclTokens.Set(next)
		t.aclTokensHash.Set(next)
	}
	return nil, nil
}

// SealedWith reports whether the row needs a root key.
func (r *ACLToken) SealedWith(key string) bool {
	for _, b := range [][]byte{r.Sealed, r.Hash} {
		if id, ok := api.SealedBy(b); ok && id.String() == key {
			return true
		}
	}
	return false
}
