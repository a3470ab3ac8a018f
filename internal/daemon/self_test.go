package daemon

import (
	"strings"
	"testing"

	"github.com/drover-org/drover/internal/config"
)

// What the agent tells of its configuration holds nothing that somebody may
// have put there as a secret.
func TestSelfHoldsNoSecrets(t *testing.T) {
	c := config.Dev()
	c.HTTPHeaders = map[string]string{"X-Secret": "s3cret-header"}
	c.Plugins["docker"] = config.Plugin{Config: map[string]any{"auth": map[string]any{"config": "/s3cret-path"}}}
	c.Plugins["raw_exec"] = config.Plugin{Config: map[string]any{"enabled": true, "denied_envvars": []any{"s3cret-option"}}}
	a := start(t, c, nil)
	a.wait("/v1/agent/health", `"client":{"ok":true`)
	_, self := a.request("GET", "/v1/agent/self", nil)
	_, node := a.request("GET", "/v1/node/"+a.NodeID, nil)
	for what, text := range map[string]string{"agent/self": self, "the node": node} {
		if strings.Contains(text, "s3cret") || !strings.Contains(node, a.NodeID) {
			t.Errorf("%s tells a secret: %s", what, text)
		}
	}
	if !strings.Contains(node, `"SecretID":""`) && strings.Contains(node, `"SecretID":"`) {
		t.Errorf("the node tells its secret: %s", node)
	}
}
