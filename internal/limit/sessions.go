package limit

import "sync"

// Sessions bounds how many sessions a caller has at a time. It holds an entry
// per caller who has one, so it is bounded by what it bounds. Safe for
// concurrent use.
type Sessions struct {
	max int // 0: none is refused

	mu   sync.Mutex
	open map[Key]int // guarded by mu, like all
	all  int
}

// NewSessions returns Sessions of at most max per caller; 0 is no bound.
func NewSessions(max int) *Sessions { return &Sessions{max: max, open: map[Key]int{}} }

// Enter takes a place, and reports whether there was one. Key 0 is only
// counted.
func (s *Sessions) Enter(k Key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k != 0 {
		if s.max > 0 && s.open[k] >= s.max {
			return false
		}
		s.open[k]++
	}
	s.all++
	return true
}

// Leave gives back a place that Enter gave.
func (s *Sessions) Leave(k Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if k == 0 {
		return
	}
	if s.open[k]--; s.open[k] <= 0 {
		delete(s.open, k)
	}
}

// Open returns how many sessions there are.
func (s *Sessions) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}
