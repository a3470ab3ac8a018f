package link

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/drover-org/drover/api"
)

// Assignment is what a server wants of a node. Allocations carry their job
// and resources but neither metrics nor task states: the node knows those
// better or not at all.
type Assignment struct {
	Index  uint64            // of the state it was read from
	Full   bool              // Allocs are all there are; what the node has beyond is gone
	Allocs []*api.Allocation // new or changed by servers
	Gone   []string          // IDs of allocations deleted on the server
}

// jobSlots is how many jobs a stream remembers on both sides.
const jobSlots = 32

// maxPerFrame bounds the allocations and IDs of one frame, well below what
// the codec accepts.
const maxPerFrame = 2048

type jobKey struct {
	namespace, id     string
	version, modified uint64
}

// assignEncoder turns assignments into frames. It remembers which jobs the
// other side keeps in which slot. For one goroutine.
type assignEncoder struct {
	jobs    *jobCache
	skipped func(error) // told of an allocation that can't be delivered

	keys []jobKey // by slot
	used []uint64 // by slot: value of clock when last used
	tick uint64
}

// encode calls send with the frames of a. An allocation that can never be
// delivered must not end the stream, it would only begin again: it is left
// out and told to skipped.
func (e *assignEncoder) encode(a Assignment, send func(*assignMsg) error) error {
	msg := assignMsg{Index: a.Index, Full: a.Full}
	size := 0
	flush := func(more bool) error {
		msg.More = more
		err := send(&msg)
		msg = assignMsg{Index: a.Index, Allocs: msg.Allocs[:0]}
		size = 0
		return err
	}
	var last *api.AllocatedResources
	for _, alloc := range a.Allocs {
		if size >= batchTarget || len(msg.Allocs) == maxPerFrame {
			if err := flush(true); err != nil {
				return err
			}
			last = nil
		}
		var m allocMsg
		n, err := e.pack(&m, alloc, last)
		if err != nil {
			e.skipped(err)
			continue
		}
		if size > 0 && size+n > maxAlloc {
			if err := flush(true); err != nil {
				return err
			}
			if m.SameResources {
				m.SameResources = false
				if m.Resources, err = json.Marshal(alloc.AllocatedResources); err != nil {
					return err
				}
			}
		}
		last = alloc.AllocatedResources
		size += n
		msg.Allocs = append(msg.Allocs, m)
	}
	gone := a.Gone
	for len(gone) > maxPerFrame {
		msg.Gone = gone[:maxPerFrame]
		gone = gone[maxPerFrame:]
		if err := flush(true); err != nil {
			return err
		}
	}
	msg.Gone = gone
	return flush(false)
}

// allocOverhead is about what an allocation takes beside its JSON parts, and
// maxAlloc what those may take together.
const (
	allocOverhead = 600
	maxAlloc      = maxFromServer - 1<<20
)

// pack fills m and returns about how large it is.
func (e *assignEncoder) pack(m *allocMsg, a *api.Allocation, last *api.AllocatedResources) (int, error) {
	if a.Job == nil {
		return 0, fmt.Errorf("allocation %s has no job", a.ID)
	}
	if err := packAlloc(m, a); err != nil {
		return 0, fmt.Errorf("allocation %s: %w", a.ID, err)
	}
	if a.AllocatedResources != nil && a.AllocatedResources == last {
		m.SameResources = true
	} else {
		var err error
		if m.Resources, err = json.Marshal(a.AllocatedResources); err != nil {
			return 0, fmt.Errorf("allocation %s: %w", a.ID, err)
		}
	}
	slot, known := e.slot(jobKey{a.Job.Namespace, a.Job.ID, a.Job.Version, a.Job.ModifyIndex})
	m.Slot = uint8(slot)
	if !known {
		var err error
		if m.Job, err = e.jobs.json(a.Job); err != nil {
			e.keys[slot] = jobKey{}
			return 0, fmt.Errorf("allocation %s: %w", a.ID, err)
		}
	}
	n := allocOverhead + len(m.Job) + len(m.Resources) + len(m.Rare)
	if n > maxAlloc {
		e.keys[slot] = jobKey{}
		return 0, fmt.Errorf("allocation %s takes %d bytes: %w", a.ID, n, errFrameSize)
	}
	return n, nil
}

