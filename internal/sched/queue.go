package sched

// candidate is a node with its score, as far as it does not depend on spread.
type candidate struct {
	sum   float64 // of its score terms
	tie   uint32  // order among equal scores, greater first
	node  int32
	terms uint8
}

// before reports whether a is a better choice than b within one queue.
func (a *candidate) before(b *candidate) bool {
	return a.sum > b.sum || a.sum == b.sum && a.tie > b.tie
}

// queue is a heap of candidates with the same number of terms and the same
// spread score: the best of them is the first. at tells where each node is;
// queues of one field share it, for a node is in one queue at most.
type queue struct {
	number int32 // counted from 1
	items  []candidate
	at     []int32
}

func (q *queue) push(c candidate) {
	q.items = append(q.items, c)
	q.up(len(q.items) - 1)
}

// replace gives the candidate at i another score.
func (q *queue) replace(i int, c candidate) {
	q.items[i] = c
	q.up(i)
	q.down(int(q.at[c.node]))
}

// remove drops the candidate at i.
func (q *queue) remove(i int) {
	last := len(q.items) - 1
	c := q.items[last]
	q.items = q.items[:last]
	if i < last {
		q.replace(i, c)
	}
}

func (q *queue) up(i int) {
	c := q.items[i]
	for i > 0 {
		parent := (i - 1) / 2
		if !c.before(&q.items[parent]) {
			break
		}
		q.put(i, q.items[parent])
		i = parent
	}
	q.put(i, c)
}

func (q *queue) down(i int) {
	n := len(q.items)
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
		q.put(i, q.items[child])
		i = child
	}
	q.put(i, c)
}

func (q *queue) put(i int, c candidate) {
	q.items[i] = c
	q.at[c.node] = int32(i)
}

// order makes items that were appended without push a heap.
func (q *queue) order() {
	for i := range q.items {
		q.at[q.items[i].node] = int32(i)
	}
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
