package keyring

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/drover-org/drover/api"
)

const (
	seedBytes = 32
	rsaBits   = 2048 // what consumers of RS256 all accept
)

// material is the secret part of a root key, as it is wrapped.
type material struct {
	Seed []byte
	RSA  []byte `json:",omitempty"` // PKCS #8, of a key that signs with RS256
}

// New makes a root key and wraps it for the servers whose public keys are
// given. The ID, the state and the time are the caller's.
func New(id string, now time.Time, signing string, servers ...[]byte) (*api.WrappedRootKey, error) {
	m := material{Seed: make([]byte, seedBytes)}
	_, _ = rand.Read(m.Seed) // never fails: crypto/rand aborts the process instead
	if signing == api.SigningRS256 {
		private, err := rsa.GenerateKey(rand.Reader, rsaBits)
		if err != nil {
			return nil, fmt.Errorf("make root key: %w", err)
		}
		if m.RSA, err = x509.MarshalPKCS8PrivateKey(private); err != nil {
			return nil, fmt.Errorf("make root key: %w", err)
		}
	}
	row := &api.WrappedRootKey{
		RootKey: api.RootKey{KeyID: id, Algorithm: api.AlgorithmAES256GCM, SigningAlgorithm: signing, CreateTime: now.UnixNano()},
		Wrapped: map[string][]byte{},
	}
	k, err := m.rootKey(row)
	if err != nil {
		return nil, err
	}
	if row.PublicKey, err = x509.MarshalPKIXPublicKey(k.private.Public()); err != nil {
		return nil, fmt.Errorf("make root key: %w", err)
	}
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("make root key: %w", err)
	}
	for _, public := range servers {
		to, wrapped, err := wrap(public, id, b)
		if err != nil {
			return nil, err
		}
		row.Wrapped[to] = wrapped
	}
	return row, nil
}

// rootKey is a key that was unwrapped. It never changes.
type rootKey struct {
	id      api.ID
	aead    cipher.AEAD // takes care of nonces
	mac     []byte
	private crypto.Signer
	signer  jose.Signer
}

// material unwraps what a root key is made of.
func (k *ServerKey) material(row *api.WrappedRootKey) ([]byte, error) {
	wrapped := row.Wrapped[k.id]
	if wrapped == nil {
		return nil, fmt.Errorf("root key %s is not wrapped for this server's key %s: the leader does that for a server that joined; otherwise restore the file that held the server's key when root keys were made", row.KeyID, k.id)
	}
	return k.unwrap(row.KeyID, wrapped)
}

// open unwraps a root key.
func (k *ServerKey) open(row *api.WrappedRootKey) (*rootKey, error) {
	b, err := k.material(row)
	if err != nil {
		return nil, err
	}
	var m material
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("root key %s: %w", row.KeyID, err)
	}
	r, err := m.rootKey(row)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(r.private.Public())
	if err != nil || !bytes.Equal(public, row.PublicKey) {
		return nil, fmt.Errorf("root key %s: its public part is another key's", row.KeyID)
	}
	return r, nil
}

// rootKey derives what the material is for.
func (m *material) rootKey(row *api.WrappedRootKey) (*rootKey, error) {
	id, ok := api.ParseID(row.KeyID)
	if !ok {
		return nil, fmt.Errorf("root key ID %q is not a UUID", row.KeyID)
	}
	if row.Algorithm != api.AlgorithmAES256GCM {
		return nil, fmt.Errorf("root key %s: this version does not know the algorithm %q", row.KeyID, row.Algorithm)
	}
	if len(m.Seed) != seedBytes {
		return nil, fmt.Errorf("root key %s: its material is damaged", row.KeyID)
	}
	k := &rootKey{id: id}
	seal, err := m.derive("seal")
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(seal)
	if err != nil {
		return nil, err
	}
	if k.aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return nil, err
	}
	if k.mac, err = m.derive("hash"); err != nil {
		return nil, err
	}
	switch row.SigningAlgorithm {
	case api.SigningEdDSA:
		seed, err := m.derive("sign")
		if err != nil {
			return nil, err
		}
		k.private = ed25519.NewKeyFromSeed(seed)
	case api.SigningRS256:
		private, err := x509.ParsePKCS8PrivateKey(m.RSA)
		if err != nil {
			return nil, fmt.Errorf("root key %s: %w", row.KeyID, err)
		}
		if k.private, ok = private.(*rsa.PrivateKey); !ok {
			return nil, fmt.Errorf("root key %s holds a %T where an RSA key was expected", row.KeyID, private)
		}
	default:
		return nil, fmt.Errorf("root key %s: this version does not know the signing algorithm %q", row.KeyID, row.SigningAlgorithm)
	}
	k.signer, err = jose.NewSigner(jose.SigningKey{
		Algorithm: jose.SignatureAlgorithm(row.SigningAlgorithm), Key: jose.JSONWebKey{Key: k.private, KeyID: row.KeyID},
	}, (&jose.SignerOptions{}).WithType("JWT"))
	return k, err
}

// derive makes a key of 32 bytes for one purpose.
func (m *material) derive(purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, m.Seed, nil, "drover root key: "+purpose, 32)
}
