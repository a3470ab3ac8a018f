package fit

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestMergeKeepsOrderAndRepetitions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := func(name string) []uint16 {
			l := rapid.SliceOfN(rapid.Uint16Range(0, 20), 0, 12).Draw(t, name)
			slices.Sort(l)
			return l
		}
		a, b := list("a"), list("b")
		want := append(slices.Clone(a), b...)
		slices.Sort(want)
		if got := merge(a, b); !slices.Equal(got, want) {
			t.Fatalf("%v and %v make %v", a, b, got)
		}
	})
}
