package gossip

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"github.com/drover-org/drover/api"
)

// keysFile keeps the keys that were installed over the API.
const keysFile = "keyring.json"

// ParseKey reads an encryption key: 16, 24 or 32 bytes in base64.
func ParseKey(text string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(text)
	if err == nil {
		err = memberlist.ValidateKey(key)
	}
	if err != nil {
		return nil, api.Errorf(api.CodeInvalid, "the key must be 16, 24 or 32 bytes in base64: make one with \"drover operator gossip keyring generate\"")
	}
	return key, nil
}

// openKeys returns the keys that are kept in dir. Without a file the one of the
// configuration is the only one, and is kept.
func openKeys(dir string, configured []byte) (*memberlist.Keyring, error) {
	if dir == "" {
		return memberlist.NewKeyring(nil, configured)
	}
	path := filepath.Join(dir, keysFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		b, err := json.Marshal([]string{base64.StdEncoding.EncodeToString(configured)})
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			return nil, fmt.Errorf("keep the gossip key: %w", err)
		}
		return memberlist.NewKeyring(nil, configured)
	}
	if err != nil {
		return nil, fmt.Errorf("gossip keys: %w", err)
	}
	var texts []string
	damaged := fmt.Errorf("gossip keys %s are damaged: remove the file to begin with server.encrypt again", path)
	if json.Unmarshal(text, &texts) != nil || len(texts) == 0 {
		return nil, damaged
	}
	var keys [][]byte
	for _, t := range texts {
		k, err := ParseKey(t)
		if err != nil {
			return nil, damaged
		}
		keys = append(keys, k)
	}
	return memberlist.NewKeyring(keys, keys[0])
}

// Keys lists the keys and how many members have each.
func (g *Gossip) Keys() (*api.GossipKeys, error) {
	return g.change(func(k *serf.KeyManager) (*serf.KeyResponse, error) { return k.ListKeys() })
}

// InstallKey gives all members a further key.
func (g *Gossip) InstallKey(key string) (*api.GossipKeys, error) {
	return g.changeKey(key, func(k *serf.KeyManager) (*serf.KeyResponse, error) { return k.InstallKey(key) })
}

// UseKey makes all members encrypt with a key that they have.
func (g *Gossip) UseKey(key string) (*api.GossipKeys, error) {
	return g.changeKey(key, func(k *serf.KeyManager) (*serf.KeyResponse, error) { return k.UseKey(key) })
}

// RemoveKey takes a key from all members that is not in use.
func (g *Gossip) RemoveKey(key string) (*api.GossipKeys, error) {
	return g.changeKey(key, func(k *serf.KeyManager) (*serf.KeyResponse, error) { return k.RemoveKey(key) })
}

func (g *Gossip) changeKey(key string, do func(*serf.KeyManager) (*serf.KeyResponse, error)) (*api.GossipKeys, error) {
	if _, err := ParseKey(key); err != nil {
		return nil, err
	}
	return g.change(do)
}

func (g *Gossip) change(do func(*serf.KeyManager) (*serf.KeyResponse, error)) (*api.GossipKeys, error) {
	if g.cfg.Key == nil {
		return nil, api.Errorf(api.CodeInvalid, "gossip is not encrypted: set server.encrypt on every server and restart them one by one")
	}
	s, err := g.running(context.Background())
	if err != nil {
		return nil, err
	}
	r, err := do(s.KeyManager())
	if r == nil {
		return nil, err
	}
	out := &api.GossipKeys{Messages: r.Messages, Keys: r.Keys, PrimaryKeys: r.PrimaryKeys, NumNodes: r.NumNodes}
	if err != nil {
		return out, api.Errorf(api.CodeUnavailable, "not every server answered well (%d of %d): %w", r.NumResp-r.NumErr, r.NumNodes, err)
	}
	return out, nil
}
