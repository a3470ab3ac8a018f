package evals

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/drover-org/drover/api"
)

// An order is written as namespace and number, in the order of registration;
// a priority other than 50 follows a slash.
func TestNamespacesTakeTurns(t *testing.T) {
	for _, tt := range []struct{ name, inFlight, waiting, want string }{
		{"one namespace: the oldest first", "", "a1 a2 a3", "a1 a2 a3"},
		{"two take turns", "", "a1 a2 a3 b4 b5", "a1 b4 a2 b5 a3"},
		{"priority before turns", "", "a1 a2 b3/70 a4/70 a5/70", "b3 a4 a5 a1 a2"},
		{"what is in flight was a turn", "a8 a9", "a1 a2 b3 b4", "b3 b4 a1 a2"},
		{"three, one of them late", "", "a1 a2 a3 b4 b5 c6", "a1 b4 c6 a2 b5 a3"},
	} {
		l := &Loop{inFlight: map[api.NamespacedID]struct{}{}}
		for _, name := range strings.Fields(tt.inFlight) {
			l.inFlight[api.NamespacedID{Namespace: name[:1], ID: name}] = struct{}{}
		}
		var start []*candidate
		for i, text := range strings.Fields(tt.waiting) {
			name, priority, _ := strings.Cut(text, "/")
			e := &api.Evaluation{ID: name, Priority: 50, CreateIndex: uint64(i)}
			if priority != "" {
				if _, err := fmt.Sscan(priority, &e.Priority); err != nil {
					t.Fatal(err)
				}
			}
			start = append(start, &candidate{key: api.NamespacedID{Namespace: name[:1], ID: name}, eval: e})
		}
		slices.Reverse(start) // they come out of a map
		l.order(start)
		var got []string
		for _, c := range start {
			got = append(got, c.eval.ID)
		}
		if text := strings.Join(got, " "); text != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, text, tt.want)
		}
	}
}
