package api

import (
	"strings"
	"testing"
)

func TestNamespaceValidate(t *testing.T) {
	for _, tc := range []struct {
		ns   Namespace
		want string // a part of the error; "" for none
	}{
		{Namespace{Name: "prod-1"}, ""},
		{Namespace{Name: strings.Repeat("a", 128), Description: strings.Repeat("b", MaxNamespaceDescription)}, ""},
		{Namespace{Name: "a", VaultConfiguration: &NamespaceClusters{}, ConsulConfiguration: &NamespaceClusters{}}, ""},
		{Namespace{Name: "a", NodePoolConfiguration: &NamespaceNodePools{Default: "gpu", Allowed: []string{"gpu-*"}}}, ""},
		{Namespace{}, `invalid name ""`},
		{Namespace{Name: "*"}, `invalid name "*".`},
		{Namespace{Name: "a/b"}, `invalid name "a/b"`},
		{Namespace{Name: strings.Repeat("a", 129)}, "invalid name"},
		{Namespace{Name: "a", Description: strings.Repeat("b", MaxNamespaceDescription+1)}, "Description: it has 257 bytes"},
		{Namespace{Name: "a", Quota: "big one"}, `Quota: "big one" is no quota`},
		{Namespace{Name: "a", VaultConfiguration: &NamespaceClusters{Default: "x"}}, "VaultConfiguration: there is no connection"},
		{Namespace{Name: "a", ConsulConfiguration: &NamespaceClusters{Denied: []string{"x"}}}, "ConsulConfiguration: there is no connection"},
		{Namespace{Name: "a", RequiredExtraClaims: map[string]string{"x": "y"}}, "RequiredExtraClaims"},
		{Namespace{Name: "a", Meta: map[string]string{"": "y"}}, "Meta: a name is empty"},
		{Namespace{Name: "a", Meta: map[string]string{"x": strings.Repeat("y", maxNamespaceMeta)}}, "Meta: it has 65537 bytes"},
		{Namespace{Name: "a", Capabilities: &NamespaceCapabilities{EnabledTaskDrivers: []string{""}}}, "Capabilities > EnabledTaskDrivers: a name is empty"},
		{Namespace{Name: "a", NodePoolConfiguration: &NamespaceNodePools{Allowed: []string{"a"}, Denied: []string{"b"}}}, "NodePoolConfiguration > Denied: either"},
		{Namespace{Name: "a", NodePoolConfiguration: &NamespaceNodePools{Default: AllNodePools}}, `Default: "all" holds every node`},
		{Namespace{Name: "a", NodePoolConfiguration: &NamespaceNodePools{Default: "b1", Denied: []string{"b*"}}}, `Default: "b1" is denied`},
	} {
		err := tc.ns.Validate()
		if tc.want == "" && err != nil || tc.want != "" && (ErrorCode(err) != CodeInvalid || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%+v: %v, want %q", tc.ns, err, tc.want)
		}
	}
}

func TestNamespaceAdmit(t *testing.T) {
	job := func() *Job {
		j := &Job{ID: "a", TaskGroups: []*TaskGroup{{
			Name: "g", Networks: []*NetworkResource{{Mode: "bridge"}},
			Tasks: []*Task{{Name: "t", Driver: "docker"}},
		}}}
		j.Canonicalize()
		return j
	}
	for _, tc := range []struct {
		ns   Namespace
		want string
	}{
		{Namespace{}, ""},
		{Namespace{Capabilities: &NamespaceCapabilities{}}, ""},
		{Namespace{Capabilities: &NamespaceCapabilities{EnabledTaskDrivers: []string{"exec", "docker"}}}, ""},
		{Namespace{Capabilities: &NamespaceCapabilities{EnabledTaskDrivers: []string{"exec"}}}, `group "g" > task "t" > Driver: namespace "n" does not allow "docker": it allows exec`},
		{Namespace{Capabilities: &NamespaceCapabilities{EnabledTaskDrivers: []string{"docker"}, DisabledTaskDrivers: []string{"docker"}}}, `does not allow "docker"`},
		{Namespace{Capabilities: &NamespaceCapabilities{DisabledTaskDrivers: []string{"docker"}}}, `does not allow "docker"`},
		{Namespace{Capabilities: &NamespaceCapabilities{EnabledNetworkModes: []string{"bridge"}}}, ""},
		{Namespace{Capabilities: &NamespaceCapabilities{EnabledNetworkModes: []string{"none"}}}, `group "g" > Networks[0] > Mode: namespace "n" does not allow "bridge": it allows none`},
		{Namespace{Capabilities: &NamespaceCapabilities{DisabledNetworkModes: []string{"bridge"}}}, `does not allow "bridge"`},
		{Namespace{NodePoolConfiguration: &NamespaceNodePools{Default: "x", Denied: []string{"y"}}}, ""},
		{Namespace{NodePoolConfiguration: &NamespaceNodePools{Default: "x", Denied: []string{"def*"}}}, `NodePool: namespace "n" does not allow "default"`},
		{Namespace{NodePoolConfiguration: &NamespaceNodePools{Default: "x", Allowed: []string{"gpu-*"}}}, `NodePool: namespace "n" does not allow "default": it allows x, gpu-*`},
		{Namespace{NodePoolConfiguration: &NamespaceNodePools{Allowed: []string{"gpu-*"}}}, ""},
	} {
		tc.ns.Name = "n"
		err := tc.ns.Admit(job())
		if tc.want == "" && err != nil || tc.want != "" && (ErrorCode(err) != CodeInvalid || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%+v: %v, want %q", tc.ns, err, tc.want)
		}
	}
}

func TestGlob(t *testing.T) {
	for _, tc := range []struct {
		pattern, name string
		want          bool
	}{
		{"a", "a", true}, {"a", "ab", false}, {"*", "", true}, {"*", "x", true}, {"a*", "ab", true}, {"a*", "ba", false},
		{"*b", "ab", true}, {"*b", "ba", false}, {"a*a", "a", false}, {"a*a", "aa", true}, {"a*b*c", "axbyc", true},
		{"a*b*c", "acb", false}, {"*ab*ab", "abab", true}, {"*ab*ab", "ab", false}, {"a?", "ab", false}, {"[a]", "a", false}, {"", "", true},
	} {
		if Glob(tc.pattern, tc.name) != tc.want {
			t.Errorf("%q matches %q: %v", tc.pattern, tc.name, !tc.want)
		}
	}
}
