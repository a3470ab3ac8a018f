package sched

import (
	"math"
	"slices"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/fit"
)

// field is the nodes that may take allocations of one group of one job
// version, in the order of their scores.
type field struct {
	*fleet
	check    *checker
	need     *need
	explain  *explain
	spreads  *spreads
	affinity *affinities
	uniform  bool // the pool's algorithm is spread
	seed     uint64

	*scratch
	hosts   map[int32]int      // allocations among which hosts are distinct
	tallies []map[string]int   // per distinct property: allocations by value
	queues  []*queue           // by combination and number of terms
	slot    map[[2]int32]int32 // place in queues
}

// scratch is what a field keeps for each node. One is used again and again.
type scratch struct {
	feasible []bool
	combos   []int32   // of spread values
	mates    []int32   // allocations of the same group
	liking   []float64 // affinity score
	home     []int32   // the node's queue, counted from 1; 0 for none
	at       []int32   // its place there
	short    []string  // what a feasible node lacks
	frontier []place   // of best
}

// reset clears s for n nodes.
func (s *scratch) reset(n int) {
	s.feasible, s.combos, s.mates = cleared(s.feasible, n), cleared(s.combos, n), cleared(s.mates, n)
	s.liking, s.home, s.at, s.short = cleared(s.liking, n), cleared(s.home, n), cleared(s.at, n), cleared(s.short, n)
}

func cleared[T any](s []T, n int) []T {
	s = slices.Grow(s[:0], n)[:n]
	clear(s)
	return s
}

// evaluate finds the nodes that suit and scores them.
func (f *field) evaluate(residents []*resident) {
	f.reset(len(f.nodes))
	f.explain.begin(len(f.kinds))
	for i, node := range f.nodes {
		if !f.explain.look(f.check, node, f.kind[i]) {
			continue
		}
		f.feasible[i] = true
		if f.spreads != nil {
			f.combos[i] = f.spreads.combo(node, f.check.job.Region)
		}
		if f.affinity != nil {
			f.liking[i] = f.affinity.score(node)
		}
	}
	f.explain.sum()
	f.slot, f.hosts = map[[2]int32]int32{}, map[int32]int{}
	f.tallies = make([]map[string]int, len(f.check.properties))
	for i := range f.tallies {
		f.tallies[i] = map[string]int{}
	}
	for _, r := range residents {
		if !r.gone {
			f.count(r, 1)
		}
	}
	if f.spreads != nil {
		f.spreads.settle()
	}
	for i := range f.nodes {
		if f.feasible[i] {
			f.enter(int32(i), false)
		}
	}
	for _, q := range f.queues {
		q.order()
	}
}

// resident is an allocation of the job that counts where it runs.
type resident struct {
	alloc *api.Allocation
	node  int32
	group string
	gone  bool // replaced
}

// count notes by more allocations like r.
func (f *field) count(r *resident, by int) {
	same := r.group == f.check.group.Name
	if same {
		f.mates[r.node] += int32(by)
		if f.spreads != nil && f.feasible[r.node] {
			f.spreads.count(f.combos[r.node], float64(by))
		}
	}
	if d := f.check.distinctHosts; d == amongJob || d == amongGroup && same {
		f.hosts[r.node] += by
	}
	for i := range f.check.properties {
		d := &f.check.properties[i]
		if d.among == amongJob || same {
			if v, ok := d.target.of(f.nodes[r.node], f.check.job.Region); ok {
				f.tallies[i][v] += by
			}
		}
	}
}

// clash returns the constraint on distinct hosts or properties that keeps
// another allocation off a node, or "".
func (f *field) clash(i int32) string {
	if f.check.distinctHosts != amongNone && f.hosts[i] > 0 {
		return api.OperandDistinctHosts
	}
	for k := range f.check.properties {
		d := &f.check.properties[k]
		v, ok := d.target.of(f.nodes[i], f.check.job.Region)
		if !ok || f.tallies[k][v] >= d.limit {
			return d.text
		}
	}
	return ""
}

