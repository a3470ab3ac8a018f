package api

import (
	"slices"
	"strings"
	"testing"
)

func TestQuotaValidate(t *testing.T) {
	limits := func(r QuotaResources) QuotaSpec {
		return QuotaSpec{Name: "a", Limits: []*QuotaLimit{{RegionLimit: &r}}}
	}
	zero, one := 0, 1
	for _, tc := range []struct {
		q    QuotaSpec
		want string
	}{
		{QuotaSpec{Name: "a"}, ""},
		{limits(QuotaResources{CPU: &one, Storage: &QuotaStorageResources{}, SecretsMB: &zero}), ""},
		{QuotaSpec{Name: "a", Limits: []*QuotaLimit{{Region: "global"}}}, ""},
		{QuotaSpec{Name: "*"}, `invalid name "*"`},
		{QuotaSpec{Name: "a", Description: strings.Repeat("x", MaxQuotaDescription+1)}, "Description: it has 257 bytes"},
		{QuotaSpec{Name: "a", Limits: []*QuotaLimit{{}, {}}}, "Limits: there are 2"},
		{QuotaSpec{Name: "a", Limits: []*QuotaLimit{nil}}, "Limits[0] > Region: the limit is empty"},
		{QuotaSpec{Name: "a", Limits: []*QuotaLimit{{Region: "mars"}}}, `Region: "mars" is not this region, "global"`},
		{QuotaSpec{Name: "a", Limits: []*QuotaLimit{{VariablesLimit: &one}}}, "VariablesLimit: variables have no quota"},
		{limits(QuotaResources{Devices: []*RequestedDevice{{}}}), "Devices: no node offers"},
		{limits(QuotaResources{NUMA: map[string]any{}}), "NUMA: nothing"},
		{limits(QuotaResources{SecretsMB: &one}), "SecretsMB: what secrets take"},
		{limits(QuotaResources{NodePools: []any{1}}), "NodePools: a quota holds for all pools"},
		{limits(QuotaResources{Storage: &QuotaStorageResources{HostVolumesMB: 1}}), "HostVolumesMB"},
		{limits(QuotaResources{Storage: &QuotaStorageResources{VariablesMB: 1}}), "VariablesMB"},
	} {
		err := tc.q.Validate("global")
		if tc.want == "" && err != nil || tc.want != "" && (ErrorCode(err) != CodeInvalid || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%+v: %v, want %q", tc.q, err, tc.want)
		}
	}
}

func TestQuotaExceeds(t *testing.T) {
	number := func(n int) *int { return &n }
	used, more := Charge{CPU: 50, MemoryMB: 50, Allocations: 1}, Charge{CPU: 50, MemoryMB: 10, Cores: 1, Allocations: 1}
	for _, tc := range []struct {
		limit *QuotaResources
		want  []string
	}{
		{nil, nil},
		{&QuotaResources{CPU: number(0)}, nil},
		{&QuotaResources{CPU: number(100), MemoryMB: number(60), Allocations: number(2), Cores: number(1), MemoryMaxMB: number(-1)}, nil}, // to the last, and nothing asked of the last
		{&QuotaResources{CPU: number(99)}, []string{"cpu: 50 MHz needed, 49 of 99 are left"}},
		{&QuotaResources{Cores: number(-5)}, []string{"cores: 1 needed, 0 of 0 are left"}},
		{&QuotaResources{MemoryMB: number(20)}, []string{"memory: 10 MiB needed, 0 of 20 are left"}}, // it was lowered
	} {
		if got := tc.limit.Exceeds(used, more); !slices.Equal(got, tc.want) {
			t.Errorf("%+v: %q, want %q", tc.limit, got, tc.want)
		}
	}
}
