package httpapi

import (
	"net/http"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

func (a *routes) deploymentRoutes() []web.Route {
	return []web.Route{
		{Methods: "GET", Pattern: "/v1/deployments", Needs: web.Namespace(api.CapReadJob), Do: list(a.Server.Deployments)},
		{Methods: "GET", Pattern: "/v1/deployment/{id}", Needs: web.Object(api.CapReadJob), Do: read(func(r *http.Request, o api.ListOptions, id string) (*api.Deployment, api.Meta, error) {
			return a.Server.Deployment(r.Context(), o, id)
		})},
		{Methods: "GET", Pattern: "/v1/deployment/allocations/{id}", Needs: web.Shown(api.CapReadJob), Do: a.stubs(a.Server.DeploymentAllocs)},
		{Methods: "PUT POST", Pattern: "/v1/deployment/pause/{id}", Needs: web.Object(api.CapPauseDeployment), Do: a.pauseDeployment},
		{Methods: "PUT POST", Pattern: "/v1/deployment/fail/{id}", Needs: web.Object(api.CapFailDeployment), Do: a.failDeployment},
		{Methods: "PUT POST", Pattern: "/v1/deployment/promote/{id}", Needs: web.Object(api.CapPromoteDeployment), Do: a.promoteDeployment},
		{Methods: "PUT POST", Pattern: "/v1/deployment/unblock/{id}", Needs: web.Object(api.CapUnblockDeployment), Do: func(r *http.Request) (any, error) {
			return nil, a.Server.UnblockDeployment(r.Context(), web.Token(r), r.PathValue("id"))
		}},
		{Methods: "PUT POST", Pattern: "/v1/deployment/allocation-health/{id}", Needs: web.Object(api.CapSetAllocHealthDeployment), Do: a.deploymentHealth},
	}
}

func deploymentAnswer(res *api.DeploymentUpdateResponse, unknown []string, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return written(res, res.Index, unknown), nil
}

func (a *routes) pauseDeployment(r *http.Request) (any, error) {
	var body struct {
		DeploymentID string
		Pause        bool
	}
	unknown, err := web.Decode(r, &body)
	if err != nil {
		return nil, err
	}
	if err := checkPathID(r, "DeploymentID", &body.DeploymentID); err != nil {
		return nil, err
	}
	res, err := a.Server.PauseDeployment(r.Context(), web.Token(r), body.DeploymentID, body.Pause)
	return deploymentAnswer(res, unknown, err)
}

func (a *routes) failDeployment(r *http.Request) (any, error) {
	res, err := a.Server.FailDeployment(r.Context(), web.Token(r), r.PathValue("id"))
	return deploymentAnswer(res, nil, err)
}

func (a *routes) promoteDeployment(r *http.Request) (any, error) {
	var body struct {
		DeploymentID string
		All          bool
		Groups       []string
	}
	unknown, err := web.Decode(r, &body)
	if err != nil {
		return nil, err
	}
	if err := checkPathID(r, "DeploymentID", &body.DeploymentID); err != nil {
		return nil, err
	}
	res, err := a.Server.PromoteDeployment(r.Context(), web.Token(r), body.DeploymentID, body.All, body.Groups)
	return deploymentAnswer(res, unknown, err)
}

func (a *routes) deploymentHealth(r *http.Request) (any, error) {
	var body struct {
		DeploymentID           string
		HealthyAllocationIDs   []string
		UnhealthyAllocationIDs []string
	}
	unknown, err := web.Decode(r, &body)
	if err != nil {
		return nil, err
	}
	if err := checkPathID(r, "DeploymentID", &body.DeploymentID); err != nil {
		return nil, err
	}
	res, err := a.Server.SetDeploymentHealth(r.Context(), web.Token(r), body.DeploymentID, body.HealthyAllocationIDs, body.UnhealthyAllocationIDs)
	return deploymentAnswer(res, unknown, err)
}
