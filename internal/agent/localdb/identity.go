package localdb

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/drover-org/drover/api"
)

// Identity is who a node is to the servers.
type Identity struct {
	ID       string // public
	SecretID string // proves the ID
}

// LoadIdentity returns the identity kept in dir and makes a new one when there
// is none. It has a file of its own, so that a node whose database is lost
// stays the same node.
func LoadIdentity(dir string) (Identity, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Identity{}, fmt.Errorf("node identity: %w", err)
	}
	path := filepath.Join(dir, identityName)
	var id Identity
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		id = Identity{ID: api.NewID(), SecretID: api.NewID()}
		return id, id.save(path)
	case err != nil:
		return id, fmt.Errorf("node identity: %w", err)
	}
	if err := json.Unmarshal(b, &id); err != nil {
		return id, fmt.Errorf("node identity %s is damaged; restore it, or remove it to join as a new node: %w", path, err)
	}
	_, okID := api.ParseID(id.ID)
	_, okSecret := api.ParseID(id.SecretID)
	if !okID || !okSecret {
		return id, fmt.Errorf("node identity %s is damaged; restore it, or remove it to join as a new node", path)
	}
	return id, nil
}

// save writes the file.
func (id Identity) save(path string) error {
	b, err := json.Marshal(id)
	if err != nil {
		return err
	}
	return replace(path, b)
}

// replace writes a file that only the agent reads, so that a crash leaves all
// or nothing of it.
func replace(path string, text []byte) error {
	name := filepath.Base(path)
	f, err := os.CreateTemp(filepath.Dir(path), name+"-*") // mode 0600
	if err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, errWrite := f.Write(text)
	if err := errors.Join(errWrite, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}
