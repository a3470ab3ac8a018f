package httpapi_test

import (
	"net/url"
	"strings"
	"testing"
)

// A prefix of IDs that can't be one is refused with what is wrong about it,
// and one in another case or with hyphens means the same.
func TestPrefixesOfIDs(t *testing.T) {
	w, names := contracted(t)
	for _, target := range []string{"/v1/allocations", "/v1/evaluations", "/v1/deployments", "/v1/nodes", "/v1/node/pool/all/nodes"} {
		for prefix, want := range map[string]string{
			"a": "odd number of hexadecimal digits (1)", "0-1-2": "odd number of hexadecimal digits (3)", noID[:35]: "odd number",
			"xy": "not hexadecimal", "0x12": "not hexadecimal", "é": "not hexadecimal", "12 ": "not hexadecimal", "\x00\x00": "not hexadecimal",
			noID + "00": "too long", strings.Repeat("0", 34): "too long", strings.Repeat("a", 100_000): "too long",
		} {
			status, body, _ := w.call("GET", target+"?prefix="+url.QueryEscape(prefix), "")
			if status != 400 || !strings.Contains(body, want) || !strings.Contains(body, "prefix") || len(body) > 400 {
				t.Errorf("%s?prefix=%.40q: %d %.500s", target, prefix, status, body)
			}
		}
	}
	id := names.Replace(":alloc_id")
	for _, prefix := range []string{id, strings.ToUpper(id), strings.ReplaceAll(id, "-", ""), id[:8], id[:9], id[:2], ""} {
		if status, body, _ := w.call("GET", "/v1/allocations?prefix="+prefix, ""); status != 200 || !strings.Contains(body, id) {
			t.Errorf("prefix=%s: %d %s", prefix, status, body)
		}
	}
}
