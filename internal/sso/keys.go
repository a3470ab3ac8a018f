package sso

import (
	"context"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/go-jose/go-jose/v4"
)

// minRSABits is the shortest RSA key that is believed.
const minRSABits = 2048

// keySource gives the public keys that may have signed a token. With fresh it
// asks anew, if that is not too soon.
type keySource interface {
	keys(ctx context.Context, fresh bool) ([]jose.JSONWebKey, error)
}

// fixedKeys are the keys that a method itself holds.
type fixedKeys []jose.JSONWebKey

func (f fixedKeys) keys(context.Context, bool) ([]jose.JSONWebKey, error) { return f, nil }

func newFixedKeys(texts []string) (fixedKeys, error) {
	var out fixedKeys
	for _, text := range texts {
		key, err := api.ParsePublicKey(text)
		if err != nil {
			return nil, err
		}
		out = append(out, jose.JSONWebKey{Key: key})
	}
	return out, nil
}

// Ages of keys that came from elsewhere.
const (
	keysOld  = time.Hour       // asked for again, so that a key that was taken back is forgotten
	keysSoon = 5 * time.Second // not asked for again, whatever tokens come
)

// remoteKeys are the keys behind a URL. They are fetched when they are needed
// first, when they are old and when a token names an unknown one.
type remoteKeys struct {
	url    string
	client *http.Client
	now    func() time.Time

	mu    sync.Mutex // held while fetching, so that those who wait share one answer
	known []jose.JSONWebKey
	asked time.Time // of the last try
	got   time.Time // of the last success
	err   error     // of the last try
}

func (k *remoteKeys) keys(ctx context.Context, fresh bool) ([]jose.JSONWebKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	old := k.got.IsZero() || now.Sub(k.got) >= keysOld
	if (fresh || old) && (k.asked.IsZero() || now.Sub(k.asked) >= keysSoon) {
		k.asked = now
		keys, err := k.fetch(ctx)
		if k.err = err; err == nil {
			k.known, k.got = keys, now
		}
	}
	if k.err != nil && (k.got.IsZero() || now.Sub(k.got) >= keysOld) {
		return nil, k.err
	}
	return k.known, nil
}

// fetch does not end with the request that caused it: others wait for it too.
func (k *remoteKeys) fetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	resp, err := k.client.Do(r)
	if err != nil {
		return nil, unavailable("the keys of the identity provider could not be read", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, unavailable("the keys of the identity provider could not be read", errors.New(resp.Status))
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&set); err != nil {
		return nil, unavailable("the keys of the identity provider could not be read", err)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) == nil && key.Valid() && key.IsPublic() && (key.Use == "" || key.Use == "sig") {
			keys = append(keys, key) // of a kind that is not known here: passed over
		}
	}
	if len(keys) == 0 {
		return nil, unavailable("the keys of the identity provider could not be read", fmt.Errorf("%s holds no public key for signatures", k.url))
	}
	return keys, nil
}

// verifySignature returns the payload of a token that one of the source's keys
// signed with one of algs.
func verifySignature(ctx context.Context, source keySource, token string, algs []jose.SignatureAlgorithm) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(token, algs)
	if err != nil || len(jws.Signatures) != 1 {
		return nil, refused("it is not a signed token of the form header.payload.signature, or is signed with none of %v", algs)
	}
	kid := jws.Signatures[0].Header.KeyID
	for _, fresh := range []bool{false, true} {
		keys, err := source.keys(ctx, fresh)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			if kid != "" && key.KeyID != "" && kid != key.KeyID || !strong(key.Key) {
				continue
			}
			if payload, err := jws.Verify(key.Key); err == nil {
				return payload, nil
			}
		}
	}
	return nil, refused("its signature is of none of the known keys")
}

func strong(key any) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() >= minRSABits
	case ed25519.PublicKey:
		return len(k) == ed25519.PublicKeySize
	case []byte:
		return false
	}
	return true
}
