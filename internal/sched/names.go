package sched

// indexes hands out the numbers in allocation names, the lowest free one
// first.
type indexes struct {
	used map[int]struct{}
	next int
}

func newIndexes(size int) *indexes { return &indexes{used: make(map[int]struct{}, size)} }

func (x *indexes) take(i int) {
	if i >= 0 {
		x.used[i] = struct{}{}
	}
}

func (x *indexes) has(i int) bool {
	_, ok := x.used[i]
	return ok
}

// free takes the lowest free number.
func (x *indexes) free() int {
	for x.has(x.next) {
		x.next++
	}
	x.take(x.next)
	return x.next
}

// prefer takes i if it is free and the lowest free number otherwise.
func (x *indexes) prefer(i int) int {
	if i < 0 || x.has(i) {
		return x.free()
	}
	x.take(i)
	return i
}
