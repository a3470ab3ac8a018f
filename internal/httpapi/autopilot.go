package httpapi

import (
	"net/http"

	"github.com/drover-org/drover/internal/web"
)

func (a *routes) autopilotConfig(r *http.Request) (any, error) {
	cfg, err := a.Server.AutopilotConfiguration(r.Context(), web.Token(r))
	if err != nil {
		return nil, err
	}
	return cfg, nil
}

func (a *routes) setAutopilotConfig(r *http.Request) (any, error) {
	return nil, a.Server.SetAutopilotConfiguration(r.Context(), web.Token(r))
}

// regionHealth answers 429 when something is wrong, as monitors of this API
// expect, with the same JSON.
func (a *routes) regionHealth(r *http.Request) (any, error) {
	h, err := a.Server.RegionHealth(r.Context(), web.Token(r))
	if err != nil {
		return nil, err
	}
	status := http.StatusOK
	if !h.Healthy {
		status = http.StatusTooManyRequests
	}
	return &web.Reply{Value: h, Status: status}, nil
}
