package localdb

import (
	"sync"

	bolt "go.etcd.io/bbolt"
)

// commits groups concurrent writes. The first writer commits at once; those
// that come meanwhile queue, and one of them then commits for all.
type commits struct {
	mu    sync.Mutex
	busy  bool
	queue []*write
}

type write struct {
	op   func(*bolt.Tx) error
	err  error
	done chan bool // true: committed; false: it is this writer's turn to commit
}

// commit runs op in a transaction that is on disk when it returns. An error
// of op leaves nothing behind and concerns no other writer.
func (c *commits) commit(db *bolt.DB, op func(*bolt.Tx) error) error {
	w := &write{op: op, done: make(chan bool, 1)}
	c.mu.Lock()
	c.queue = append(c.queue, w)
	lead := !c.busy
	c.busy = true
	c.mu.Unlock()
	if !lead && <-w.done {
		return w.err
	}
	c.lead(db)
	return w.err
}

// lead commits all that wait, among them the caller's, and hands the lead on.
func (c *commits) lead(db *bolt.DB) {
	c.mu.Lock()
	batch := c.queue
	c.queue = nil
	c.mu.Unlock()

	err := db.Update(func(tx *bolt.Tx) error {
		for _, w := range batch {
			if err := w.op(tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		for _, w := range batch { // one of them is bad: each for itself
			w.err = db.Update(w.op)
		}
	}

	c.mu.Lock()
	c.busy = len(c.queue) > 0
	if c.busy {
		c.queue[0].done <- false
	}
	c.mu.Unlock()
	for _, w := range batch {
		w.done <- true
	}
}
