package events

import (
	"sort"
	"sync"

	"github.com/drover-org/drover/api"
)

// MaxSubscribers bounds the readers of a ring: each holds a connection, and
// this many can be woken a thousand times a second.
const MaxSubscribers = 2048

// Config bounds a Ring.
type Config struct {
	Batches      int // commands that are kept
	Bytes        int // about what the rows may take that the ring keeps from being freed
	EncodedBytes int // what is kept of the JSON that readers asked for
}

// Default bounds.
const (
	DefaultBytes        = 16 << 20 // 16,000 changes of allocations
	DefaultEncodedBytes = 16 << 20
)

// Ring keeps the latest batches. It is safe for concurrent use; Publish and
// Reset are for one goroutine at a time.
type Ring struct {
	bounds Config

	mu          sync.Mutex
	batches     []*Batch      // in order; the front is at first
	first       int           // in batches: what is before has been dropped
	dropped     uint64        // batches that were dropped in all
	bytes       int           // of the rows of all batches
	floor       uint64        // nothing is missing from this index on
	head        uint64        // last index published
	epoch       uint64        // counts Resets
	wake        chan struct{} // closed by the next publication; nil: nobody waits
	subscribers int
	missed      uint64 // batches that readers were too slow for

	encoded encodedBatches
}

// New returns an empty ring that knows of everything from index 1 on.
func New(c Config) *Ring {
	r := &Ring{bounds: c, floor: 1}
	r.encoded.bound = c.EncodedBytes
	return r
}

// Publish adds the changes of the command at index, which must be greater
// than every earlier one. The ring owns changes from now on.
func (r *Ring) Publish(index uint64, changes []Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.head = index
	if len(changes) == 0 {
		return
	}
	b := &Batch{Index: index, changes: changes, size: sizeOf(changes), ring: r}
	r.batches = append(r.batches, b)
	r.bytes += b.size
	for n := len(r.batches) - r.first; n > 1 && (n > r.bounds.Batches || r.bytes > r.bounds.Bytes); n-- {
		r.drop()
	}
	if r.wake != nil {
		close(r.wake)
		r.wake = nil
	}
}

// drop forgets the oldest batch. The lock is held.
func (r *Ring) drop() {
	b := r.batches[r.first]
	r.batches[r.first] = nil
	r.first++
	r.dropped++
	r.bytes -= b.size
	r.floor = b.Index + 1
	if r.first > len(r.batches)/2 && r.first > 64 {
		r.batches = append([]*Batch(nil), r.batches[r.first:]...)
		r.first = 0
	}
}

// Reset empties the ring, because the state was replaced by that of index.
func (r *Ring) Reset(index uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropped += uint64(len(r.batches) - r.first)
	r.batches, r.first, r.bytes = nil, 0, 0
	r.floor, r.head = index+1, index
	r.epoch++
	if r.wake != nil {
		close(r.wake)
		r.wake = nil
	}
}

// Stats are a ring's figures.
type Stats struct {
	Subscribers int
	Batches     int
	Bytes       int
	Missed      uint64 // batches that readers were too slow for
}

// Stats returns the figures of this moment.
func (r *Ring) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Stats{Subscribers: r.subscribers, Batches: len(r.batches) - r.first, Bytes: r.bytes, Missed: r.missed}
}

// Subscription is one reader's place. It is for one goroutine.
type Subscription struct {
	ring  *Ring
	next  uint64 // everything below was taken or reported missing
	pos   uint64 // of the next batch, counted from the first one ever
	epoch uint64
	gap   *api.EventGap   // to be told first
	ready <-chan struct{} // set by a Take that found nothing
	seen  uint64          // head at that time
}

// Subscribe begins at index from, included; 0 is the oldest that is kept.
// current is an index of the state that the caller has seen: a from beyond it
// belongs to another history and gives a gap. The error is an api.Error.
func (r *Ring) Subscribe(from, current uint64) (*Subscription, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.subscribers >= MaxSubscribers {
		return nil, api.Errorf(api.CodeLimited, "%d event streams are open, which is the most that this server serves: try later", r.subscribers)
	}
	r.subscribers++
	s := &Subscription{ring: r, next: from, epoch: r.epoch}
	if from == 0 {
		s.next = r.floor
	}
	if last := max(current, r.head); from > last+1 {
		s.gap = &api.EventGap{From: last + 1, To: last, Reason: "the index asked for lies ahead of this server's state: it belongs to another history"}
		s.next = last + 1
	}
	s.seek()
	return s, nil
}

// seek finds the batch of next. The ring's lock is held.
func (s *Subscription) seek() {
	kept := s.ring.batches[s.ring.first:]
	i := sort.Search(len(kept), func(i int) bool { return kept[i].Index >= s.next })
	s.pos = s.ring.dropped + uint64(i)
}

// Close gives the place up.
func (s *Subscription) Close() {
	s.ring.mu.Lock()
	defer s.ring.mu.Unlock()
	s.ring.subscribers--
}

// Take returns the next batch, or a gap in front of it. With neither there is
// nothing new; Ready then tells when to ask again.
func (s *Subscription) Take() (*Batch, *api.EventGap) {
	r := s.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.gap != nil {
		gap := s.gap
		s.gap = nil
		return nil, gap
	}
	if s.epoch != r.epoch {
		gap := &api.EventGap{From: min(s.next, r.floor), To: r.floor - 1, Reason: "the state was replaced by that of a snapshot"}
		s.epoch, s.next = r.epoch, r.floor
		s.seek()
		return nil, gap
	}
	if s.next < r.floor {
		gap := &api.EventGap{From: s.next, To: r.floor - 1, Reason: "these events are no longer kept"}
		if s.pos < r.dropped {
			r.missed += r.dropped - s.pos
		}
		s.next = r.floor
		s.seek()
		return nil, gap
	}
	if at := int(s.pos - r.dropped); at < len(r.batches)-r.first {
		b := r.batches[r.first+at]
		s.pos++
		s.next = b.Index + 1
		return b, nil
	}
	if r.wake == nil {
		r.wake = make(chan struct{})
	}
	s.ready, s.seen = r.wake, r.head
	return nil, nil
}

// Ready is closed when there is something new after a Take that found
// nothing.
func (s *Subscription) Ready() <-chan struct{} { return s.ready }

// Seen returns the index up to which Take has given everything there is, after
// a Take that found nothing.
func (s *Subscription) Seen() uint64 { return s.seen }
