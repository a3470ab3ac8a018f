package link

import (
	"maps"
	"sync"

	"github.com/drover-org/drover/api"
)

// reports is what a node has to say: the newest report of each allocation,
// and the batch that is under way.
type reports struct {
	mu       sync.Mutex
	waiting  map[string]*api.AllocUpdate // by allocation ID
	inFlight map[string]*api.AllocUpdate // sent, not acknowledged
	seq      uint64                      // of the last batch
}

// add notes a report in place of an older one.
func (r *reports) add(u *api.AllocUpdate) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == nil {
		r.waiting = make(map[string]*api.AllocUpdate)
	}
	r.waiting[u.ID] = u
}

// take returns the next batch, or nil if one is in flight or there is nothing
// to say. An update that can't be encoded is told to skipped and dropped.
func (r *reports) take(skipped func(*api.AllocUpdate, error)) *reportMsg {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inFlight != nil || len(r.waiting) == 0 {
		return nil
	}
	r.seq++
	msg := &reportMsg{Seq: r.seq}
	batch := make(map[string]*api.AllocUpdate, min(len(r.waiting), maxPerFrame))
	size := 0
	for id, u := range r.waiting {
		if len(msg.Updates) == maxPerFrame || size >= batchTarget {
			break
		}
		var m updateMsg
		if err := packUpdate(&m, u); err != nil {
			delete(r.waiting, id)
			skipped(u, err)
			continue
		}
		n := m.Msgsize()
		if n > maxFromNode/2 {
			delete(r.waiting, id)
			skipped(u, errFrameSize)
			continue
		}
		size += n
		msg.Updates = append(msg.Updates, m)
		batch[id] = u
		delete(r.waiting, id)
	}
	if len(batch) == 0 {
		return nil
	}
	r.inFlight = batch
	return msg
}

// settled ends the batch in flight if it is the one named.
func (r *reports) settled(seq uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if seq == r.seq {
		r.inFlight = nil
	}
}

// putBack makes the batch in flight wait again, except where there is news.
func (r *reports) putBack() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inFlight == nil {
		return
	}
	maps.Copy(r.inFlight, r.waiting)
	r.waiting, r.inFlight = r.inFlight, nil
}
