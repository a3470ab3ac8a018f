package keyring

import (
	"crypto/hpke"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ServerKey is the key pair of one server to which root keys are wrapped. It
// is not part of the replicated state.
type ServerKey struct {
	id      string
	private hpke.PrivateKey
}

// kem also withstands those who record wrapped keys today to break them with
// a quantum computer: logs and backups are kept long.
func kem() hpke.KEM { return hpke.MLKEM768X25519() }

// keyFileHead is the first line of a key file.
const keyFileHead = "drover-server-key-1"

// NewServerKey makes a key that lives as long as the process.
func NewServerKey() (*ServerKey, error) {
	private, err := kem().GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("make server key: %w", err)
	}
	return serverKey(private), nil
}

// OpenServerKey reads the key in a file, or makes one and keeps it there. A
// file that others may read is refused.
func OpenServerKey(path string) (*ServerKey, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return createServerKey(path)
	case err != nil:
		return nil, fmt.Errorf("server key: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("server key %s is not a regular file: replace it by the file itself", path)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("server key %s can be read by others (mode %04o): set it to 0600 and rotate the root keys", path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("server key: %w", err)
	}
	damaged := fmt.Errorf("server key %s is damaged: restore it from a backup; without it the secrets in the state can't be opened", path)
	head, body, ok := strings.Cut(strings.TrimSpace(string(text)), "\n")
	if !ok || head != keyFileHead {
		return nil, damaged
	}
	b, err := base64.StdEncoding.DecodeString(body)
	if err != nil {
		return nil, damaged
	}
	private, err := kem().NewPrivateKey(b)
	if err != nil {
		return nil, damaged
	}
	return serverKey(private), nil
}

func createServerKey(path string) (*ServerKey, error) {
	k, err := NewServerKey()
	if err != nil {
		return nil, err
	}
	b, err := k.private.Bytes()
	if err != nil {
		return nil, fmt.Errorf("make server key: %w", err)
	}
	text := keyFileHead + "\n" + base64.StdEncoding.EncodeToString(b) + "\n"
	if err := writeSecret(path, text); err != nil {
		return nil, fmt.Errorf("keep server key: %w", err)
	}
	return k, nil
}

// writeSecret puts a file for the owner alone in place, whole and durable:
// what is encrypted to the key may be in the log a moment later.
func writeSecret(path, text string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func serverKey(private hpke.PrivateKey) *ServerKey {
	return &ServerKey{id: recipient(private.PublicKey()), private: private}
}

// recipient is the ID of a server key: the beginning of its public part's hash.
func recipient(public hpke.PublicKey) string {
	sum := sha256.Sum256(public.Bytes())
	return hex.EncodeToString(sum[:8])
}

// ID names the key.
func (k *ServerKey) ID() string { return k.id }

// Public returns the part of the key that others wrap to.
func (k *ServerKey) Public() []byte { return k.private.PublicKey().Bytes() }

// wrap encrypts a root key's material to a server's public key and returns
// that key's ID with it.
func wrap(public []byte, keyID string, material []byte) (id string, wrapped []byte, err error) {
	p, err := kem().NewPublicKey(public)
	if err != nil {
		return "", nil, fmt.Errorf("public part of a server key: %w", err)
	}
	wrapped, err = hpke.Seal(p, hpke.HKDFSHA256(), hpke.AES256GCM(), wrapInfo(keyID), material)
	if err != nil {
		return "", nil, fmt.Errorf("wrap root key %s: %w", keyID, err)
	}
	return recipient(p), wrapped, nil
}

func (k *ServerKey) unwrap(keyID string, wrapped []byte) ([]byte, error) {
	b, err := hpke.Open(k.private, hpke.HKDFSHA256(), hpke.AES256GCM(), wrapInfo(keyID), wrapped)
	if err != nil {
		return nil, fmt.Errorf("unwrap root key %s: %w", keyID, err)
	}
	return b, nil
}

// wrapInfo binds wrapped material to its row.
func wrapInfo(keyID string) []byte { return []byte("drover root key " + keyID) }
