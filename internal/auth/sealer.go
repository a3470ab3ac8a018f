package auth

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Sealer keeps secrets. It is safe for concurrent use. Each secret has a label
// that says what it belongs to; under another one it neither opens nor is
// found.
type Sealer interface {
	// Seal encrypts and authenticates. ctx bounds waiting for a key.
	Seal(ctx context.Context, label string, secret []byte) ([]byte, error)
	// Open returns what was sealed. The error is for what was not sealed with
	// a key that is still there, or has been changed.
	Open(label string, sealed []byte) ([]byte, error)
	// Hash returns what a secret is kept under, which tells nothing of it to
	// who lacks the key.
	Hash(ctx context.Context, label string, secret []byte) ([]byte, error)
	// Hashes returns what Hash may have given, the likeliest first: it changes
	// when keys do.
	Hashes(label string, secret []byte) [][]byte
}

// Labels of what is hashed. What is sealed has the label of a token, see
// SealLabel.
const (
	LabelToken   = "acl-token"
	LabelOneTime = "acl-one-time-token"
)

// SealLabel is the label a token's secret is sealed under.
func SealLabel(accessor string) string { return LabelToken + "/" + accessor }

// keySize is the length of a key in bytes.
const keySize = 32

// Key is a Sealer with one key: HMAC-SHA256 and AES-256-GCM, each with a key
// derived from it.
type Key struct {
	hash []byte
	aead cipher.AEAD
}

// NewKey returns a Key that is kept nowhere.
func NewKey() (*Key, error) {
	raw := make([]byte, keySize)
	if _, err := rand.Read(raw); err != nil {
		return nil, err
	}
	return derive(raw)
}

// OpenKey returns the Key of a file that only its owner can read, making it at
// its first use.
func OpenKey(path string) (*Key, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if raw, err = makeKey(path); err != nil {
			return nil, fmt.Errorf("make the key of ACL tokens: %w", err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read the key of ACL tokens: %w", err)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("the key of ACL tokens, %s, can be read by others (mode %04o): run chmod 600 on it, and bootstrap again if somebody may have read it", path, info.Mode().Perm())
	case len(raw) != keySize:
		return nil, fmt.Errorf("the key of ACL tokens, %s, has %d bytes instead of %d: it is damaged; restore it from a backup", path, len(raw), keySize)
	}
	return derive(raw)
}

// makeKey writes a new key so that a crash leaves all of it or nothing.
func makeKey(path string) (raw []byte, err error) {
	raw = make([]byte, keySize)
	if _, err := rand.Read(raw); err != nil {
		return nil, err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, ".key-*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return nil, err
	}
	return raw, syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func derive(raw []byte) (*Key, error) {
	hash, err := hkdf.Key(sha256.New, raw, nil, "drover acl token hash", keySize)
	if err != nil {
		return nil, err
	}
	seal, err := hkdf.Key(sha256.New, raw, nil, "drover acl token seal", keySize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(seal)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &Key{hash: hash, aead: aead}, nil
}

// Seal implements Sealer.
func (k *Key) Seal(_ context.Context, label string, secret []byte) ([]byte, error) {
	return k.aead.Seal(nil, nil, secret, []byte(label)), nil
}

// Open implements Sealer.
func (k *Key) Open(label string, sealed []byte) ([]byte, error) {
	return k.aead.Open(nil, nil, sealed, []byte(label))
}

// Hash implements Sealer.
func (k *Key) Hash(_ context.Context, label string, secret []byte) ([]byte, error) {
	return k.sum(label, secret), nil
}

// Hashes implements Sealer.
func (k *Key) Hashes(label string, secret []byte) [][]byte { return [][]byte{k.sum(label, secret)} }

func (k *Key) sum(label string, secret []byte) []byte {
	m := hmac.New(sha256.New, k.hash)
	_, _ = m.Write(append([]byte(label), 0))
	_, _ = m.Write(secret)
	return m.Sum(nil)
}
