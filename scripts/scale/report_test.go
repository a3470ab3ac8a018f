package main

import (
	"testing"
	"time"
)

func TestSummary(t *testing.T) {
	var l latencies
	for i := range 100 {
		l = append(l, time.Duration(100-i)*time.Millisecond)
	}
	if got, want := l.summary(), (summary{100, 50, 90, 99, 100}); got != want {
		t.Errorf("%+v, not %+v", got, want)
	}
	if got := (latencies{}).summary(); got != (summary{}) {
		t.Errorf("of nothing: %+v", got)
	}
}

func TestParseTally(t *testing.T) {
	if got, ok := parseTally("9 of 10 nodes connected, 5 allocations running"); !ok || got != (tally{9, 5}) {
		t.Errorf("%+v, %t", got, ok)
	}
	if got, ok := parseTally("1 of 1 node connected, 1 allocation running, 1 dead"); !ok || got != (tally{1, 1}) {
		t.Errorf("%+v, %t", got, ok)
	}
	if _, ok := parseTally("something else that has at least eight words"); ok {
		t.Error("anything counts")
	}
}
