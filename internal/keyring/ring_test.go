package keyring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/drover-org/drover/api"
)

// state is a Source that holds what a test puts there.
type state struct {
	mu      sync.Mutex
	rows    []*api.WrappedRootKey
	index   uint64
	changed chan struct{}
}

func newState() *state { return &state{changed: make(chan struct{})} }

func (s *state) RootKeys() ([]*api.WrappedRootKey, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rows, s.index
}

func (s *state) AwaitRootKeys(ctx context.Context, index uint64) {
	s.mu.Lock()
	changed, at := s.changed, s.index
	s.mu.Unlock()
	if at > index {
		return
	}
	select {
	case <-changed:
	case <-ctx.Done():
	}
}

func (s *state) set(rows []*api.WrappedRootKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows, s.index = rows, s.index+1
	close(s.changed)
	s.changed = make(chan struct{})
}

// rotate puts a new active key in front.
func (s *state) rotate(k *api.WrappedRootKey) {
	rows := []*api.WrappedRootKey{k}
	k.State = api.RootKeyActive
	old, _ := s.RootKeys()
	for _, o := range old {
		c := *o
		if c.State == api.RootKeyActive {
			c.State = api.RootKeyInactive
		}
		rows = append(rows, &c)
	}
	s.set(rows)
}

var start = time.Date(2026, 11, 24, 20, 0, 0, 0, time.UTC)

type fataler interface {
	Helper()
	Fatal(...any)
}

func newRing(t fataler, s *state) (*Ring, *ServerKey) {
	t.Helper()
	own, err := NewServerKey()
	if err != nil {
		t.Fatal(err)
	}
	return NewRing(own, nil, s, func() time.Time { return start }), own
}

func newKey(t fataler, r *Ring, signing string) *api.WrappedRootKey {
	t.Helper()
	k, err := r.NewKey(api.NewID(), signing)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Whatever the order of rotations and removals: what was sealed, hashed and
// signed stays good exactly as long as its key is there, and is good for
// nothing else.
func TestRingAcrossRotations(t *testing.T) {
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		src := newState()
		ring, own := newRing(t, src)
		src.rotate(newKey(t, ring, api.SigningEdDSA))
		type item struct {
			context      string
			secret       []byte
			sealed, hash []byte
			token        string
			key          string
		}
		var items []item
		gone := map[string]bool{}
		active := func() string { rows, _ := src.RootKeys(); return rows[0].KeyID }
		t.Repeat(map[string]func(*rapid.T){
			"rotate": func(t *rapid.T) { src.rotate(newKey(t, ring, api.SigningEdDSA)) },
			"remove": func(t *rapid.T) {
				rows, _ := src.RootKeys()
				if len(rows) < 2 {
					return // the active key stays
				}
				i := rapid.IntRange(1, len(rows)-1).Draw(t, "key")
				gone[rows[i].KeyID] = true
				src.set(slices.Delete(slices.Clone(rows), i, i+1))
			},
			"restart": func(*rapid.T) { ring = NewRing(own, nil, src, func() time.Time { return start }) },
			"use": func(t *rapid.T) {
				it := item{
					context: "row/" + rapid.StringN(0, 8, 20).Draw(t, "context"),
					secret:  rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "secret"),
					key:     active(),
				}
				var err1, err2, err3 error
				it.sealed, err1 = ring.Seal(ctx, it.context, it.secret)
				it.hash, err2 = ring.Hash(ctx, it.context, it.secret)
				it.token, err3 = ring.Sign(ctx, map[string]any{"sub": it.context})
				if err := errors.Join(err1, err2, err3); err != nil {
					t.Fatal(err)
				}
				items = append(items, it)
			},
			"": func(t *rapid.T) {
				for _, it := range items {
					if id, ok := api.SealedBy(it.sealed); !ok || id.String() != it.key {
						t.Fatal("the envelope names another key")
					}
					secret, err := ring.Open(it.context, it.sealed)
					if (err == nil) == gone[it.key] || err == nil && !bytes.Equal(secret, it.secret) {
						t.Fatalf("key gone: %v, open: %v", gone[it.key], err)
					}
					if _, err := ring.Open(it.context+"x", it.sealed); err == nil {
						t.Fatal("opened in another context")
					}
					found := slices.ContainsFunc(ring.Hashes(it.context, it.secret), func(h []byte) bool { return bytes.Equal(h, it.hash) })
					if found == gone[it.key] {
						t.Fatalf("key gone: %v, found by hash: %v", gone[it.key], found)
					}
					var claims struct {
						Sub string `json:"sub"`
					}
					if err := ring.Verify(it.token, &claims); (err == nil) == gone[it.key] || err == nil && claims.Sub != it.context {
						t.Fatalf("key gone: %v, verify: %v", gone[it.key], err)
					}
				}
			},
		})
	})
}

