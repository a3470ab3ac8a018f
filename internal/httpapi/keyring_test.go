package httpapi_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/httpapi"
)

func TestKeyring(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.PublicKeysAge = time.Hour })
	list := func() (out []*api.RootKey) {
		t.Helper()
		w.get("/v1/operator/keyring/keys", &out)
		return out
	}
	rotate := func(query string) *api.RootKey {
		t.Helper()
		status, text, _ := w.call("PUT", "/v1/operator/keyring/rotate"+query, "")
		var out struct{ Key *api.RootKey }
		if err := json.Unmarshal([]byte(text), &out); status != 200 || err != nil || out.Key == nil {
			t.Fatal(status, text)
		}
		if strings.Contains(text, "Wrapped") {
			t.Fatal("the answer holds material")
		}
		return out.Key
	}
	if len(list()) != 0 {
		t.Fatal("keys without a leader")
	}
	first := rotate("")
	if first.State != api.RootKeyActive || first.SigningAlgorithm != api.SigningEdDSA || first.Algorithm != "aes256-gcm" || first.CreateIndex == 0 {
		t.Errorf("%+v", first)
	}
	second := rotate("?algo=aes256-gcm&signing=RS256")
	third := rotate("?publish_time=" + strconv.FormatInt(start.Add(time.Hour).UnixNano(), 10))
	if second.SigningAlgorithm != api.SigningRS256 || third.SigningAlgorithm != api.SigningRS256 || third.State != api.RootKeyPrepublished {
		t.Errorf("%+v, %+v", second, third)
	}
	if keys := list(); len(keys) != 3 || keys[0].KeyID != third.KeyID || keys[2].State != api.RootKeyInactive {
		t.Errorf("%+v", keys)
	}

	var set api.JSONWebKeySet
	header := w.get("/.well-known/jwks.json", &set)
	if len(set.Keys) != 3 || set.Keys[2].KeyType != "OKP" || set.Keys[1].KeyType != "RSA" {
		t.Errorf("%+v", set)
	}
	if got := header.Get("Cache-Control"); got != "public, max-age=3600" || header.Get("X-Nomad-Index") == "" {
		t.Errorf("headers %v", header)
	}

	for _, test := range []struct {
		method, path string
		status       int
		text         string
	}{
		{"PUT", "/v1/operator/keyring/rotate?algo=rot13", 400, `algo is "rot13": it must be "aes256-gcm"`},
		{"PUT", "/v1/operator/keyring/rotate?signing=HS256", 400, `signing is "HS256"`},
		{"PUT", "/v1/operator/keyring/rotate?full=maybe", 400, `"full" is "maybe"`},
		{"PUT", "/v1/operator/keyring/rotate?publish_time=12", 400, "publish_time is 12, which is 1970"},
		{"PUT", "/v1/operator/keyring/rotate?publish_time=soon", 400, `"publish_time" is "soon"`},
		{"PUT", "/v1/operator/keyring/rotate?full=true&publish_time=9000000000000000000", 400, "exclude each other"},
		{"GET", "/v1/operator/keyring/rotate", 405, "Invalid method"},
		{"DELETE", "/v1/operator/keyring/key/12", 400, "is not a UUID"},
		{"DELETE", "/v1/operator/keyring/key/" + noID, 404, "root key not found"},
		{"DELETE", "/v1/operator/keyring/key/" + second.KeyID, 400, "is active"},
		{"DELETE", "/v1/operator/keyring/key/" + second.KeyID + "?force=true", 400, "is active"},
		{"DELETE", "/v1/operator/keyring/key/" + first.KeyID + "?force=x", 400, `"force" is "x"`},
		{"DELETE", "/v1/operator/keyring/key/" + first.KeyID, 200, ""},
		{"GET", "/.well-known/openid-configuration", 404, "server.oidc_issuer"},
	} {
		if status, text, _ := w.call(test.method, test.path, ""); status != test.status || !strings.Contains(text, test.text) {
			t.Errorf("%s %s: %d %s", test.method, test.path, status, text)
		}
	}
	if len(list()) != 2 {
		t.Error("the first key was not removed")
	}

	w.deny = map[api.Capability]bool{api.CapOperatorKeyringRead: true, api.CapOperatorKeyringRotate: true, api.CapOperatorKeyringDelete: true}
	for path, method := range map[string]string{"keys": "GET", "rotate": "PUT", "key/" + third.KeyID: "DELETE"} {
		if status, _, _ := w.call(method, "/v1/operator/keyring/"+path, ""); status != http.StatusForbidden {
			t.Errorf("%s without the right: %d", path, status)
		}
	}
}
