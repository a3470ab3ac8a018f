package acl_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/acl"
	"pgregory.net/rapid"
)

func parse(t *testing.T, name, rules string) *acl.Policy {
	t.Helper()
	p, err := acl.Parse(name, rules)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return p
}

func compile(t *testing.T, rules ...string) *acl.ACL {
	t.Helper()
	var all []*acl.Policy
	for i, r := range rules {
		all = append(all, parse(t, fmt.Sprintf("p%d", i+1), r))
	}
	return acl.Compile(all)
}

func TestDecisions(t *testing.T) {
	for name, test := range map[string]struct {
		rules  []string
		allow  []string // capability@object
		forbid []string
	}{
		"nothing": {nil, nil, []string{"read-job@default", "node:read", "management", "see-namespace@default"}},
		"coarse read": {
			[]string{`namespace "default" { policy = "read" }`},
			[]string{"list-jobs@default", "read-job@default", "parse-job@default", "host-volume-read@default", "read-job-scaling@default", "see-namespace@default"},
			[]string{"submit-job@default", "read-logs@default", "read-job@other", "node:read", "management"},
		},
		"coarse write": {
			[]string{`namespace "default" { policy = "write" }`},
			[]string{
				"submit-job@default", "register-job@default", "purge-job@default", "read-logs@default", "alloc-exec@default", "alloc-copy@default",
				"force-periodic-job@default", "delete-service-registration@default", "promote-deployment@default",
			},
			[]string{"alloc-node-exec@default", "sentinel-override@default", "host-volume-delete@default", "node:write"},
		},
		"fine ones do not give the broad one": {
			[]string{`namespace "default" { capabilities = ["plan-job", "read-logs"] }`},
			[]string{"plan-job@default", "read-logs@default"},
			[]string{"submit-job@default", "register-job@default", "read-fs@default", "read-job@default"},
		},
		"scale":               {[]string{`namespace "default" { policy = "scale" }`}, []string{"scale-job@default", "read-job@default"}, []string{"list-jobs@default", "submit-job@default"}},
		"no label is default": {[]string{`namespace { policy = "read" }`}, []string{"read-job@default"}, []string{"read-job@other"}},
		"policies add up": {
			[]string{`namespace "a" { policy = "read" }`, `namespace "a" { capabilities = ["alloc-exec"] }`},
			[]string{"read-job@a", "alloc-exec@a"}, []string{"submit-job@a"},
		},
		"deny wins": {
			[]string{`namespace "a" { policy = "write" }`, `namespace "a" { capabilities = ["deny"] }`},
			nil, []string{"read-job@a", "submit-job@a", "see-namespace@a"},
		},
		"the most specific glob alone decides": {
			[]string{`namespace "*" { policy = "write" }`, `namespace "prod-*" { policy = "read" }`, `namespace "prod-secret" { policy = "deny" }`, `namespace "*-web" { capabilities = ["read-fs"] }`},
			[]string{"submit-job@dev", "read-job@prod-api", "read-fs@dev-web", "read-job@prod-web"},
			[]string{"submit-job@prod-api", "read-job@prod-secret", "submit-job@dev-web", "read-fs@prod-web"},
		},
		"equally specific globs add up, deny wins": {
			[]string{`namespace "a*" { policy = "read" }`, `namespace "*b" { capabilities = ["alloc-exec"] }`, `namespace "*c" { policy = "deny" }`},
			[]string{"read-job@ab", "alloc-exec@ab"}, []string{"read-job@ac", "alloc-exec@ac"},
		},
		"a name in full before a glob of the same length": {
			[]string{`namespace "ab*" { policy = "deny" }`, `namespace "ab" { policy = "read" }`}, []string{"read-job@ab"}, []string{"read-job@abc"},
		},
		"others": {
			[]string{`
				node { policy = "write" }
				agent { policy = "read" }
				operator { policy = "read" capabilities = ["snapshot-save"] }
				plugin { policy = "list" }
				node_pool "gpu-*" { policy = "write" }
				node_pool "all" { capabilities = ["read"] }
				host_volume "data[0]" { policy = "write" }
				host_volume "logs" { capabilities = ["mount-readonly"] }
				quota { policy = "read" }`},
			[]string{
				"node:read", "node:write", "agent:read", "operator:read", "operator:snapshot-save", "operator:keyring-read", "plugin:list",
				"node_pool:delete@gpu-1", "node_pool:read@all", "host_volume:mount-readonly@data[0]", "host_volume:mount-readwrite@data[0]", "host_volume:mount-readonly@logs", "quota:read",
			},
			[]string{"agent:write", "operator:write", "operator:keyring-delete", "plugin:read", "node_pool:write@all", "node_pool:read@cpu", "host_volume:mount-readwrite@logs", "read-job@default"},
		},
		"denied kinds": {[]string{`node { policy = "write" }`, `node { policy = "deny" }`}, nil, []string{"node:read", "node:write"}},
		"JSON": {
			[]string{`{"namespace": {"default": {"policy": "read", "variables": {"path": {"a/*": {"capabilities": ["read"]}}}}, "x": {"capabilities": ["alloc-exec"]}}, "node": {"policy": "read"}}`},
			[]string{"read-job@default", "alloc-exec@x", "node:read"}, []string{"node:write", "read-job@x"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := compile(t, test.rules...)
			check := func(want bool, list []string) {
				for _, q := range list {
					c, object, _ := strings.Cut(q, "@")
					if got := a.Allow(api.Capability(c), object); got != want {
						t.Errorf("%s: allowed is %v", q, got)
					}
					if r := a.Explain(api.Capability(c), object, ""); r.Allowed != want || r.Reason == "" {
						t.Errorf("%s: explained as %+v", q, r)
					}
				}
			}
			check(true, test.allow)
			check(false, test.forbid)
		})
	}
}

