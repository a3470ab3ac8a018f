package agent

import (
	"cmp"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/agent/allocdir"
)

// LogRetention says how long the logs of allocations are kept whose
// directories were removed from this node. They go earlier when servers forget
// the allocation, for instance because its job was purged.
type LogRetention struct {
	MaxAge     time.Duration // since the allocation ended
	MaxSize    int64         // bytes of all of them; 0: none are kept
	KeepFailed int           // the last failed allocations of each job stay beyond MaxAge, not beyond MaxSize
}

// retainedLogs is whose logs are kept, as it is noted beside them.
type retainedLogs struct {
	ID        string
	Namespace string
	JobID     string
	Failed    bool
	EndedAt   time.Time
	Tasks     []string
	Size      int64 `json:"-"`
}

// retention keeps logs of removed allocations.
type retention struct {
	policy LogRetention
	now    func() time.Time
	log    *slog.Logger
	tree   *allocdir.Tree

	mu   sync.Mutex // guards what follows, and the tree
	kept map[string]*retainedLogs
}

// openRetention finds what an earlier agent kept. Logs without a readable note
// are removed: nobody could tell when to.
func openRetention(c *Config, tree *allocdir.Tree) (*retention, error) {
	t, err := tree.Retained()
	if err != nil {
		return nil, err
	}
	x := &retention{policy: c.LogRetention, now: c.Now, log: c.Log, tree: t, kept: map[string]*retainedLogs{}}
	err = t.RemoveStale(func(id string) bool {
		dir, err := t.Dir(id)
		if err != nil {
			return false
		}
		note, size, err := dir.Note()
		l := &retainedLogs{}
		if err != nil || json.Unmarshal(note, l) != nil || l.ID != id {
			return false
		}
		l.Size = size
		x.kept[id] = l
		return true
	})
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	x.enforce()
	return x, nil
}

func (x *retention) close() error { return x.tree.Close() }

// keep takes over the logs of an allocation that is about to be removed.
func (x *retention) keep(dir *allocdir.Dir, l *retainedLogs) {
	if x.policy.MaxSize <= 0 {
		return
	}
	note, err := json.Marshal(l)
	if err != nil {
		panic(err) // strings and times
	}
	x.mu.Lock()
	l.Size, err = dir.RetainLogs(x.tree, note)
	if err == nil && l.Size > 0 {
		x.kept[l.ID] = l
	}
	x.mu.Unlock()
	if err != nil {
		x.log.Warn("the logs of a removed allocation can't be kept", "alloc", l.ID, "error", err)
	}
	x.enforce()
}

// find returns the kept logs of an allocation.
func (x *retention) find(id string) (*retainedLogs, *allocdir.Dir) {
	x.mu.Lock()
	l := x.kept[id]
	x.mu.Unlock()
	if l == nil {
		return nil, nil
	}
	dir, err := x.tree.Dir(id)
	if err != nil {
		return nil, nil
	}
	return l, dir
}

// drop removes logs now.
func (x *retention) drop(ids ...string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, id := range ids {
		if x.kept[id] == nil {
			continue
		}
		dir, err := x.tree.Dir(id)
		if err == nil {
			err = dir.Remove()
		}
		if err != nil {
			x.log.Error("kept logs can't be removed", "alloc", id, "error", err)
			continue // the next pass tries again
		}
		delete(x.kept, id)
	}
}

// enforce removes what the policy doesn't keep.
func (x *retention) enforce() { x.drop(x.policy.expired(x.list(), x.now())...) }

// shrink removes the oldest logs because the disk is full, pinned ones last.
// It reports whether there were any.
func (x *retention) shrink(n int) bool {
	list := x.list()
	order := x.policy.order(list)
	order = order[:min(n, len(order))]
	x.drop(order...)
	return len(order) > 0
}

func (x *retention) list() []*retainedLogs {
	x.mu.Lock()
	defer x.mu.Unlock()
	list := make([]*retainedLogs, 0, len(x.kept))
	for _, l := range x.kept {
		list = append(list, l)
	}
	return list
}

// pinned returns the last failed allocations of each job.
func (p LogRetention) pinned(list []*retainedLogs) map[string]bool {
	failed := map[api.NamespacedID][]*retainedLogs{}
	for _, l := range list {
		if l.Failed {
			job := api.NamespacedID{Namespace: l.Namespace, ID: l.JobID}
			failed[job] = append(failed[job], l)
		}
	}
	pins := map[string]bool{}
	for _, of := range failed {
		slices.SortFunc(of, byEnd)
		for _, l := range of[max(0, len(of)-p.KeepFailed):] {
			pins[l.ID] = true
		}
	}
	return pins
}

func byEnd(a, b *retainedLogs) int {
	return cmp.Or(a.EndedAt.Compare(b.EndedAt), cmp.Compare(a.ID, b.ID))
}

// order returns the IDs in the order in which room is made: the oldest first,
// the pinned after the others.
func (p LogRetention) order(list []*retainedLogs) []string {
	pins := p.pinned(list)
	sorted := slices.SortedFunc(slices.Values(list), byEnd)
	var first, last []string
	for _, l := range sorted {
		if pins[l.ID] {
			last = append(last, l.ID)
		} else {
			first = append(first, l.ID)
		}
	}
	return append(first, last...)
}

// expired returns the IDs of what is not kept any longer: what is too old,
// unless it is pinned, and then as many as it takes to be within the size.
func (p LogRetention) expired(list []*retainedLogs, now time.Time) []string {
	byID := map[string]*retainedLogs{}
	var total int64
	for _, l := range list {
		byID[l.ID] = l
		total += l.Size
	}
	pins := p.pinned(list)
	var out []string
	for _, id := range p.order(list) {
		l := byID[id]
		old := now.Sub(l.EndedAt) > p.MaxAge && !pins[id]
		if old || total > p.MaxSize {
			out = append(out, id)
			total -= l.Size
		}
	}
	return out
}
