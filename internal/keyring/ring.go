package keyring

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/drover-org/drover/api"
)

// Source is where the wrapped keys are: the replicated state.
type Source interface {
	// RootKeys returns the keys, the newest first, and the index of their last
	// change. They are shared and must not be changed. It is called for every
	// use and must be cheap.
	RootKeys() (keys []*api.WrappedRootKey, index uint64)
	// AwaitRootKeys returns when the index of the last change is greater than
	// index, or when ctx ends.
	AwaitRootKeys(ctx context.Context, index uint64)
}

// Ring uses root keys. It is safe for concurrent use.
type Ring struct {
	own    *ServerKey
	others func() [][]byte
	source Source
	now    func() time.Time
	keys   atomic.Pointer[keys]
}

// NewRing returns the ring of the root keys in source, which are opened with a
// server's own key. others are the public keys of the other servers, as they
// are known; nil: there are none.
func NewRing(own *ServerKey, others func() [][]byte, source Source, now func() time.Time) *Ring {
	if others == nil {
		others = func() [][]byte { return nil }
	}
	r := &Ring{own: own, others: others, source: source, now: now}
	r.keys.Store(&keys{})
	return r
}

// keys are the root keys of one state of the source.
type keys struct {
	rows   []*api.WrappedRootKey // the newest first
	index  uint64
	active *ringKey
	byID   map[api.ID]*ringKey
	sorted []*ringKey // as rows
}

// ringKey is a root key of which at least the public part is known.
type ringKey struct {
	row    *api.WrappedRootKey
	secret *rootKey // nil: err says why
	err    error
	public crypto.PublicKey // nil: err says why
}

// current returns the keys as the source has them now.
func (r *Ring) current() *keys {
	rows, index := r.source.RootKeys()
	old := r.keys.Load()
	if old.index == index && len(old.rows) == len(rows) && (len(rows) == 0 || old.rows[0] == rows[0]) {
		return old
	}
	next := &keys{rows: rows, index: index, byID: make(map[api.ID]*ringKey, len(rows))}
	for _, row := range rows {
		id, ok := api.ParseID(row.KeyID)
		if !ok {
			continue // such a row can't get into the state
		}
		k := &ringKey{row: row}
		if known := old.byID[id]; known != nil && known.secret != nil {
			k.secret, k.public = known.secret, known.public // a key's material never changes
		} else {
			r.read(k)
		}
		next.byID[id] = k
		next.sorted = append(next.sorted, k)
		if row.State == api.RootKeyActive {
			next.active = k
		}
	}
	r.keys.Store(next) // others may have made the same meanwhile
	return next
}

func (r *Ring) read(k *ringKey) {
	k.secret, k.err = r.own.open(k.row)
	var err error
	if k.public, err = x509.ParsePKIXPublicKey(k.row.PublicKey); err != nil {
		k.err = errors.Join(k.err, fmt.Errorf("root key %s: %w", k.row.KeyID, err))
	}
}

// firstKeyWait is how long a use waits for the first key of a new region,
// which its first leader makes at once.
const firstKeyWait = 5 * time.Second

// active returns the key that seals and signs.
func (r *Ring) active(ctx context.Context) (*rootKey, error) {
	c := r.current()
	if c.active == nil {
		ctx, cancel := context.WithTimeout(ctx, firstKeyWait)
		defer cancel()
		for c.active == nil && ctx.Err() == nil {
			r.source.AwaitRootKeys(ctx, c.index)
			c = r.current()
		}
	}
	switch {
	case c.active == nil:
		return nil, api.Errorf(api.CodeUnavailable, "there is no root key yet: try again when a leader has made one")
	case c.active.secret == nil:
		return nil, api.Errorf(api.CodeUnavailable, "the active root key can't be used: %w", c.active.err)
	}
	return c.active.secret, nil
}

// Err tells why this server can't use a root key, or nil.
func (r *Ring) Err() error {
	var errs []error
	for _, k := range r.current().sorted {
		errs = append(errs, k.err)
	}
	return errors.Join(errs...)
}

