package limit

import (
	"sync"
	"time"
)

// The table of a Rate: 16,384 callers in 256 KiB.
const (
	rateSets = 2048
	rateWays = 8
)

// Rate is a token bucket per caller. Its table has a fixed size: a caller who
// has been quiet long enough is the same as one who was never there, and a
// full table forgets the quietest first. Safe for concurrent use.
type Rate struct {
	each  time.Duration // what one request costs
	burst time.Duration // how far ahead of time a caller may be

	sets [rateSets]rateSet
}

type rateSet struct {
	mu    sync.Mutex
	slots [rateWays]rateSlot // guarded by mu
}

// rateSlot is a bucket as the moment at which it is full again.
type rateSlot struct {
	key  Key
	full time.Duration
}

// NewRate returns a Rate of so many requests a second, and so many at once.
// perSecond is above 0, burst at least 1.
func NewRate(perSecond float64, burst int) *Rate {
	each := max(time.Duration(float64(time.Second)/perSecond), 1)
	return &Rate{each: each, burst: each * time.Duration(burst)}
}

// Take asks for one request at a moment, counted from any fixed one, and
// returns 0, or how long the caller has to wait before it asks again.
func (r *Rate) Take(k Key, at time.Duration) (wait time.Duration) {
	set := &r.sets[uint64(k)>>1%rateSets]
	set.mu.Lock()
	defer set.mu.Unlock()
	quietest := 0
	for i := range set.slots {
		if set.slots[i].key == k {
			return r.take(&set.slots[i], at)
		}
		if set.slots[i].full < set.slots[quietest].full {
			quietest = i
		}
	}
	s := &set.slots[quietest]
	*s = rateSlot{key: k}
	return r.take(s, at)
}

func (r *Rate) take(s *rateSlot, at time.Duration) time.Duration {
	full := max(s.full, at) + r.each
	if ahead := full - at; ahead > r.burst {
		return ahead - r.burst
	}
	s.full = full
	return 0
}
