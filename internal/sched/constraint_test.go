package sched

import (
	"testing"

	"github.com/drover-org/drover/api"
)

func TestOperators(t *testing.T) {
	n := &api.Node{
		ID: "id-1", Name: "web-7", Datacenter: "dc1", NodeClass: "big", NodePool: "gpu",
		Attributes: map[string]string{"cores": "8", "ratio": "1.5", "os": "linux", "v": "1.2.3", "pre": "2.0.0-beta.1", "list": "a, b,c", "unique.x": "y", "empty": ""},
		Meta:       map[string]string{"rack": "r1"},
	}
	for _, tc := range []struct {
		left, op, right string
		want            bool
	}{
		{"${attr.os}", "=", "linux", true}, {"${attr.os}", "==", "linux", true}, {"${attr.os}", "is", "windows", false},
		{"${attr.os}", "!=", "windows", true}, {"${attr.os}", "not", "linux", false}, {"${attr.none}", "!=", "linux", true}, {"${attr.none}", "=", "", false},
		{"${attr.cores}", "<", "10", true}, {"${attr.cores}", ">", "10", false}, {"${attr.cores}", ">=", "8", true}, {"${attr.cores}", "<=", "7", false},
		{"${attr.ratio}", "<", "1.50001", true}, {"${attr.ratio}", ">", "1", true}, {"${attr.os}", "<", "macos", true}, {"${attr.none}", "<", "1", false},
		{"${attr.os}", "regexp", "^lin", true}, {"${attr.os}", "regexp", "^in", false}, {"${attr.os}", "regexp", "(", false},
		{"${attr.v}", "version", ">= 1.2, < 2", true}, {"${attr.v}", "version", "~> 1.3", false}, {"${attr.pre}", "version", "> 1.0", false},
		{"${attr.pre}", "semver", "> 1.0.0", true}, {"${attr.pre}", "semver", ">= 2.0.0", false}, {"${attr.v}", "semver", "!= 1.2.3", false},
		{"${attr.v}", "semver", "nonsense", false}, {"${attr.os}", "semver", "> 1.0.0", false},
		{"${attr.list}", "set_contains", "c,a", true}, {"${attr.list}", "set_contains_all", "a,d", false}, {"${attr.list}", "set_contains_any", "d,b", true},
		{"${attr.list}", "set_contains_any", "d", false},
		{"${attr.empty}", "is_set", "", true}, {"${attr.none}", "is_set", "", false}, {"${attr.none}", "is_not_set", "", true},
		{"${node.unique.id}", "=", "id-1", true}, {"${node.unique.name}", "regexp", "-7$", true}, {"${node.datacenter}", "=", "dc1", true},
		{"${node.class}", "=", "big", true}, {"${node.pool}", "=", "gpu", true}, {"${node.region}", "=", "global", true}, {"${meta.rack}", "=", "r1", true},
		{"linux", "=", "${attr.os}", true}, {"${attr.os}", "=", "${meta.rack}", false}, {"${nonsense}", "is_set", "", false}, {"${attr.os}", "like", "linux", false},
	} {
		if got := compile(tc.left, tc.op, tc.right).match(n, "global"); got != tc.want {
			t.Errorf("%s %s %s: %v", tc.left, tc.op, tc.right, got)
		}
	}
	for target, want := range map[string]bool{"${attr.os}": false, "${attr.unique.x}": true, "${meta.unique.y}": true, "${node.unique.id}": true, "${node.class}": false, "text": false} {
		if got := compile(target, "=", "x").escapes(); got != want {
			t.Errorf("%s escapes: %v", target, got)
		}
	}
}