// Seal encrypts with the active key. What it returns opens only with the same
// context, which says what the secret belongs to, like "acl-token/<accessor>".
func (r *Ring) Seal(ctx context.Context, context string, secret []byte) (sealed []byte, err error) {
	k, err := r.active(ctx)
	if err != nil {
		return nil, err
	}
	head := api.AppendSealedHeader(make([]byte, 0, api.SealedHeaderLen+k.aead.Overhead()+len(secret)), k.id)
	return k.aead.Seal(head, nil, secret, bound(head, context)), nil
}

// Open decrypts what Seal returned, with any key that is still there.
func (r *Ring) Open(context string, sealed []byte) (secret []byte, err error) {
	id, ok := api.SealedBy(sealed)
	if !ok {
		return nil, api.Errorf(api.CodeInternal, "%s: this is nothing that a root key sealed", context)
	}
	k := r.current().byID[id]
	switch {
	case k == nil:
		return nil, api.Errorf(api.CodeUnavailable, "%s was sealed by root key %s, which is gone", context, id)
	case k.secret == nil:
		return nil, api.Errorf(api.CodeUnavailable, "%s can't be opened: %w", context, k.err)
	}
	head, body := sealed[:api.SealedHeaderLen], sealed[api.SealedHeaderLen:]
	if secret, err = k.secret.aead.Open(nil, nil, body, bound(head, context)); err != nil {
		return nil, api.Errorf(api.CodeInternal, "%s does not open with root key %s: it was changed, or sealed for something else", context, id)
	}
	return secret, nil
}

// bound is the additional data of what is sealed.
func bound(head []byte, context string) []byte {
	return append(append(make([]byte, 0, len(head)+len(context)), head...), context...)
}

// Hash names a secret without telling it: the same secret gives the same name
// under the same key. The active key makes it.
func (r *Ring) Hash(ctx context.Context, context string, secret []byte) ([]byte, error) {
	k, err := r.active(ctx)
	if err != nil {
		return nil, err
	}
	return k.hash(context, secret), nil
}

// Hashes returns the names that Hash may have given to a secret, the active
// key's first: what to look up.
func (r *Ring) Hashes(context string, secret []byte) [][]byte {
	c := r.current()
	out := make([][]byte, 0, len(c.sorted))
	if c.active != nil && c.active.secret != nil {
		out = append(out, c.active.secret.hash(context, secret))
	}
	for _, k := range c.sorted {
		if k != c.active && k.secret != nil && k.row.State != api.RootKeyPrepublished {
			out = append(out, k.secret.hash(context, secret))
		}
	}
	return out
}

func (k *rootKey) hash(context string, secret []byte) []byte {
	mac := hmac.New(sha256.New, k.mac)
	_, _ = mac.Write(append([]byte(context), 0)) // a hash never fails
	_, _ = mac.Write(secret)
	return mac.Sum(api.AppendSealedHeader(nil, k.id))
}

// NewKey makes a root key for this region, wrapped for its servers. It is not
// in use before it is in the state.
func (r *Ring) NewKey(id, signing string) (*api.WrappedRootKey, error) {
	return New(id, r.now(), signing, append(r.others(), r.own.Public())...)
}

// Rewrap returns the forms of a root key for the servers that it is not yet
// wrapped for, by the IDs of their keys. It is for whoever can open the key.
func (r *Ring) Rewrap(row *api.WrappedRootKey) (map[string][]byte, error) {
	var out map[string][]byte
	for _, public := range r.others() {
		p, err := kem().NewPublicKey(public)
		if err != nil {
			return nil, fmt.Errorf("public part of a server key: %w", err)
		}
		if row.Wrapped[recipient(p)] != nil {
			continue
		}
		material, err := r.own.material(row)
		if err != nil {
			return nil, err
		}
		to, wrapped, err := wrap(public, row.KeyID, material)
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = map[string][]byte{}
		}
		out[to] = wrapped
	}
	return out, nil
}
