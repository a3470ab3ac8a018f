package cli

import (
	"fmt"
	"sort"
	"strings"

	"github.com/drover-org/drover/api"
)

// explain says in sentences why a group could not be placed, the reason that
// cost most nodes first.
func explain(group string, m *api.AllocMetric) []string {
	missing := 1 + m.CoalescedFailures
	head := fmt.Sprintf("Group %q: no place for %s", group, plural(missing, "allocation"))
	switch {
	case m.NodesEvaluated == 0 && m.NodesInPool == 0 && m.NodePool != "":
		return []string{head + fmt.Sprintf(": node pool %q has no node that is ready", m.NodePool)}
	case m.NodesEvaluated == 0:
		return []string{head + ": no node is ready in " + datacenters(m)}
	}
	out := []string{head + fmt.Sprintf(" on %s in %s", plural(m.NodesEvaluated, "node"), datacenters(m))}
	out = append(out, counted(m.ConstraintFiltered, filteredText)...)
	if len(m.ConstraintFiltered) == 0 {
		out = append(out, counted(m.ClassFiltered, func(c string, n int) string {
			return fmt.Sprintf("%s of class %q %s ruled out", plural(n, "node"), c, verbFor(n, "is", "are"))
		})...)
	}
	out = append(out, counted(m.DimensionExhausted, exhaustedText)...)
	if m.NodesExhausted > 0 && len(m.DimensionExhausted) == 0 {
		out = append(out, fmt.Sprintf("  %s %s full", plural(m.NodesExhausted, "node"), verbFor(m.NodesExhausted, "is", "are")))
	}
	for _, q := range m.QuotaExhausted {
		out = append(out, fmt.Sprintf("  the quota is used up: %s", q))
	}
	return out
}

// filteredText tells why n nodes can't run a group at all.
func filteredText(why string, n int) string {
	if what, ok := strings.CutPrefix(why, "missing "); ok {
		return fmt.Sprintf("%s %s the %s that the group needs", plural(n, "node"), verbFor(n, "lacks", "lack"), what)
	}
	return fmt.Sprintf("%s %s not meet the constraint %q", plural(n, "node"), verbFor(n, "does", "do"), why)
}

// exhaustedText tells what n nodes have too little of now.
func exhaustedText(what string, n int) string {
	nodes := plural(n, "node")
	switch {
	case strings.HasPrefix(what, "network: "):
		return fmt.Sprintf("%s %s a port that the group needs already in use (%s)", nodes, verbFor(n, "has", "have"), strings.TrimPrefix(what, "network: "))
	case what == "allocs":
		return fmt.Sprintf("%s %s as many allocations as allowed", nodes, verbFor(n, "has", "have"))
	}
	return fmt.Sprintf("%s %s not enough %s left", nodes, verbFor(n, "has", "have"), what)
}

func verbFor(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// counted makes a line per key, the largest count first.
func counted(m map[string]int, line func(string, int) string) []string {
	names := keys(m)
	sort.SliceStable(names, func(i, j int) bool { return m[names[i]] > m[names[j]] })
	out := make([]string, 0, len(names))
	for _, k := range names {
		out = append(out, "  "+line(k, m[k]))
	}
	return out
}

func datacenters(m *api.AllocMetric) string {
	names := keys(m.NodesAvailable)
	if len(names) == 0 {
		return "the job's datacenters"
	}
	for i, k := range names {
		names[i] = fmt.Sprintf("%s (%d ready)", k, m.NodesAvailable[k])
	}
	return "datacenter " + strings.Join(names, ", ")
}

// placementFailures prints the reasons for every group that has some.
func (e *env) placementFailures(failed map[string]*api.AllocMetric, indent string) {
	for _, g := range keys(failed) {
		for i, line := range explain(g, failed[g]) {
			if i == 0 {
				line = e.out.yellow(line)
			}
			e.say("%s%s", indent, visible(line))
		}
	}
}

// scoreTable shows the nodes that were scored, the best first.
func (e *env) scoreTable(m *api.AllocMetric) {
	names := map[string]bool{}
	for _, s := range m.ScoreMetaData {
		for k := range s.Scores.Map() {
			names[k] = true
		}
	}
	cols := keys(names)
	t := newTable(append([]string{"Node", "Final"}, cols...)...)
	for _, s := range m.ScoreMetaData {
		cells := []string{short(s.NodeID), fmt.Sprintf("%.3f", s.NormScore)}
		for _, c := range cols {
			v, ok := s.Scores.Get(c)
			if !ok {
				cells = append(cells, "-")
				continue
			}
			cells = append(cells, fmt.Sprintf("%.3f", v))
		}
		t.row(cells...)
	}
	e.show(t)
}
