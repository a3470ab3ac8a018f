package httpapi

import (
	"net/http"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

// introduceNode makes the token by which a new node joins. It is shown once.
func (a *routes) introduceNode(r *http.Request) (any, error) {
	var req api.NodeIntroduction
	unknown, err := web.Decode(r, &req)
	if err != nil {
		return nil, err
	}
	jwt, err := a.Server.IntroduceNode(r.Context(), web.Token(r), &req)
	if err != nil {
		return nil, err
	}
	return written(&api.NodeIntroductionToken{JWT: jwt}, 0, unknown), nil
}