// A bit that is changed anywhere makes a sealed secret worthless.
func TestSealedSecretsDoNotBend(t *testing.T) {
	src := newState()
	ring, _ := newRing(t, src)
	src.rotate(newKey(t, ring, api.SigningEdDSA))
	sealed, err := ring.Seal(t.Context(), "c", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		bent := slices.Clone(sealed)
		bent[i] ^= 1
		if _, err := ring.Open("c", bent); err == nil {
			t.Errorf("byte %d was changed unnoticed", i)
		}
	}
	for n := range sealed {
		if _, err := ring.Open("c", sealed[:n]); err == nil {
			t.Errorf("opened the first %d bytes", n)
		}
	}
	again, err := ring.Seal(t.Context(), "c", []byte("secret"))
	if err != nil || bytes.Equal(sealed, again) {
		t.Errorf("sealing the same twice gives the same: %v", err)
	}
}

func TestFirstKeyIsWaitedFor(t *testing.T) {
	src := newState()
	ring, _ := newRing(t, src)
	done := make(chan error, 1)
	go func() {
		_, err := ring.Seal(t.Context(), "c", nil)
		done <- err
	}()
	src.rotate(newKey(t, ring, api.SigningEdDSA))
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	empty, _ := newRing(t, newState())
	if _, err := empty.Seal(ctx, "c", nil); api.ErrorCode(err) != api.CodeUnavailable {
		t.Errorf("without a key: %v", err)
	}
}

// What is in the state opens with the server's key alone.
func TestAnotherServersKeyOpensNothing(t *testing.T) {
	src := newState()
	ring, own := newRing(t, src)
	k := newKey(t, ring, api.SigningEdDSA)
	src.rotate(k)
	sealed, err := ring.Seal(t.Context(), "c", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := ring.Sign(t.Context(), map[string]any{"sub": "x"})
	if err != nil {
		t.Fatal(err)
	}
	other, _ := newRing(t, src)
	if _, err := other.Open("c", sealed); err == nil {
		t.Error("opened without the server's key")
	}
	if err := other.Err(); err == nil {
		t.Error("the ring does not tell that it can't use a key")
	}
	if err := other.Verify(token, &struct{}{}); err != nil {
		t.Errorf("verifying needs public keys only: %v", err)
	}
	// A row that somebody changed is no key.
	forged := newKey(t, ring, api.SigningEdDSA)
	forged.PublicKey = k.PublicKey
	if _, err := own.open(forged); err == nil {
		t.Error("a key with another one's public part was taken")
	}
	moved := *k
	moved.KeyID = api.NewID()
	if _, err := own.open(&moved); err == nil {
		t.Error("material under another ID was taken")
	}
}

func TestTwoServersShareARootKey(t *testing.T) {
	src := newState()
	a, first := newRing(t, src)
	b, second := newRing(t, src)
	k, err := New(api.NewID(), start, api.SigningEdDSA, first.Public(), second.Public())
	if err != nil {
		t.Fatal(err)
	}
	src.rotate(k)
	sealed, err := a.Seal(t.Context(), "c", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := b.Open("c", sealed); err != nil || string(got) != "secret" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestServerKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server", "keyring.key")
	first, err := OpenServerKey(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := OpenServerKey(path)
	if err != nil || again.ID() != first.ID() {
		t.Fatalf("the key changed: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	for name, spoil := range map[string]func() error{
		"readable by others": func() error { return os.Chmod(path, 0o640) },
		"empty":              func() error { return errors.Join(os.Remove(path), os.WriteFile(path, nil, 0o600)) },
		"other text":         func() error { return os.WriteFile(path, []byte(keyFileHead+"\nAAAA\n"), 0o600) },
		"a link": func() error {
			return errors.Join(os.Rename(path, path+".real"), os.Symlink(path+".real", path))
		},
	} {
		if err := errors.Join(os.RemoveAll(filepath.Dir(path))); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenServerKey(path); err != nil {
			t.Fatal(err)
		}
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenServerKey(path); err == nil {
			t.Errorf("%s: it was opened", name)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	for _, alg := range []string{api.SigningEdDSA, api.SigningRS256} {
		src := newState()
		ring, _ := newRing(b, src)
		src.rotate(newKey(b, ring, alg))
		claims := map[string]any{"sub": "global:default:job:group:task:default", "jti": api.NewID()}
		b.Run(alg, func(b *testing.B) {
			for b.Loop() {
				if _, err := ring.Sign(b.Context(), claims); err != nil {
					b.Fatal(err)
				}
			}
		})
		token, err := ring.Sign(b.Context(), claims)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("%s-verify", alg), func(b *testing.B) {
			for b.Loop() {
				if err := ring.Verify(token, &struct{}{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSeal(b *testing.B) {
	src := newState()
	ring, _ := newRing(b, src)
	src.rotate(newKey(b, ring, api.SigningEdDSA))
	secret := []byte(api.NewID())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ring.Seal(b.Context(), "acl-token/x", secret); err != nil {
			b.Fatal(err)
		}
	}
}
