package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	const events = `{"Action":"output","Test":"TestA","Output":"    a.go:1: error: boom\n"}
{"Action":"fail","Test":"TestA/sub"}
{"Action":"fail","Test":"TestA"}
{"Action":"pass","Test":"TestB"}
{"Action":"output","Test":"TestC","Output":"    c.go:1: no root\n"}
{"Action":"skip","Test":"TestC"}
{"Action":"output","Test":"TestD","Output":"=== RUN TestD\n"}
`
	for name, tt := range map[string]struct {
		known string
		ok    bool
		want  string
	}{
		"nothing known":           {"", false, "unexpected: TestA fails: a.go:1: error: boom"},
		"a panic ends the run":    {"TestA known", false, "unexpected: TestD fails: never ended"},
		"as expected":             {"# why\nTestA known\nTestD hangs", true, "ok: 1 passed, 2 failed, 1 skipped of 4"},
		"a listed one passes":     {"TestA known\nTestD hangs\nTestB broken", false, "TestB passes"},
		"a listed one is no test": {"TestA known\nTestD hangs\nTestZ old", false, "TestZ is no test"},
		"sometimes":               {"TestA known\nTestD hangs\nTestB sometimes: a race", true, "ok:"},
	} {
		known, err := parseKnown(strings.NewReader(tt.known), "file")
		if err != nil {
			t.Fatal(err)
		}
		results, err := collect(strings.NewReader(events))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if ok := report(&out, results, known, options{}); ok != tt.ok || !strings.Contains(out.String(), tt.want) {
			t.Errorf("%s: %t, want %t with %q:\n%s", name, ok, tt.ok, tt.want, out.String())
		}
	}
	for _, bad := range []string{"TestA", "TestA x\nTestA y"} {
		if _, err := parseKnown(strings.NewReader(bad), "file"); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