// enter puts a feasible node where its score belongs now, or nowhere when it
// has no room, which is noted. Without sift the queue must be ordered later.
func (f *field) enter(i int32, sift bool) {
	c, ok := f.score(i)
	if !ok {
		f.leave(i)
		return
	}
	q := f.queue(f.combos[i], c.terms)
	switch {
	case !sift:
		q.items = append(q.items, c)
	case f.home[i] == q.number:
		q.replace(int(f.at[i]), c)
	default:
		f.leave(i)
		q.push(c)
	}
	f.home[i] = q.number
}

// leave takes a node out of its queue.
func (f *field) leave(i int32) {
	if h := f.home[i]; h != 0 {
		f.queues[h-1].remove(int(f.at[i]))
		f.home[i] = 0
	}
}

func (f *field) queue(combo int32, terms uint8) *queue {
	key := [2]int32{combo, int32(terms)}
	at, ok := f.slot[key]
	if !ok {
		at = int32(len(f.queues))
		f.slot[key] = at
		q := &queue{number: at + 1, at: f.at}
		if f.spreads == nil && at == 0 {
			q.items = make([]candidate, 0, len(f.nodes))
		}
		f.queues = append(f.queues, q)
	}
	return f.queues[at]
}

// score scores a feasible node without spread. ok is false when the node has
// no room.
func (f *field) score(i int32) (c candidate, ok bool) {
	if why := f.clash(i); why != "" {
		f.short[i] = why
		return c, false
	}
	why := f.lacks(i, f.need)
	if f.short[i] = why; why != "" {
		return c, false
	}
	c = candidate{node: i, tie: uint32(fit.Mix(f.seed + uint64(i)))}
	c.sum, c.terms = f.packing(i), 1
	if f.mates[i] > 0 {
		c.sum += f.crowding(i)
		c.terms++
	}
	if f.liking[i] != 0 {
		c.sum += f.liking[i]
		c.terms++
	}
	return c, true
}

// term is one number of a node's score.
type term struct {
	name   string
	value  float64
	counts bool
}

// terms returns a node's score terms, without spread and penalty.
func (f *field) terms(i int32) [3]term {
	return [3]term{
		{api.ScoreBinPack, f.packing(i), true},
		{api.ScoreAntiAff, f.crowding(i), f.mates[i] > 0},
		{api.ScoreAffinity, f.liking[i], f.liking[i] != 0},
	}
}

// packing scores how well a node is used with the allocation on it, 0 to 1.
func (f *field) packing(i int32) float64 {
	c, u := &f.caps[i], f.used[i]
	cpu := free(u.CPU+f.need.cpu(c), c.CPU)
	memory := free(u.MemoryMB+f.need.MemoryMB, c.MemoryMB)
	total := math.Exp(cpu*math.Ln10) + math.Exp(memory*math.Ln10)
	score := 20 - total
	if f.uniform {
		score = total - 2
	}
	return min(max(score, 0), 18) / 18
}

func free(used, capacity int64) float64 {
	if capacity <= 0 {
		return 0
	}
	return 1 - float64(used)/float64(capacity)
}

// crowding scores how many allocations of the group a node runs already.
func (f *field) crowding(i int32) float64 {
	return -float64(f.mates[i]+1) / float64(max(f.check.group.CountOf(), 1))
}

// normal returns a candidate's score: the mean of its terms, spread included.
func (f *field) normal(c *candidate) float64 {
	sum, terms := c.sum, float64(c.terms)
	if f.spreads != nil {
		if s := f.spreads.scores[f.combos[c.node]]; s != 0 {
			sum, terms = sum+s, terms+1
		}
	}
	return sum / terms
}

// scored is a node with its score.
type scored struct {
	candidate
	score     float64
	penalised bool
}

func (a *scored) before(b *scored) bool {
	return a.score > b.score || a.score == b.score && a.tie > b.tie
}

// best returns the n best nodes, the best first.
func (f *field) best(n int, out []scored) []scored {
	f.frontier = f.frontier[:0]
	for _, q := range f.queues {
		f.reach(q, 0)
	}
	for len(f.frontier) > 0 && len(out) < n {
		at := 0
		for k := range f.frontier {
			if f.ahead(&f.frontier[k], &f.frontier[at]) {
				at = k
			}
		}
		p := f.frontier[at]
		f.frontier[at] = f.frontier[len(f.frontier)-1]
		f.frontier = f.frontier[:len(f.frontier)-1]
		out = append(out, scored{candidate: p.q.items[p.at], score: p.score})
		f.reach(p.q, 2*p.at+1)
		f.reach(p.q, 2*p.at+2)
	}
	return out
}