func TestVariables(t *testing.T) {
	a := compile(t,
		`namespace "*" { variables { path "*" { capabilities = ["list"] } } }`,
		`namespace "dev" {
			variables {
				path "project/*" { capabilities = ["read", "list", "write"] }
				path "project/secret" { capabilities = ["deny"] }
			}
		}`,
		`namespace "dev" { variables { path "project/secret" { capabilities = ["read"] } } }`,
		`namespace "shut" { policy = "deny" variables { path "*" { capabilities = ["read"] } } }`,
	)
	for q, want := range map[string]bool{
		"list other a": true, "read other a": false, "write dev project/a/b": true, "destroy dev project/a": false,
		"read dev project/secret": false, "list dev else": false, "read shut a": false, "list shut a": false,
	} {
		f := strings.Fields(q)
		c := api.Capability("variables:" + f[0])
		if got := a.AllowVariable(c, f[1], f[2]); got != want {
			t.Errorf("%s: %v", q, got)
		}
		if r := a.Explain(c, f[1], f[2]); r.Allowed != want {
			t.Errorf("%s: explained as %+v", q, r)
		}
	}
	if !a.Allow(api.CapSeeNamespace, "dev") || a.Allow(api.CapSeeNamespace, "shut") || a.Allow(api.CapReadJob, "dev") {
		t.Error("variables show a namespace and nothing more")
	}
}

func TestManagementMayEverything(t *testing.T) {
	for _, c := range []api.Capability{api.CapManagement, api.CapReadJob, api.CapOperatorWrite, "nonsense"} {
		if !acl.Management.Allow(c, "any") || !acl.Management.Explain(c, "any", "").Allowed {
			t.Error(c)
		}
	}
}

func TestExplain(t *testing.T) {
	a := compile(t, "# comment\nnamespace \"prod-*\" {\n  policy = \"write\"\n}\nnode { policy = \"read\" }", "namespace \"*\" {\n capabilities = [\"deny\"]\n}")
	for q, want := range map[string]string{
		"purge-job prod-web":       `p1:2 namespace "prod-*" allows it: submit-job contains it`,
		"submit-job prod-web":      `p1:2 namespace "prod-*" allows it`,
		"read-job dev":             `p2:1 namespace "*" denies, and deny wins`,
		"alloc-node-exec prod-web": `p1:2 namespace "prod-*" is the most specific rule about namespace "prod-web" and does not list it`,
		"node:write x":             `p1:5 node is the most specific rule about node and does not list it`,
		"agent:read x":             `:0 no rule of the policies is about agent`,
		"management x":             `:0 only a management token has it, no policy does`,
	} {
		c, object, _ := strings.Cut(q, " ")
		r := a.Explain(api.Capability(c), object, "")
		if got := fmt.Sprintf("%s:%d %s", r.Policy, r.Line, r.Reason); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", q, got, want)
		}
	}
}

