package main

import (
	"strings"
	"testing"
	"time"
)

func TestSummary(t *testing.T) {
	const good = `{"Action":"run","Package":"a","Test":"TestA"}
{"Action":"output","Package":"a","Test":"TestA","Output":"noise\n"}
{"Action":"pass","Package":"a","Test":"TestA","Elapsed":0.1}
{"Action":"pass","Package":"a","Elapsed":0.2}
`
	const skipped = `{"Action":"output","Package":"b","Test":"TestB","Output":"    b_test.go:1: needs root\n"}
{"Action":"skip","Package":"b","Test":"TestB"}
{"Action":"pass","Package":"b","Elapsed":0.2}
`
	const bad = `{"Action":"output","Package":"c","Test":"TestC","Output":"wanted 1\n"}
{"Action":"fail","Package":"c","Test":"TestC"}
{"Action":"fail","Package":"c","Elapsed":0.2}
`
	const unbuilt = `{"ImportPath":"d","Action":"build-output","Output":"d.go:1: no\n"}
{"ImportPath":"d","Action":"build-fail"}
{"Action":"fail","Package":"d","Elapsed":0,"FailedBuild":"d"}
`
	const died = `{"Action":"output","Package":"e","Test":"TestE","Output":"panic: no\n"}
{"Action":"fail","Package":"e","Elapsed":0.2}
`
	for _, c := range []struct {
		name, in string
		strict   bool
		floor    int
		ok       bool
		has      []string
	}{
		{"good", good, true, 1, true, []string{"ok: 1 tests in 1 packages, 0 skipped, 3 s\n"}},
		{"too few", good, true, 2, false, []string{"FAIL: at least 2 tests"}},
		{"too few, not strict", good, false, 2, true, []string{"ok: 1 tests"}},
		{"skipped", good + skipped, false, 0, true, []string{"skipped: b TestB: b_test.go:1: needs root", "1 skipped"}},
		{"skipped, strict", good + skipped, true, 0, false, []string{"FAIL: skipped"}},
		{"failed", good + bad, false, 0, false, []string{"wanted 1", "failed: c TestC", "FAIL: 1 failed of 2 tests"}},
		{"unbuilt", good + unbuilt, false, 0, false, []string{"d.go:1: no", "broken: d", "FAIL"}},
		{"died", died, false, 0, false, []string{"panic: no", "broken: e"}},
		{"nothing", "", false, 0, false, []string{"no test ran"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			s := newSummary(&out)
			if err := s.read(strings.NewReader(c.in)); err != nil {
				t.Fatal(err)
			}
			if ok := s.conclude(c.strict, c.floor, 3*time.Second); ok != c.ok {
				t.Errorf("ok is %v, want %v", ok, c.ok)
			}
			for _, want := range c.has {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in:\n%s", want, out.String())
				}
			}
			if strings.Contains(out.String(), "noise") {
				t.Errorf("output of a test that passed is shown:\n%s", out.String())
			}
		})
	}
}