func (f *field) reach(q *queue, at int) {
	if at < len(q.items) {
		f.frontier = append(f.frontier, place{q, at, f.normal(&q.items[at])})
	}
}

// ahead orders places by score, and within a queue as the queue does: equal
// scores may have different sums.
func (f *field) ahead(a, b *place) bool {
	x, y := &a.q.items[a.at], &b.q.items[b.at]
	if a.q == b.q {
		return x.before(y)
	}
	return a.score > b.score || a.score == b.score && x.tie > y.tie
}

// rank returns the best nodes for an ask, the best first. Nodes on which
// predecessors failed count with their penalty.
func (f *field) rank(a *ask, out []scored) []scored {
	var penalised []int32
	for _, id := range a.penalty {
		if i, ok := f.index[id]; ok && f.feasible[i] && !slices.Contains(a.refused, i) {
			f.leave(i)
			penalised = append(penalised, i)
		}
	}
	out = f.best(api.MaxScoreMeta, out)
	if len(penalised) == 0 {
		return out
	}
	for _, i := range penalised {
		if c, ok := f.score(i); ok {
			c.sum--
			c.terms++
			out = append(out, scored{c, f.normal(&c), true})
		}
		f.enter(i, true)
	}
	slices.SortFunc(out, func(a, b scored) int {
		if a.before(&b) {
			return -1
		}
		return 1
	})
	return out[:min(len(out), api.MaxScoreMeta)]
}

// meta explains scores. It makes three allocations whatever the number.
func (f *field) meta(list []scored) []*api.NodeScoreMeta {
	metas := make([]api.NodeScoreMeta, len(list))
	out := make([]*api.NodeScoreMeta, len(list))
	values := make([]float64, 0, 6*len(list))
	for k := range list {
		s, m := &list[k], &metas[k]
		m.NodeID, m.NormScore = f.nodes[s.node].ID, s.score
		start := len(values)
		m.Scores.Values = values[start:start:cap(values)]
		for _, t := range f.terms(s.node) {
			if t.counts {
				m.Scores.Set(t.name, t.value)
			}
		}
		if s.penalised {
			m.Scores.Set(api.ScorePenalty, -1)
		}
		if f.spreads != nil {
			if v := f.spreads.scores[f.combos[s.node]]; v != 0 {
				m.Scores.Set(api.ScoreSpread, v)
			}
		}
		values = values[:start+len(m.Scores.Values)]
		m.Scores.Values = slices.Clip(m.Scores.Values)
		out[k] = m
	}
	return out
}

// affinities score nodes by what a group prefers.
type affinities struct {
	region  string
	list    []*predicate
	weights []float64
	total   float64
	escapes bool
	classes map[string]float64
}

// newAffinities returns nil for a group without preferences.
func newAffinities(job *api.Job, g *api.TaskGroup) *affinities {
	a := &affinities{region: job.Region, classes: map[string]float64{}}
	all := slices.Concat(job.Affinities, g.Affinities)
	for _, t := range g.Tasks {
		all = append(all, t.Affinities...)
	}
	for _, x := range all {
		p := compile(x.LTarget, x.Operand, x.RTarget)
		a.list, a.weights = append(a.list, p), append(a.weights, weightOf(x.Weight))
		a.total += math.Abs(weightOf(x.Weight))
		a.escapes = a.escapes || p.escapes()
	}
	if a.total == 0 {
		return nil
	}
	return a
}

func (a *affinities) score(n *api.Node) float64 {
	if a.escapes || n.ComputedClass == "" {
		return a.evaluate(n)
	}
	s, known := a.classes[n.ComputedClass]
	if !known {
		s = a.evaluate(n)
		a.classes[n.ComputedClass] = s
	}
	return s
}

func (a *affinities) evaluate(n *api.Node) float64 {
	sum := 0.0
	for i, p := range a.list {
		if p.match(n, a.region) {
			sum += a.weights[i]
		}
	}
	return sum / a.total
}
