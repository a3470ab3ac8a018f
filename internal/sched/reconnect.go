package sched

import (
	"cmp"
	"slices"
	"time"

	"github.com/drover-org/drover/api"
)

// unique leaves one allocation per name: of a promoted canary and its
// predecessor the newer version, of an allocation that came back after its
// node was out of touch and its replacement the one that the group's
// disconnect block prefers. The others are stopped.
func (r *reconciler) unique(g *api.TaskGroup, kept []*subject) []*subject {
	first := make(map[int]int, len(kept)) // place in out, by index
	out := kept[:0]
	for _, s := range kept {
		at, dup := first[s.index]
		if !dup || s.index < 0 {
			first[s.index] = len(out)
			out = append(out, s)
			continue
		}
		winner, loser := out[at], s
		if prefer(g, s, out[at]) {
			winner, loser = s, out[at]
		}
		out[at] = winner
		if loser.live() {
			text := api.AllocNotNeeded
			if reconnected(winner) || reconnected(loser) {
				text = api.AllocReconnectedLoser
				r.w.update(g.Name).Reconnect++
			}
			r.w.update(g.Name).Stop++
			r.end(loser.a, text)
		}
	}
	return out
}

func reconnected(s *subject) bool { return !unknownSince(s.a).IsZero() }

// prefer reports whether a is to stay rather than b.
func prefer(g *api.TaskGroup, a, b *subject) bool {
	done := func(s *subject) bool { return s.a.ClientStatus == api.AllocClientComplete }
	switch {
	case done(a) != done(b):
		return done(a)
	case a.live() != b.live():
		return a.live()
	case a.current != b.current:
		return a.current
	case reconnected(a) == reconnected(b) || g.Disconnect == nil:
		return a.a.CreateIndex > b.a.CreateIndex
	}
	original, replacement := a, b
	if reconnected(b) {
		original, replacement = b, a
	}
	keepOriginal := true
	switch g.Disconnect.Reconcile {
	case "keep_replacement":
		keepOriginal = false
	case "longest_running":
		keepOriginal = !startedAt(replacement.a).Before(startedAt(original.a))
	case "", "best_score":
		keepOriginal = placedScore(original.a) >= placedScore(replacement.a)
	}
	return keepOriginal == (original == a)
}

// startedAt returns when an allocation's first task started; one that never
// did started last.
func startedAt(a *api.Allocation) time.Time {
	first := time.Unix(1<<40, 0)
	for _, t := range a.TaskStates {
		if t != nil && !t.StartedAt.IsZero() && t.StartedAt.Before(first) {
			first = t.StartedAt
		}
	}
	return first
}

func placedScore(a *api.Allocation) float64 {
	if a.Metrics == nil || len(a.Metrics.ScoreMetaData) == 0 {
		return 0
	}
	return a.Metrics.ScoreMetaData[0].NormScore
}

// trim leaves at most want allocations and stops the others: those that ended
// first, then unknown ones, then those with the highest numbers.
func (r *reconciler) trim(g *api.TaskGroup, kept []*subject, want int) []*subject {
	if len(kept) <= want {
		return kept
	}
	rank := func(s *subject) int {
		switch {
		case s.a.ClientStatus == api.AllocClientComplete:
			return 0
		case !s.live():
			return 3
		case s.fate == unknown || s.fate == disconnected:
			return 2
		}
		return 1
	}
	slices.SortStableFunc(kept, func(a, b *subject) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.index, b.index))
	})
	for _, s := range kept[want:] {
		if s.live() {
			r.w.update(g.Name).Stop++
			r.end(s.a, api.AllocNotNeeded)
		}
	}
	return kept[:want]
}
