package sched

// candidate is a node with its score, as far as it does not depend on spread.
type candidate struct {
	sum   float64 // of its score terms
	tie   uint32  // order among equal scores, greater first
	stamp uint32  // outdated when it is not the node's
	node  int32
	terms uint8
}

// before reports whether a is a better choice than b within one queue.
func (a *candidate) before(b *candidate) bool {
	return a.sum > b.sum || a.sum == b.sum && a.tie > b.tie
}

// queue is a heap of candidates with the same number of terms and the same
// spread score: the best of them is the first.
type queue struct {
	combo int32
	terms uint8
	items []candidate
}

func (q *queue) push(c candidate) {
	q.items = append(q.items, c)
	i := len(q.items) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !c.before(&q.items[parent]) {
			break
		}
		q.items[i] = q.items[parent]
		i = parent
	}
	q.items[i] = c
}

// pop drops the first.
func (q *queue) pop() {
	last := len(q.items) - 1
	q.items[0] = q.items[last]
	q.items = q.items[:last]
	q.down(0)
}

func (q *queue) down(i int) {
	n := len(q.items)
	if i >= n {
		return
	}
	c := q.items[i]
	for {
		child := 2*i + 1
		if child >= n {
			break
		}
		if child+1 < n && q.items[child+1].before(&q.items[child]) {
			child++
		}
		if !q.items[child].before(&c) {
			break
		}
		q.items[i] = q.items[child]
		i = child
	}
	q.items[i] = c
}

// order makes items that were appended without push a heap.
func (q *queue) order() {
	for i := len(q.items)/2 - 1; i >= 0; i-- {
		q.down(i)
	}
}

// place is a position in a queue, with the score that the candidate there has
// now.
type place struct {
	q     *queue
	at    int
	score float64
}
