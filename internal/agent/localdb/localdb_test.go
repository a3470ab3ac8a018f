package localdb

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func config(t testing.TB, dir string) (Config, *bytes.Buffer) {
	t.Helper()
	var logs bytes.Buffer
	return Config{Dir: dir, Log: slog.New(slog.NewTextHandler(&logs, nil)), Now: func() time.Time { return epoch }}, &logs
}

func reopen(t testing.TB, dir string) *DB {
	t.Helper()
	c, logs := config(t, dir)
	db, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	if logs.Len() > 0 {
		t.Fatalf("unexpected log: %s", logs)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestSurvivesReopen(t *testing.T) {
	dir := t.TempDir()
	db := reopen(t, dir)
	alloc := &api.Allocation{ID: api.NewID(), JobID: "web", Job: &api.Job{ID: "web"}, AllocModifyIndex: 7}
	gone := &api.AllocUpdate{ID: api.NewID(), ClientStatus: api.AllocClientComplete}
	rec := &TaskRecord{
		State:   &api.TaskState{State: api.TaskStateRunning, StartedAt: epoch, Events: []*api.TaskEvent{api.NewTaskEvent(api.EventStarted, epoch)}},
		Handle:  []byte("pid"),
		Restart: RestartInfo{Count: 2, Since: epoch},
	}
	value := "x"
	err := errors.Join(
		db.PutAlloc(alloc),
		db.PutAlloc(&api.Allocation{ID: gone.ID}),
		db.PutTask(alloc.ID, "main", func() *TaskRecord { return rec }),
		db.PutTask("unknown", "main", func() *TaskRecord { return rec }),
		db.Collect(gone),
		db.PutMeta(map[string]*string{"rack": &value, "hidden": nil}),
		db.Close(),
	)
	if err != nil {
		t.Fatal(err)
	}

	db = reopen(t, dir)
	list, err := db.Load()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]*Alloc{}
	for _, a := range list {
		got[a.ID] = a
	}
	want := map[string]*Alloc{
		alloc.ID: {ID: alloc.ID, Alloc: alloc, Tasks: map[string]*TaskRecord{"main": rec}},
		gone.ID:  {ID: gone.ID, Collected: gone, Tasks: map[string]*TaskRecord{}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	meta, err := db.Meta()
	if v, ok := meta["hidden"]; err != nil || !ok || v != nil || *meta["rack"] != "x" {
		t.Errorf("Meta = %v, %v", meta, err)
	}
	if err := errors.Join(db.Delete(alloc.ID), db.Delete(alloc.ID), db.Delete(gone.ID)); err != nil {
		t.Fatal(err)
	}
	if list, err := db.Load(); err != nil || len(list) != 0 {
		t.Errorf("after Delete: %v, %v", list, err)
	}
}

// TestCorrupt damages the file in several ways; each time the node starts.
func TestCorrupt(t *testing.T) {
	damages := map[string]func([]byte) []byte{
		"garbage":  func([]byte) []byte { return bytes.Repeat([]byte("garbage!"), 4096) },
		"cut":      func(b []byte) []byte { return b[:len(b)/8] },
		"flipped":  func(b []byte) []byte { return append(b[:8192:8192], bytes.Repeat([]byte{0xff}, len(b)-8192)...) },
		"not json": func(b []byte) []byte { return bytes.Replace(b, []byte(`{"ID":"`), []byte(`{"ID"!"`), -1) },
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			db := reopen(t, dir)
			for range 50 {
				if err := db.PutAlloc(&api.Allocation{ID: api.NewID(), Name: strings.Repeat("x", 500)}); err != nil {
					t.Fatal(err)
				}
			}
			_ = db.Close()
			path := filepath.Join(dir, dbName)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, damage(b), 0o600); err != nil {
				t.Fatal(err)
			}
			c, logs := config(t, dir)
			db, err = Open(c)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			aside := fmt.Sprintf("%s.corrupt-%d", path, epoch.Unix())
			if _, err := os.Stat(aside); err != nil || !strings.Contains(logs.String(), aside) {
				t.Errorf("not quarantined (%v), log: %s", err, logs)
			}
			if list, err := db.Load(); err != nil || len(list) != 0 {
				t.Errorf("Load = %v, %v", list, err)
			}
		})
	}
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	reopen(t, dir)
	c, _ := config(t, dir)
	if _, err := Open(c); !errors.Is(err, ErrLocked) {
		t.Errorf("second Open = %v", err)
	}
}

func TestIdentity(t *testing.T) {
	dir := t.TempDir()
	first, err := LoadIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	second, err := LoadIdentity(dir)
	if err != nil || first != second {
		t.Errorf("identity changed: %v, %v, %v", first, second, err)
	}
	if err := os.WriteFile(filepath.Join(dir, identityName), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadIdentity(dir); err == nil {
		t.Error("a damaged identity was accepted")
	}
}

// TestGroupCommit counts transactions: writers that meet must share them.
func TestGroupCommit(t *testing.T) {
	db := reopen(t, t.TempDir())
	const writers = 200
	before := txID(t, db)
	holds, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { // holds the lead until all others queue
		_ = db.commit(db.bolt, func(*bolt.Tx) error { close(holds); <-release; return nil })
	})
	<-holds
	for i := range writers {
		wg.Go(func() {
			err := db.commit(db.bolt, func(tx *bolt.Tx) error {
				return tx.Bucket(bucketNode).Put([]byte{byte(i)}, nil)
			})
			if err != nil {
				t.Errorf("writer %d: %v", i, err)
			}
		})
	}
	for queued := 0; queued < writers; runtime.Gosched() {
		db.mu.Lock()
		queued = len(db.queue)
		db.mu.Unlock()
	}
	close(release)
	wg.Wait()
	if n := txID(t, db) - before; n != 2 {
		t.Errorf("%d transactions for %d writers", n, writers)
	}
	for i := range writers {
		_ = db.bolt.View(func(tx *bolt.Tx) error {
			if tx.Bucket(bucketNode).Get([]byte{byte(i)}) == nil {
				t.Errorf("write %d is lost", i)
			}
			return nil
		})
	}
}

// TestBadWriter lets one writer of a batch fail: it alone learns of it.
func TestBadWriter(t *testing.T) {
	db := reopen(t, t.TempDir())
	bad := errors.New("bad")
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			err := db.commit(db.bolt, func(tx *bolt.Tx) error {
				if i%10 == 0 {
					return bad
				}
				return tx.Bucket(bucketNode).Put([]byte{byte(i)}, nil)
			})
			if errors.Is(err, bad) != (i%10 == 0) {
				t.Errorf("writer %d: %v", i, err)
			}
		})
	}
	wg.Wait()
}

func txID(t *testing.T, db *DB) (id int) {
	t.Helper()
	_ = db.bolt.View(func(tx *bolt.Tx) error { id = tx.ID(); return nil })
	return id
}

func BenchmarkPutAlloc(b *testing.B) {
	db := reopen(b, b.TempDir())
	alloc := &api.Allocation{ID: api.NewID(), Job: &api.Job{ID: "web"}}
	for b.Loop() {
		if err := db.PutAlloc(alloc); err != nil {
			b.Fatal(err)
		}
	}
}
