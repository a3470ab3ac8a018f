package cluster

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/metadb"

	"github.com/drover-org/drover/api"
)

// retainSnapshots keeps the one before the last as well, should the last be
// damaged.
const retainSnapshots = 2

// storage is where a server keeps its log, votes and snapshots.
type storage struct {
	id        raft.ServerID
	logs      raft.LogStore
	stable    raft.StableStore
	snapshots raft.SnapshotStore
	closers   []io.Closer
}

// openStorage opens what is in dir, or makes it; an empty dir means memory.
func openStorage(dir string, log hclog.Logger) (_ *storage, err error) {
	if dir == "" {
		mem := raft.NewInmemStore()
		return &storage{id: raft.ServerID(api.NewID()), logs: mem, stable: mem, snapshots: raft.NewInmemSnapshotStore()}, nil
	}
	walDir := filepath.Join(dir, "wal")
	if err := os.MkdirAll(walDir, 0o700); err != nil {
		return nil, err
	}
	s := &storage{}
	if s.id, err = serverID(filepath.Join(dir, "server-id")); err != nil {
		return nil, err
	}
	if s.snapshots, err = raft.NewFileSnapshotStoreWithLogger(dir, retainSnapshots, log); err != nil {
		return nil, fmt.Errorf("open snapshots in %s: %w", dir, err)
	}
	meta := &metadb.BoltMetaDB{} // the log does not close the one it makes for itself
	w, err := wal.Open(walDir, wal.WithLogger(log), wal.WithMetaStore(meta))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open log in %s: %w", walDir, err), meta.Close())
	}
	s.logs, s.stable, s.closers = w, w, []io.Closer{w, meta}
	return s, nil
}

func (s *storage) Close() error {
	var err error
	for _, c := range s.closers {
		err = errors.Join(err, c.Close())
	}
	return err
}

// serverID reads the server's ID, or makes one for good.
func serverID(path string) (raft.ServerID, error) {
	b, err := os.ReadFile(path)
	if err == nil {
		id := strings.TrimSpace(string(b))
		if _, ok := api.ParseID(id); !ok {
			return "", fmt.Errorf("%s does not hold a UUID: restore it from a backup", path)
		}
		return raft.ServerID(id), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	id := api.NewID()
	tmp := path + ".tmp"
	if err := writeSynced(tmp, id+"\n"); err != nil {
		return "", err
	}
	return raft.ServerID(id), os.Rename(tmp, path)
}

func writeSynced(path, text string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}
