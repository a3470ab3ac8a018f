package localdb

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/drover-org/drover/api"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Config is what Open needs.
type Config struct {
	Dir string // made when missing, readable by the agent alone
	Log *slog.Logger
	Now func() time.Time
}

// Names of the files in Config.Dir.
const (
	dbName       = "node.db"
	identityName = "identity.json"
)

// lockTimeout is how long Open waits for another agent to let go.
const lockTimeout = time.Second

// ErrLocked means that another agent uses the directory.
var ErrLocked = errors.New("another agent is using it")

// DB is the database of one node. All methods may be called concurrently.
type DB struct {
	bolt *bolt.DB
	commits
}

var (
	bucketAllocs = []byte("allocs") // alloc ID → bucket
	bucketNode   = []byte("node")
	keyAlloc     = []byte("alloc")     // api.Allocation
	keyCollected = []byte("collected") // api.AllocUpdate
	keyMeta      = []byte("meta")      // dynamic metadata
)

const taskPrefix = "task/" // + name: TaskRecord

// Open opens the database and makes it when it is missing. One that can't be
// read is moved aside, with an error in the log, and the node starts with an
// empty one: drivers still find by name what servers assign again.
func Open(c Config) (*DB, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("node state: %w", err)
	}
	path := filepath.Join(c.Dir, dbName)
	db, err := open(path)
	if err == nil || errors.Is(err, ErrLocked) || errors.Is(err, fs.ErrPermission) {
		return db, err
	}
	aside := fmt.Sprintf("%s.corrupt-%d", path, c.Now().Unix())
	c.Log.Error("the node's state can't be read and was moved aside; tasks are found again as servers assign them",
		"file", path, "moved_to", aside, "error", err)
	if err := os.Rename(path, aside); err != nil {
		return nil, fmt.Errorf("node state is corrupt and can't be moved aside: %w", err)
	}
	return open(path)
}

func open(path string) (db *DB, err error) {
	// A damaged page makes bbolt panic, in open as well as in a walk.
	defer func() {
		if cause := recover(); cause != nil {
			db, err = nil, fmt.Errorf("node state %s: %v", path, cause)
		}
	}()
	b, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: lockTimeout, FreelistType: bolt.FreelistMapType})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("node state %s: %w", path, ErrLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("node state %s: %w", path, err)
	}
	db = &DB{bolt: b}
	err = b.Update(func(tx *bolt.Tx) error {
		_, errAllocs := tx.CreateBucketIfNotExists(bucketAllocs)
		_, errNode := tx.CreateBucketIfNotExists(bucketNode)
		return errors.Join(errAllocs, errNode)
	})
	if err == nil {
		_, err = db.Load() // proves that all of it can be read
	}
	if err != nil {
		_ = b.Close()
		return nil, err
	}
	return db, nil
}

// Close waits for writes in flight and releases the file.
func (db *DB) Close() error { return db.bolt.Close() }

// Alloc is what is known of one allocation.
type Alloc struct {
	ID        string
	Alloc     *api.Allocation        // nil when Collected is set
	Tasks     map[string]*TaskRecord // by name; those that got so far
	Collected *api.AllocUpdate       // last report of one that was removed from this node
}

// TaskRecord is what is known of one task.
type TaskRecord struct {
	State   *api.TaskState
	Handle  []byte      `json:",omitempty"` // of the driver; none while a start is under way
	Restart RestartInfo // of the restart policy
	Renew   time.Time   `json:",omitzero"` // when the task's identities are to be renewed; zero: never
}

// RestartInfo is the state of a task's restart policy.
type RestartInfo struct {
	Count int       // restarts in the interval
	Since time.Time // begin of the interval
}

// Load returns every allocation.
func (db *DB) Load() ([]*Alloc, error) {
	var list []*Alloc
	err := db.bolt.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketAllocs).ForEachBucket(func(id []byte) error {
			a, err := load(tx.Bucket(bucketAllocs).Bucket(id), string(id))
			if err != nil {
				return fmt.Errorf("node state of allocation %s: %w", id, err)
			}
			list = append(list, a)
			return nil
		})
	})
	return list, err
}

