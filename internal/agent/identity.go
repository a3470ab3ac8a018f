package agent

import (
	"context"
	"net/http"
	"time"

	"github.com/drover-org/drover/api"
)

// identityWait is how long a question waits for a node that is just
// registering.
const identityWait = 5 * time.Second

// showIdentity tells what the node's own identity says, not the token.
func (a *Agent) showIdentity(r *http.Request) (any, error) {
	ctx, cancel := context.WithTimeout(r.Context(), identityWait)
	defer cancel()
	claims, err := a.link.IdentityClaims(ctx)
	if err != nil {
		return nil, err
	}
	return &api.NodeIdentityClaims{Claims: claims}, nil
}

func (a *Agent) renewIdentity(*http.Request) (any, error) {
	a.link.RenewIdentity()
	return struct{}{}, nil
}
