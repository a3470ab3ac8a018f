package sso

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/drover-org/drover/api"
)

// Identity is what binding rules see of somebody: the claims that the method
// maps, by their new names.
type Identity struct {
	Values map[string]string   `bexpr:"value"`
	Lists  map[string][]string `bexpr:"list"`
}

// newIdentity maps claims. One that is missing, or of another kind, is left
// out.
func newIdentity(c *api.ACLAuthMethodConfig, claims map[string]any) *Identity {
	id := &Identity{Values: map[string]string{}, Lists: map[string][]string{}}
	for claim, name := range c.ClaimMappings {
		if text, ok := claimText(claimAt(claims, claim)); ok {
			id.Values[name] = text
		}
	}
	for claim, name := range c.ListClaimMappings {
		switch v := claimAt(claims, claim).(type) {
		case []any:
			list := []string{}
			for _, item := range v {
				if text, ok := claimText(item); ok {
					list = append(list, text)
				}
			}
			id.Lists[name] = list
		default:
			if text, ok := claimText(v); ok {
				id.Lists[name] = []string{text}
			}
		}
	}
	return id
}

// claimAt finds a claim by its name, or by a JSON pointer like
// "/address/country".
func claimAt(claims map[string]any, name string) any {
	if !strings.HasPrefix(name, "/") {
		return claims[name]
	}
	var v any = claims
	for _, part := range strings.Split(name[1:], "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		switch node := v.(type) {
		case map[string]any:
			v = node[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(node) {
				return nil
			}
			v = node[i]
		default:
			return nil
		}
	}
	return v
}

// claimText is a plain claim as text.
func claimText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case float64, json.Number:
		b, err := json.Marshal(v)
		return string(b), err == nil
	}
	return "", false
}