func TestMistakesAreNamedWithTheirLine(t *testing.T) {
	for rules, want := range map[string]string{
		"": "Rules is empty",
		"namespace \"a\" {\n policy = \"raed\"\n}":                                    `line 2: policy "raed" of namespace "a" does not exist: it must be one of deny, read, scale, write`,
		"\nnamespace \"a\" {\n capabilities = [\"read-jobs\"]\n}":                     `line 3: capability "read-jobs" of namespace "a" does not exist: did you mean "read-job"?`,
		"namespce \"a\" { }":                                                          `line 1: there is no block "namespce": did you mean "namespace"?`,
		"node {\n capabilities = [\"read\"]\n}":                                       `line 2: node has no "capabilities"`,
		"node { polcy = \"read\" }":                                                   `node has no "polcy": did you mean "policy"?`,
		"node \"x\" { policy = \"read\" }":                                            `node takes no label`,
		"node = 1":                                                                    `node must be a block`,
		"node { policy = read }":                                                      `line 1: policy of node must be text`,
		"node { policy = \"${1}\" }":                                                  `texts are taken as they are`,
		"node { policy = [\"read\"] }":                                                `policy of node must be text`,
		"node { policy = 1 }":                                                         `policy of node must be text`,
		"node { policy = }":                                                           `a name is expected here, not '}'`,
		"node { policy \"x\" = \"read\" }":                                            `policy has a label, so a { must follow`,
		"node { policy = \"read\" policy = \"write\" }":                               `policy of node is there twice`,
		"namespace \"a\" { capabilities = \"deny\" }":                                 `capabilities of namespace "a" must be a list`,
		"namespace \"a\" { capabilities = [deny] }":                                   `capabilities of namespace "a" must be a list of texts`,
		"namespace \"a b\" { policy = \"read\" }":                                     `namespace "a b" is no name or glob`,
		"namespace \"a\" \"b\" { policy = \"read\" }":                                 `line 1: namespace needs one label`,
		"node_pool { policy = \"read\" }":                                             `node_pool needs one label`,
		"agent { policy = \"read\" }\nagent { policy = \"write\" }":                   `line 2: agent is there twice`,
		"namespace \"a\" { variables { path \"/x\" { capabilities = [\"read\"] } } }": `path "/x" is no path`,
		"namespace \"a\" {\n variables { path \"x\" { } } }":                          `line 2: namespace "a": variables: path "x" needs capabilities`,
		"namespace \"a\" { variables { path \"x\" { policy = \"read\" } } }":          `has no "policy"`,
		"namespace \"a\" { variables { paht \"x\" { } } }":                            `variables has no "paht"`,
		"namespace \"a\" {\n policy = \"read\"":                                       `line 1: the block namespace that begins here never ends`,
		"node {\n policy = \"read\n}":                                                 `line 2: the text that begins here does not end on its line`,
		"node { policy = \"read\" } }":                                                `there is a } too many`,
		"node { policy = [\"a\", }":                                                   `a name is expected here`,
		"\n/* node":                                                                   `line 2: the comment that begins here never ends`,
		"{\n\"node\": {\"policy\": \"x\"}\n}":                                         `line 2: policy "x" of node`,
		"{\n\"nodes\": {\"policy\": \"x\"}\n}":                                        `line 2: there is no block "nodes"`,
		"{\"namespace\": {\"policy\": \"x\"}}":                                        `namespace "policy" must be an object`,
		"{":                                                                           `line 1: the JSON ends early`,
		"{} 1":                                                                        `after the end`,
		"{\"node\" 1}":                                                                `line 1: invalid character`,
		strings.Repeat("a {", 9):                                                      `nest deeper`,
		strings.Repeat("{\"a\":", 12):                                                 `nest deeper`,
		strings.Repeat(" ", acl.MaxRules+1):                                           `a policy has at most`,
	} {
		_, err := acl.Parse("p", rules)
		if err == nil || !strings.Contains(err.Error(), want) || api.ErrorCode(err) != api.CodeInvalid {
			t.Errorf("%.60q:\ngot  %v\nwant …%s", rules, err, want)
		}
	}
}

func TestBlocksWithoutEffectWarn(t *testing.T) {
	p := parse(t, "p", "quota { policy = \"read\" }\nsentinel { policy = \"read\" }")
	if len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "line 2: sentinel: there are no Sentinel") {
		t.Fatal(p.Warnings)
	}
}

