package store

import (
	"iter"

	"github.com/drover-org/drover/api"
)

// evalKey is what places an evaluation in the indexes; it never changes.
type evalKey struct {
	id      api.ID
	created uint64
	ns, job string
}

type evalItem struct {
	key *evalKey
	e   *api.Evaluation
}

func lessEvalCreated(a, b *evalKey) bool {
	if a.created != b.created {
		return a.created < b.created
	}
	return cmpID(a.id, b.id) < 0
}

func lessEvalJob(a, b *evalKey) bool {
	if c := cmpName(a.ns, a.job, b.ns, b.job); c != 0 {
		return c < 0
	}
	return lessEvalCreated(a, b)
}

func (t *tables) evalItem(id api.ID) (evalItem, bool) {
	return t.evals.Get(evalItem{key: &evalKey{id: id}})
}

// Eval returns an evaluation, or nil.
func (s *Snapshot) Eval(id string) *api.Evaluation {
	item, _ := s.evalItem(idOf(id))
	return item.e
}

// Evals yields every evaluation by ID.
func (s *Snapshot) Evals() iter.Seq[*api.Evaluation] {
	return func(yield func(*api.Evaluation) bool) {
		s.evals.Scan(func(i evalItem) bool { return yield(i.e) })
	}
}

// EvalsFrom yields the evaluations whose ID starts with prefix, by ID.
func (s *Snapshot) EvalsFrom(prefix []byte, reverse bool) iter.Seq[*api.Evaluation] {
	return func(yield func(*api.Evaluation) bool) {
		scanPrefix(s.evals, prefix, reverse,
			func(id api.ID) evalItem { return evalItem{key: &evalKey{id: id}} },
			func(i evalItem) api.ID { return i.key.id },
			func(i evalItem) bool { return yield(i.e) })
	}
}

// EvalsByCreate yields every evaluation by create index and ID.
func (s *Snapshot) EvalsByCreate(reverse bool) iter.Seq[*api.Evaluation] {
	return func(yield func(*api.Evaluation) bool) {
		visit := func(i evalItem) bool { return yield(i.e) }
		if reverse {
			s.evalsCreated.Reverse(visit)
		} else {
			s.evalsCreated.Scan(visit)
		}
	}
}

// EvalsByJob yields a job's evaluations, oldest first.
func (s *Snapshot) EvalsByJob(ns, job string) iter.Seq[*api.Evaluation] {
	return func(yield func(*api.Evaluation) bool) {
		s.evalsJob.Ascend(&evalKey{ns: ns, job: job}, func(k *evalKey) bool {
			if k.ns != ns || k.job != job {
				return false
			}
			item, _ := s.evalItem(k.id)
			return yield(item.e)
		})
	}
}

// EvalsOpen yields the pending and blocked evaluations, oldest first.
func (s *Snapshot) EvalsOpen() iter.Seq[*api.Evaluation] {
	return func(yield func(*api.Evaluation) bool) {
		s.evalsOpen.Scan(func(k *evalKey) bool {
			item, _ := s.evalItem(k.id)
			return yield(item.e)
		})
	}
}

// UpsertEvals adds or replaces evaluations.
type UpsertEvals struct {
	Evals []*api.Evaluation
	Now   int64
}

func (c *UpsertEvals) apply(t *tx) (any, error) {
	for _, e := range c.Evals {
		t.upsertEval(e, c.Now)
	}
	return nil, nil
}

// upsertEval stores a copy of e with its indexes and times set.
func (t *tx) upsertEval(e *api.Evaluation, now int64) {
	e = e.Copy()
	id := idOf(e.ID)
	old, exists := t.evalItem(id)
	key := old.key
	if exists {
		e.CreateIndex, e.CreateTime = old.e.CreateIndex, old.e.CreateTime
	} else {
		e.CreateIndex = t.index
		if e.CreateTime == 0 {
			e.CreateTime = now
		}
		key = &evalKey{id: id, created: t.index, ns: e.Namespace, job: e.JobID}
		t.evalsJob.Set(key)
	}
	e.ModifyIndex, e.ModifyTime = t.index, now
	t.evals.Set(evalItem{key, e})
	t.evalsCreated.Set(evalItem{key, e})

	wasOpen, isOpen := exists && !old.e.Terminal(), !e.Terminal()
	switch {
	case isOpen && !wasOpen:
		t.evalsOpen.Set(key)
		t.countOpen(e, 1)
	case !isOpen && wasOpen:
		t.evalsOpen.Delete(key)
		t.countOpen(e, -1)
	}
	t.touchEval(e)
	t.changed(api.TopicEvaluation, e)
	t.settleLater(e.Namespace, e.JobID)
}

func (t *tx) countOpen(e *api.Evaluation, n int) {
	if row := t.editJob(e.Namespace, e.JobID); row != nil {
		row.open = max(row.open+n, 0)
	}
}

func (t *tx) touchEval(e *api.Evaluation) {
	t.bump(TableEvals)
	t.touch(KeyEvals(), KeyEvalsOfNamespace(e.Namespace), KeyEval(e.ID), KeyEvalsOfJob(e.Namespace, e.JobID))
}

func (t *tx) deleteEval(id api.ID) {
	item, ok := t.evalItem(id)
	if !ok {
		return
	}
	t.evals.Delete(item)
	t.evalsCreated.Delete(item)
	t.evalsJob.Delete(item.key)
	if !item.e.Terminal() {
		t.evalsOpen.Delete(item.key)
		t.countOpen(item.e, -1)
	}
	t.touchEval(item.e)
	t.settleLater(item.e.Namespace, item.e.JobID)
}

// DeleteEvals deletes evaluations, whatever their status: what an operator
// does to a flood of them while scheduling is paused. It is all or nothing.
type DeleteEvals struct {
	IDs []string
}

func (c *DeleteEvals) apply(t *tx) (any, error) {
	if !t.scheduler.PauseEvalBroker {
		return nil, invalid("eval broker is enabled: set PauseEvalBroker in the scheduler configuration before evaluations are deleted")
	}
	if len(c.IDs) > MaxReap {
		return nil, invalid("a deletion of %d evaluations is over the bound of %d: split it", len(c.IDs), MaxReap)
	}
	for _, id := range c.IDs {
		if _, ok := t.evalItem(idOf(id)); !ok {
			return nil, api.Errorf(api.CodeNotFound, "eval not found: %s", id)
		}
		t.deleteEval(idOf(id))
	}
	return nil, nil
}
