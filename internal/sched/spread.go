package sched

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/drover-org/drover/api"
)

// spreads keeps how a group is distributed over attribute values, and the
// score that follows for each combination of values that nodes have.
type spreads struct {
	rules  []*spreadRule
	combos map[string]int32
	values [][]int32 // by combination, by rule; -1 where the node lacks the attribute
	scores []float64 // by combination
	key    []byte    // scratch of combo, as now is
	now    []int32
}

// spreadRule is one spread block.
type spreadRule struct {
	target  target
	weight  float64 // share of all weights
	wanted  map[string]float64
	rest    float64 // wanted of values without a target of their own
	values  map[string]int32
	counts  []float64 // by value
	desired []float64 // by value
	even    bool      // without targets
}

// newSpreads returns nil without spread blocks.
func newSpreads(job *api.Job, g *api.TaskGroup) *spreads {
	total := 0.0
	blocks := slices.Concat(job.Spreads, g.Spreads)
	for _, b := range blocks {
		total += weightOf(b.Weight)
	}
	if total == 0 {
		return nil
	}
	s := &spreads{combos: map[string]int32{}}
	for _, b := range blocks {
		r := &spreadRule{
			target: compileTarget(b.Attribute), weight: weightOf(b.Weight) / total, even: len(b.SpreadTarget) == 0,
			wanted: map[string]float64{}, values: map[string]int32{},
		}
		left := 100.0
		for _, t := range b.SpreadTarget {
			r.wanted[t.Value] = float64(t.Percent) / 100 * float64(g.CountOf())
			left -= float64(t.Percent)
		}
		r.rest = max(left, 0) / 100 * float64(g.CountOf())
		s.rules = append(s.rules, r)
	}
	return s
}

func weightOf(w *int8) float64 {
	if w == nil {
		return 50
	}
	return float64(*w)
}

// combo returns the number of a node's combination of values.
func (s *spreads) combo(n *api.Node, region string) int32 {
	s.key, s.now = s.key[:0], s.now[:0]
	for _, r := range s.rules {
		v := r.value(n, region)
		s.now = append(s.now, v)
		s.key = binary.AppendVarint(s.key, int64(v))
	}
	c, ok := s.combos[string(s.key)]
	if !ok {
		c = int32(len(s.values))
		s.combos[string(s.key)] = c
		s.values, s.scores = append(s.values, slices.Clone(s.now)), append(s.scores, 0)
	}
	return c
}

// value returns the number of a node's value, or -1.
func (r *spreadRule) value(n *api.Node, region string) int32 {
	text, ok := r.target.of(n, region)
	if !ok {
		return -1
	}
	v, ok := r.values[text]
	if !ok {
		v = int32(len(r.counts))
		r.values[text] = v
		want, targeted := r.wanted[text]
		switch {
		case r.even:
			want = 1
		case !targeted:
			want = r.rest
		}
		r.counts, r.desired = append(r.counts, 0), append(r.desired, want)
	}
	return v
}

// count notes that by more allocations run on nodes of a combination. Call
// settle afterwards.
func (s *spreads) count(combo int32, by float64) {
	for i, v := range s.values[combo] {
		if v >= 0 {
			s.rules[i].counts[v] += by
		}
	}
}

// settle computes the scores anew.
func (s *spreads) settle() {
	clear(s.scores)
	for i, r := range s.rules {
		least, most := math.Inf(1), math.Inf(-1)
		for v := range r.counts {
			if r.desired[v] > 0 {
				least, most = min(least, r.fill(int32(v))), max(most, r.fill(int32(v)))
			}
		}
		for c, values := range s.values {
			s.scores[c] += r.score(values[i], least, most)
		}
	}
}

// fill is how far one more allocation at a value would take it, on average
// between before and after, as a part of what is desired there.
func (r *spreadRule) fill(v int32) float64 { return (r.counts[v] + 0.5) / r.desired[v] }

// score is a rule's part of the score for one more allocation at a value: the
// least filled value gets 1, the most filled one -1, those between in
// proportion, and all get 0 when they are even. Values that are to have
// nothing get -1. Without targets all values are to have the same.
func (r *spreadRule) score(v int32, least, most float64) float64 {
	switch {
	case v < 0:
		return -1
	case r.desired[v] == 0:
		return -r.weight
	case most == least:
		return 0
	}
	return (most + least - 2*r.fill(v)) / (most - least) * r.weight
}
