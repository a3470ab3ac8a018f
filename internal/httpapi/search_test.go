package httpapi_test

import (
	"strings"
	"testing"
)

// A search is no way around the rights to read: by prefix and fuzzy, for one
// kind and for all.
func TestSearchShowsWhatMayBeRead(t *testing.T) {
	s := newSecured(t)
	s.bootstrap()
	if status, text := s.as(s.root, "POST", "/v1/jobs", jobBody("web", 1)); status != 200 {
		t.Fatal(status, text)
	}
	tokens := map[string]string{
		"root": s.root, "nobody": "",
		"jobs":  s.policy("jobs", `namespace "default" { policy = "read" }`),
		"nodes": s.policy("nodes", `node { policy = "read" }`),
		"else":  s.policy("else", `namespace "other" { policy = "write" }`),
	}
	const node = "node-f"
	for _, c := range []struct {
		target, body, secret string
		may                  string // whose answers hold the secret
	}{
		{"/v1/search", `{"Prefix":"we","Context":"jobs"}`, `"web"`, "root jobs"},
		{"/v1/search", `{"Prefix":"we","Context":"all"}`, `"web"`, "root jobs"},
		{"/v1/search", `{"Prefix":"","Context":"all"}`, `"web"`, "root jobs"},
		{"/v1/search?namespace=*", `{"Prefix":"we","Context":"all","Namespace":"*"}`, `"web"`, "root jobs"},
		{"/v1/search", `{"Prefix":"` + node + `","Context":"nodes"}`, nodeID, "root nodes"},
		{"/v1/search", `{"Prefix":"","Context":"all"}`, nodeID, "root nodes"},
		{"/v1/search/fuzzy", `{"Text":"we","Context":"jobs"}`, `"web"`, "root jobs"},
		{"/v1/search/fuzzy", `{"Text":"we","Context":"all"}`, `"web"`, "root jobs"},
		{"/v1/search/fuzzy", `{"Text":"` + node + `","Context":"all"}`, node, "root nodes"},
	} {
		for who, token := range tokens {
			status, text := s.as(token, "POST", c.target, c.body)
			may := strings.Contains(" "+c.may+" ", " "+who+" ")
			if status != 200 && (status != 403 || may) || strings.Contains(text, c.secret) != may {
				t.Errorf("%s, %s %s: %d %s", who, c.target, c.body, status, text)
			}
		}
	}
}
