package store

import (
	"context"
	"iter"
	"maps"
	"slices"

	"github.com/drover-org/drover/api"
)

// maxRootKeys bounds the keys there are at a time: with the longest-lived
// allocations and a key a month this is five years.
const maxRootKeys = 64

// RootKeys returns the root keys, the newest first, and the index of their
// last change. They are wrapped: the state holds no key in clear.
func (s *Snapshot) RootKeys() ([]*api.WrappedRootKey, uint64) {
	return s.rootKeys, s.indexes[TableRootKeys]
}

// RootKeys returns the newest snapshot's.
func (s *Store) RootKeys() ([]*api.WrappedRootKey, uint64) { return s.Snapshot().RootKeys() }

// AwaitRootKeys returns when the root keys have changed after index, or when
// ctx ends.
func (s *Store) AwaitRootKeys(ctx context.Context, index uint64) {
	for {
		w := s.Watch(KeyRootKeys())
		if _, at := s.RootKeys(); at > index {
			w.Close()
			return
		}
		select {
		case <-w.C():
		case <-ctx.Done():
			w.Close()
			return
		}
	}
}

func (t *tx) rootKey(id string) (int, *api.WrappedRootKey) {
	i := slices.IndexFunc(t.rootKeys, func(k *api.WrappedRootKey) bool { return k.KeyID == id })
	if i < 0 {
		return i, nil
	}
	return i, t.rootKeys[i]
}

// setRootKeys replaces the list; rows in it that were changed are new ones.
func (t *tx) setRootKeys(keys []*api.WrappedRootKey) {
	t.rootKeys = keys
	t.bump(TableRootKeys)
	t.touch(KeyRootKeys())
}

// changed returns a copy of a row to edit, as changed by this command.
func (t *tx) changedRootKey(k *api.WrappedRootKey) *api.WrappedRootKey {
	c := *k
	c.ModifyIndex = t.index
	return &c
}

// PutRootKey adds a root key. One that is active takes the place of the one
// that was; with Full what that one and older ones sealed is to be sealed
// again. One that is prepublished takes the place of a prepublished one.
type PutRootKey struct {
	Key  *api.WrappedRootKey
	Full bool
	Now  int64
}

func (c *PutRootKey) apply(t *tx) (any, error) {
	if _, ok := api.ParseID(c.Key.KeyID); !ok {
		return nil, invalid("root key ID %q is not a UUID", c.Key.KeyID)
	}
	if _, old := t.rootKey(c.Key.KeyID); old != nil {
		return nil, invalid("root key %s exists", c.Key.KeyID)
	}
	k := *c.Key
	k.CreateIndex, k.ModifyIndex = t.index, t.index
	keys := []*api.WrappedRootKey{&k}
	switch k.State {
	case api.RootKeyActive:
		keys = append(keys, t.retired(c.Full, c.Now)...)
	case api.RootKeyPrepublished:
		for _, other := range t.rootKeys {
			if other.State != api.RootKeyPrepublished {
				keys = append(keys, other)
			}
		}
	default:
		return nil, invalid("a root key can't begin as %q", k.State)
	}
	if len(keys) > maxRootKeys {
		return nil, api.Errorf(api.CodeLimited, "there are %d root keys already: remove inactive ones first", maxRootKeys)
	}
	t.setRootKeys(keys)
	return nil, nil
}

// retired returns the keys as they are after another one became active.
func (t *tx) retired(full bool, now int64) []*api.WrappedRootKey {
	keys := slices.Clone(t.rootKeys)
	for i, k := range keys {
		if k.State == api.RootKeyPrepublished {
			continue
		}
		next := api.RootKeyInactive
		if full || k.State == api.RootKeyRekeying {
			next = api.RootKeyRekeying
		}
		if k.State == next {
			continue
		}
		c := t.changedRootKey(k)
		if c.State = next; c.InactiveTime == 0 {
			c.InactiveTime = now
		}
		keys[i] = c
	}
	return keys
}

// ActivateRootKey makes a prepublished root key the active one.
type ActivateRootKey struct {
	KeyID string
	Now   int64
}

func (c *ActivateRootKey) apply(t *tx) (any, error) {
	i, k := t.rootKey(c.KeyID)
	if k == nil || k.State != api.RootKeyPrepublished {
		return nil, nil // activated or replaced meanwhile
	}
	keys := t.retired(false, c.Now)
	keys[i] = t.changedRootKey(k)
	keys[i].State = api.RootKeyActive
	t.setRootKeys(keys)
	return nil, nil
}