// The order of policies never matters, and one more deny never allows.
func TestMerging(t *testing.T) {
	globs := []string{"*", "a*", "*b", "ab", "a", "b*", "*a*"}
	rules := []string{`policy = "read"`, `policy = "write"`, `policy = "deny"`, `capabilities = ["alloc-exec"]`, ``}
	rapid.Check(t, func(rt *rapid.T) {
		var policies []*acl.Policy
		for i := range rapid.IntRange(0, 5).Draw(rt, "n") {
			text := fmt.Sprintf("namespace %q {\n%s\n}", rapid.SampledFrom(globs).Draw(rt, "glob"), rapid.SampledFrom(rules).Draw(rt, "rule"))
			policies = append(policies, parse(t, fmt.Sprint(i), text))
		}
		a, b := acl.Compile(policies), acl.Compile(rapid.Permutation(policies).Draw(rt, "order"))
		denied := acl.Compile(append(policies, parse(t, "deny", fmt.Sprintf("namespace %q { policy = \"deny\" }", rapid.SampledFrom(globs).Draw(rt, "denied")))))
		for _, ns := range []string{"a", "b", "ab", "ba", "c", "aab"} {
			for _, c := range []api.Capability{api.CapReadJob, api.CapSubmitJob, api.CapPurgeJob, api.CapAllocExec} {
				allowed := a.Allow(c, ns)
				if allowed != b.Allow(c, ns) {
					rt.Fatalf("%s in %s depends on the order", c, ns)
				}
				if !allowed && denied.Allow(c, ns) {
					rt.Fatalf("%s in %s is allowed by one more deny", c, ns)
				}
				if allowed != a.Explain(c, ns, "").Allowed {
					rt.Fatalf("%s in %s is explained otherwise", c, ns)
				}
			}
		}
	})
}

func BenchmarkAllow(b *testing.B) {
	p, err := acl.Parse("p", `namespace "default" { policy = "read" } namespace "prod-*" { policy = "write" } namespace "*" { policy = "read" }`)
	if err != nil {
		b.Fatal(err)
	}
	a := acl.Compile([]*acl.Policy{p})
	b.ReportAllocs()
	for b.Loop() {
		a.Allow(api.CapReadJob, "default")
		a.Allow(api.CapPurgeJob, "prod-web")
	}
}

func TestChecksAllocateNothing(t *testing.T) {
	a := compile(t, `namespace "default" { policy = "read" } namespace "prod-*" { policy = "write" }`)
	n := testing.AllocsPerRun(100, func() {
		a.Allow(api.CapReadJob, "default")
		a.Allow(api.CapReadJob, "prod-x")
		a.Allow(api.CapNodeRead, "")
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"namespace \"default\" {\n  policy = \"read\"\n  capabilities = [\"alloc-exec\"]\n  variables {\n    path \"a/*\" {\n      capabilities = [\"read\"]\n    }\n  }\n}\n",
		"namespace { policy = \"deny\" }", "node { policy = \"write\" }\noperator { capabilities = [\"snapshot-save\"] }",
		"{\"namespace\": {\"x\": {\"policy\": \"scale\"}}, \"host_volume\": {\"*\": {\"policy\": \"write\"}}}", "node { policy = \"${[for a in []: a]}\" }",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, rules string) {
		p, err := acl.Parse("p", rules)
		if err != nil {
			if api.ErrorCode(err) != api.CodeInvalid {
				t.Fatalf("%v", err)
			}
			return
		}
		a := acl.Compile([]*acl.Policy{p})
		for _, r := range p.Rules {
			for _, c := range []api.Capability{api.CapReadJob, api.CapSubmitJob, api.CapSeeNamespace, api.CapNodePoolRead} {
				if a.Allow(c, r.Glob) != a.Explain(c, r.Glob, "").Allowed {
					t.Fatalf("%s of %s is explained otherwise", c, r)
				}
			}
			if r.Kind == acl.KindVariables && a.AllowVariable(api.CapVariablesRead, r.Glob, r.Path) != a.Explain(api.CapVariablesRead, r.Glob, r.Path).Allowed {
				t.Fatalf("%s is explained otherwise", r)
			}
		}
		if a.Allow(api.CapManagement, "") {
			t.Fatal("a policy gives management")
		}
	})
}