func load(b *bolt.Bucket, id string) (*Alloc, error) {
	a := &Alloc{ID: id, Tasks: map[string]*TaskRecord{}}
	err := b.ForEach(func(k, v []byte) error {
		switch key := string(k); {
		case key == string(keyAlloc):
			return json.Unmarshal(v, &a.Alloc)
		case key == string(keyCollected):
			return json.Unmarshal(v, &a.Collected)
		case len(key) > len(taskPrefix) && key[:len(taskPrefix)] == taskPrefix:
			var rec TaskRecord
			if err := json.Unmarshal(v, &rec); err != nil {
				return err
			}
			a.Tasks[key[len(taskPrefix):]] = &rec
		}
		return nil
	})
	if err == nil && a.Alloc == nil && a.Collected == nil {
		err = errors.New("the record has no content")
	}
	return a, err
}

// PutAlloc stores an allocation as it was assigned.
func (db *DB) PutAlloc(a *api.Allocation) error {
	v, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return db.commit(db.bolt, func(tx *bolt.Tx) error {
		b, err := tx.Bucket(bucketAllocs).CreateBucketIfNotExists([]byte(a.ID))
		if err != nil {
			return err
		}
		return b.Put(keyAlloc, v)
	})
}

// PutTask stores the record that get returns at the moment of the commit, so
// that of two concurrent writes the later content wins. It does nothing for an
// allocation that is not stored.
func (db *DB) PutTask(allocID, task string, get func() *TaskRecord) error {
	return db.PutTasks(allocID, []string{task}, func(string) *TaskRecord { return get() })
}

// PutTasks is PutTask for several tasks of an allocation in one commit.
func (db *DB) PutTasks(allocID string, tasks []string, get func(task string) *TaskRecord) error {
	return db.commit(db.bolt, func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketAllocs).Bucket([]byte(allocID))
		if b == nil {
			return nil
		}
		for _, task := range tasks {
			v, err := json.Marshal(get(task))
			if err != nil {
				return err
			}
			if err := b.Put([]byte(taskPrefix+task), v); err != nil {
				return err
			}
		}
		return nil
	})
}

// Collect replaces an allocation by its last report: it never runs here
// again, whatever servers believe of it.
func (db *DB) Collect(last *api.AllocUpdate) error {
	v, err := json.Marshal(last)
	if err != nil {
		return err
	}
	return db.commit(db.bolt, func(tx *bolt.Tx) error {
		allocs := tx.Bucket(bucketAllocs)
		if err := drop(allocs, last.ID); err != nil {
			return err
		}
		b, err := allocs.CreateBucket([]byte(last.ID))
		if err != nil {
			return err
		}
		return b.Put(keyCollected, v)
	})
}

// Delete forgets an allocation. Idempotent.
func (db *DB) Delete(allocID string) error {
	return db.commit(db.bolt, func(tx *bolt.Tx) error { return drop(tx.Bucket(bucketAllocs), allocID) })
}

func drop(allocs *bolt.Bucket, id string) error {
	if allocs.Bucket([]byte(id)) == nil {
		return nil
	}
	return allocs.DeleteBucket([]byte(id))
}

// Meta returns the node's dynamic metadata; a nil value hides a static one.
func (db *DB) Meta() (map[string]*string, error) {
	meta := map[string]*string{}
	err := db.bolt.View(func(tx *bolt.Tx) error {
		v := tx.Bucket(bucketNode).Get(keyMeta)
		if v == nil {
			return nil
		}
		return json.Unmarshal(v, &meta)
	})
	return meta, err
}

// PutMeta stores the node's dynamic metadata.
func (db *DB) PutMeta(meta map[string]*string) error {
	v, err := json.Marshal(meta)
	if err != nil {
		return err
	}
	return db.commit(db.bolt, func(tx *bolt.Tx) error { return tx.Bucket(bucketNode).Put(keyMeta, v) })
}