// WrapRootKey adds forms of a root key that are wrapped for further servers, by
// the IDs of their server keys.
type WrapRootKey struct {
	KeyID   string
	Wrapped map[string][]byte
}

// maxWrapped bounds the servers that a root key is wrapped for, those that
// went included.
const maxWrapped = 64

func (c *WrapRootKey) apply(t *tx) (any, error) {
	i, k := t.rootKey(c.KeyID)
	if k == nil {
		return nil, nil // removed meanwhile
	}
	next := t.changedRootKey(k)
	next.Wrapped = maps.Clone(k.Wrapped)
	if next.Wrapped == nil {
		next.Wrapped = map[string][]byte{}
	}
	for server, wrapped := range c.Wrapped {
		if next.Wrapped[server] == nil && len(next.Wrapped) >= maxWrapped {
			return nil, api.Errorf(api.CodeLimited, "root key %s is wrapped for %d servers already: rotate the keyring", c.KeyID, maxWrapped)
		}
		next.Wrapped[server] = wrapped
	}
	keys := slices.Clone(t.rootKeys)
	keys[i] = next
	t.setRootKeys(keys)
	return nil, nil
}

// RetireRootKey ends the rekeying of a root key that seals nothing any more.
type RetireRootKey struct {
	KeyID string
}

func (c *RetireRootKey) apply(t *tx) (any, error) {
	i, k := t.rootKey(c.KeyID)
	if k == nil || k.State != api.RootKeyRekeying || t.sealedWith(c.KeyID) != "" {
		return nil, nil
	}
	keys := slices.Clone(t.rootKeys)
	keys[i] = t.changedRootKey(k)
	keys[i].State = api.RootKeyInactive
	t.setRootKeys(keys)
	return nil, nil
}

// DeleteRootKey removes a root key for good. The active key stays, and without
// Force every key that something in the state is sealed or hashed with.
type DeleteRootKey struct {
	KeyID string
	Force bool
}

func (c *DeleteRootKey) apply(t *tx) (any, error) {
	i, k := t.rootKey(c.KeyID)
	switch {
	case k == nil:
		return nil, notFound("root key", c.KeyID)
	case k.State == api.RootKeyActive:
		return nil, invalid("root key %s is active and can't be removed: rotate the keyring first", c.KeyID)
	}
	if !c.Force {
		if use := t.rootKeyUse(c.KeyID); use != "" {
			return nil, api.Errorf(api.CodeConflict, "root key %s is in use by %s: rotate with \"full\" and wait until nothing uses it, or force the removal, which loses what it sealed", c.KeyID, use)
		}
	}
	t.setRootKeys(slices.Delete(slices.Clone(t.rootKeys), i, i+1))
	return nil, nil
}

// sealed yields everything that is sealed or hashed with a root key, and what
// it belongs to.
func (t *tables) sealed() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		more := true
		t.aclTokens.Scan(func(row *ACLToken) bool {
			what := "ACL token " + row.Token.AccessorID
			more = yield(what, row.Sealed) && yield(what, row.Hash)
			return more
		})
		if more {
			t.oneTimeTokens.Scan(func(row *OneTimeToken) bool { return yield("a one-time token of ACL token "+row.AccessorID, row.Hash) })
		}
	}
}

// sealedWith names something that a root key sealed or hashed, "" when there
// is nothing.
func (t *tables) sealedWith(id string) string {
	for what, value := range t.sealed() {
		if key, ok := api.SealedBy(value); ok && key.String() == id {
			return what
		}
	}
	return ""
}

// RootKeySeals names something that a root key sealed or hashed, "" when there
// is nothing.
func (s *Snapshot) RootKeySeals(id string) string { return s.sealedWith(id) }

// RootKeyUse names something that is lost without a root key, "" when there
// is nothing.
func (s *Snapshot) RootKeyUse(id string) string { return s.rootKeyUse(id) }

// rootKeyUse looks at what the state holds sealed, and at the allocations that
// may hold an identity: those that were there before the key signed its last.
func (t *tables) rootKeyUse(id string) string {
	i := slices.IndexFunc(t.rootKeys, func(k *api.WrappedRootKey) bool { return k.KeyID == id })
	if i < 0 || t.rootKeys[i].State == api.RootKeyPrepublished {
		return ""
	}
	if use := t.sealedWith(id); use != "" {
		return use
	}
	use, until := "", t.rootKeys[i].InactiveTime
	t.allocsCreated.Scan(func(a *api.Allocation) bool {
		if a.CreateTime > until && until != 0 {
			return false // the later ones are younger
		}
		if !a.ClientTerminal() {
			use = "the identities of allocation " + a.ID
		}
		return use == ""
	})
	return use
}