// slot finds the job's slot, or gives it the one that was used longest ago.
func (e *assignEncoder) slot(k jobKey) (slot int, known bool) {
	e.tick++
	oldest := 0
	for i := range e.keys {
		if e.keys[i] == k {
			e.used[i] = e.tick
			return i, true
		}
		if e.used[i] < e.used[oldest] {
			oldest = i
		}
	}
	if len(e.keys) < jobSlots {
		e.keys, e.used = append(e.keys, k), append(e.used, e.tick)
		return len(e.keys) - 1, false
	}
	e.keys[oldest], e.used[oldest] = k, e.tick
	return oldest, false
}

// jobCache shares the JSON of jobs between streams: a job goes to many nodes
// at about the same time.
type jobCache struct {
	mu   sync.Mutex
	byID map[*api.Job][]byte
	ring [jobCacheSize]*api.Job // oldest at next
	next int
	size int // bytes in byID
}

// Bounds of a jobCache.
const (
	jobCacheSize  = 64
	jobCacheBytes = 8 << 20
)

func (c *jobCache) json(j *api.Job) ([]byte, error) {
	c.mu.Lock()
	b, ok := c.byID[j]
	c.mu.Unlock()
	if ok {
		return b, nil
	}
	b, err := json.Marshal(j)
	if err != nil {
		return nil, fmt.Errorf("encode job %s: %w", j.ID, err)
	}
	if len(b) > jobCacheBytes {
		return b, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byID[j]; ok {
		return b, nil
	}
	if c.byID == nil {
		c.byID = make(map[*api.Job][]byte)
	}
	if c.size+len(b) > jobCacheBytes {
		clear(c.byID)
		clear(c.ring[:])
		c.size = 0
	}
	if old := c.ring[c.next]; old != nil {
		c.size -= len(c.byID[old])
		delete(c.byID, old)
	}
	c.byID[j], c.ring[c.next] = b, j
	c.next = (c.next + 1) % jobCacheSize
	c.size += len(b)
	return b, nil
}

// assignDecoder is assignEncoder's counterpart. For one goroutine.
type assignDecoder struct {
	nodeID string
	decode func([]byte) (*api.Job, error)
	slots  []*api.Job
	parts  Assignment // of an assignment that came in several frames
}

// add takes a frame; whole is true when it completes an assignment.
func (d *assignDecoder) add(m *assignMsg) (a Assignment, whole bool, err error) {
	d.parts.Index = m.Index
	d.parts.Full = d.parts.Full || m.Full
	d.parts.Gone = append(d.parts.Gone, m.Gone...)
	var last *api.AllocatedResources
	for i := range m.Allocs {
		am := &m.Allocs[i]
		alloc, err := unpackAlloc(am, d.nodeID)
		if err != nil {
			return a, false, err
		}
		if alloc.Job, err = d.job(am); err != nil {
			return a, false, err
		}
		alloc.JobID = alloc.Job.ID
		if !am.SameResources {
			last = nil
			if err := json.Unmarshal(am.Resources, &last); err != nil {
				return a, false, fmt.Errorf("allocation %s: %w", am.ID, err)
			}
		}
		alloc.AllocatedResources = last
		d.parts.Allocs = append(d.parts.Allocs, alloc)
	}
	if m.More {
		return a, false, nil
	}
	a, d.parts = d.parts, Assignment{}
	return a, true, nil
}

func (d *assignDecoder) job(m *allocMsg) (*api.Job, error) {
	slot := int(m.Slot)
	if len(m.Job) > 0 {
		if slot >= jobSlots {
			return nil, fmt.Errorf("allocation %s: job slot %d is out of range", m.ID, slot)
		}
		job, err := d.decode(m.Job)
		if err != nil {
			return nil, fmt.Errorf("allocation %s: %w", m.ID, err)
		}
		for slot >= len(d.slots) {
			d.slots = append(d.slots, nil)
		}
		d.slots[slot] = job
	}
	if slot >= len(d.slots) || d.slots[slot] == nil {
		return nil, fmt.Errorf("allocation %s: job slot %d is empty", m.ID, slot)
	}
	return d.slots[slot], nil
}

// DecodeJob reads a job as it comes over the wire: how a node does it unless
// NodeConfig.DecodeJob says otherwise.
func DecodeJob(b []byte) (*api.Job, error) {
	job := &api.Job{}
	if err := json.Unmarshal(b, job); err != nil {
		return nil, fmt.Errorf("decode job: %w", err)
	}
	return job, nil
}
