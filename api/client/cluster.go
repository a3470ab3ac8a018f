package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/drover-org/drover/api"
)

// Agent are the calls on the agent itself.
type Agent struct{ c *Client }

// Agent returns the calls on the agent itself.
func (c *Client) Agent() Agent { return Agent{c} }

// Self returns the agent's configuration and figures.
func (a Agent) Self(ctx context.Context) (*api.AgentSelf, error) {
	out := new(api.AgentSelf)
	_, err := a.c.call(ctx, http.MethodGet, "/v1/agent/self", nil, nil, out)
	return out, err
}

// Members lists the servers that the agent knows.
func (a Agent) Members(ctx context.Context) (*api.AgentMembers, error) {
	out := new(api.AgentMembers)
	_, err := a.c.call(ctx, http.MethodGet, "/v1/agent/members", nil, nil, out)
	return out, err
}

// Join makes the server that is asked and those at addresses of serf ports
// know each other, and returns how many answered.
func (a Agent) Join(ctx context.Context, addresses ...string) (int, error) {
	out := new(api.AgentJoin)
	if _, err := a.c.call(ctx, http.MethodPut, "/v1/agent/join", url.Values{"address": addresses}, nil, out); err != nil {
		return 0, err
	}
	if out.Error != "" {
		return out.NumJoined, &api.Error{Code: api.CodeUnavailable, Message: out.Error}
	}
	return out.NumJoined, nil
}

// ForceLeave takes out a server that failed; with prune it is forgotten.
func (a Agent) ForceLeave(ctx context.Context, name string, prune bool) error {
	q := url.Values{"node": {name}}
	if prune {
		q.Set("prune", "true")
	}
	_, err := a.c.call(ctx, http.MethodPut, "/v1/agent/force-leave", q, nil, nil)
	return err
}

// GossipKeys lists the keys that encrypt gossip.
func (a Agent) GossipKeys(ctx context.Context) (*api.GossipKeys, error) {
	out := new(api.GossipKeys)
	_, err := a.c.call(ctx, http.MethodGet, "/v1/agent/keyring/list", nil, nil, out)
	return out, err
}

// ChangeGossipKey does one thing with a key: install, use or remove.
func (a Agent) ChangeGossipKey(ctx context.Context, what, key string) (*api.GossipKeys, error) {
	out := new(api.GossipKeys)
	_, err := a.c.call(ctx, http.MethodPut, "/v1/agent/keyring/"+url.PathEscape(what), nil, api.GossipKeyRequest{Key: key}, out)
	return out, err
}

// Health reports whether the agent's parts work. The error of an unhealthy
// agent is CodeInternal and its message the JSON of api.AgentHealth.
func (a Agent) Health(ctx context.Context) (*api.AgentHealth, error) {
	out := new(api.AgentHealth)
	_, err := a.c.call(ctx, http.MethodGet, "/v1/agent/health", nil, nil, out)
	return out, err
}

// Status are the calls on the cluster's state.
type Status struct{ c *Client }

// Status returns the calls on the cluster's state.
func (c *Client) Status() Status { return Status{c} }

// Leader returns the leader's address, empty when there is none.
func (s Status) Leader(ctx context.Context) (string, error) {
	var out string
	_, err := s.c.call(ctx, http.MethodGet, "/v1/status/leader", nil, nil, &out)
	return out, err
}

// Peers returns the addresses of the servers that vote.
func (s Status) Peers(ctx context.Context) ([]string, error) {
	var out []string
	_, err := s.c.call(ctx, http.MethodGet, "/v1/status/peers", nil, nil, &out)
	return out, err
}

// Regions returns the names of the known regions.
func (s Status) Regions(ctx context.Context) ([]string, error) {
	var out []string
	_, err := s.c.call(ctx, http.MethodGet, "/v1/regions", nil, nil, &out)
	return out, err
}

// Search are the calls that look things up.
type Search struct{ c *Client }

// Search returns the calls that look things up.
func (c *Client) Search() Search { return Search{c} }

// Prefix looks objects up by the prefix of their IDs.
func (s Search) Prefix(ctx context.Context, req *api.SearchRequest) (*api.SearchResponse, error) {
	out := new(api.SearchResponse)
	_, err := s.c.call(ctx, http.MethodPut, "/v1/search", jobParams(req.Namespace), req, out)
	return out, err
}

// Operator are the calls for those who run the cluster.
type Operator struct{ c *Client }

// Operator returns the calls for those who run the cluster.
func (c *Client) Operator() Operator { return Operator{c} }

// Health tells how the servers of the region are, also when something is
// wrong with them.
func (o Operator) Health(ctx context.Context) (*api.RegionHealth, error) {
	resp, err := o.c.Do(ctx, http.MethodGet, "/v1/operator/autopilot/health", nil, http.Header{}, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusTooManyRequests || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		if err := refusal(resp); err != nil {
			return nil, err
		}
	}
	out := new(api.RegionHealth)
	return out, decodeAnswer(ctx, resp, out)
}

// RaftConfiguration lists the servers of the log.
func (o Operator) RaftConfiguration(ctx context.Context) (*api.RaftConfiguration, error) {
	out := new(api.RaftConfiguration)
	_, err := o.c.call(ctx, http.MethodGet, "/v1/operator/raft/configuration", nil, nil, out)
	return out, err
}

// RemoveRaftPeer takes a server, by address or by ID, out of the log.
func (o Operator) RemoveRaftPeer(ctx context.Context, address, id string) error {
	_, err := o.c.call(ctx, http.MethodDelete, "/v1/operator/raft/peer", serverParams(address, id), nil, nil)
	return err
}

// TransferLeadership makes a server, by address or by ID, the leader.
func (o Operator) TransferLeadership(ctx context.Context, address, id string) error {
	_, err := o.c.call(ctx, http.MethodPut, "/v1/operator/raft/transfer-leadership", serverParams(address, id), nil, nil)
	return err
}

func serverParams(address, id string) url.Values {
	if id != "" {
		return url.Values{"id": {id}}
	}
	return url.Values{"address": {address}}
}

// SchedulerConfig returns how the region schedules.
func (o Operator) SchedulerConfig(ctx context.Context) (*api.SchedulerConfiguration, error) {
	var out struct{ SchedulerConfig *api.SchedulerConfiguration }
	_, err := o.c.read(ctx, "/v1/operator/scheduler/configuration", api.ListOptions{}, nil, &out)
	return out.SchedulerConfig, err
}

// SetSchedulerConfig replaces the configuration if its ModifyIndex is still
// that of cfg, and tells whether it did.
func (o Operator) SetSchedulerConfig(ctx context.Context, cfg *api.SchedulerConfiguration) (updated bool, err error) {
	var out struct{ Updated bool }
	params := url.Values{"cas": {strconv.FormatUint(cfg.ModifyIndex, 10)}}
	_, err = o.c.call(ctx, http.MethodPut, "/v1/operator/scheduler/configuration", params, cfg, &out)
	return out.Updated, err
}

// GC removes everything that is over and could be removed later anyway.
func (o Operator) GC(ctx context.Context) error {
	_, err := o.c.call(ctx, http.MethodPut, "/v1/system/gc", nil, nil, nil)
	return err
}

// RootKeys lists the root keys, the newest first.
func (o Operator) RootKeys(ctx context.Context, opts api.ListOptions) ([]*api.RootKey, api.Meta, error) {
	var out []*api.RootKey
	meta, err := o.c.read(ctx, "/v1/operator/keyring/keys", opts, nil, &out)
	return out, meta, err
}

// RotateRootKey makes a root key that takes the place of the active one.
func (o Operator) RotateRootKey(ctx context.Context, req *api.RootKeyRotation) (*api.RootKeyResponse, error) {
	q := url.Values{}
	if req.Algorithm != "" {
		q.Set("algo", req.Algorithm)
	}
	if req.SigningAlgorithm != "" {
		q.Set("signing", req.SigningAlgorithm)
	}
	if req.Full {
		q.Set("full", "true")
	}
	if req.PublishTime != 0 {
		q.Set("publish_time", strconv.FormatInt(req.PublishTime, 10))
	}
	out := new(api.RootKeyResponse)
	_, err := o.c.call(ctx, http.MethodPut, "/v1/operator/keyring/rotate", q, nil, out)
	return out, err
}

// DeleteRootKey removes a root key for good; with force also one in use.
func (o Operator) DeleteRootKey(ctx context.Context, id string, force bool) error {
	q := url.Values{}
	if force {
		q.Set("force", "true")
	}
	_, err := o.c.call(ctx, http.MethodDelete, "/v1/operator/keyring/key/"+url.PathEscape(id), q, nil, nil)
	return err
}

// Evals are the calls on evaluations.
type Evals struct{ c *Client }

// Evals returns the calls on evaluations.
func (c *Client) Evals() Evals { return Evals{c} }

// List returns evaluations; status and job narrow the list when not empty.
func (e Evals) List(ctx context.Context, status, job string, opts api.ListOptions) ([]*api.Evaluation, api.Meta, error) {
	extra := url.Values{}
	if status != "" {
		extra.Set("status", status)
	}
	if job != "" {
		extra.Set("job", job)
	}
	var out []*api.Evaluation
	meta, err := e.c.read(ctx, "/v1/evaluations", opts, extra, &out)
	return out, meta, err
}

// Info returns one evaluation by its full ID, with related those that belong
// to the same cause.
func (e Evals) Info(ctx context.Context, id string, related bool, opts api.ListOptions) (*api.Evaluation, api.Meta, error) {
	extra := url.Values{}
	if related {
		extra.Set("related", "true")
	}
	out := new(api.Evaluation)
	meta, err := e.c.read(ctx, "/v1/evaluation/"+url.PathEscape(id), opts, extra, out)
	return out, meta, err
}

// Count tells how many evaluations a list would show.
func (e Evals) Count(ctx context.Context, opts api.ListOptions) (int, error) {
	var out struct{ Count int }
	_, err := e.c.read(ctx, "/v1/evaluations/count", opts, nil, &out)
	return out.Count, err
}

// Delete deletes evaluations while scheduling is paused, and tells how many.
func (e Evals) Delete(ctx context.Context, req *api.EvalDeleteRequest) (int, error) {
	var out struct{ Count int }
	_, err := e.c.call(ctx, http.MethodDelete, "/v1/evaluations", nil, req, &out)
	return out.Count, err
}

// Allocations returns the allocations that an evaluation placed or changed.
func (e Evals) Allocations(ctx context.Context, id string, opts api.ListOptions) ([]*api.AllocListStub, api.Meta, error) {
	var out []*api.AllocListStub
	meta, err := e.c.read(ctx, "/v1/evaluation/"+url.PathEscape(id)+"/allocations", opts, nil, &out)
	return out, meta, err
}

// Nodes are the calls on nodes.
type Nodes struct{ c *Client }

// Nodes returns the calls on nodes.
func (c *Client) Nodes() Nodes { return Nodes{c} }

// List returns nodes in short, with resources what each has.
func (n Nodes) List(ctx context.Context, resources bool, opts api.ListOptions) ([]*api.NodeListStub, api.Meta, error) {
	extra := url.Values{}
	if resources {
		extra.Set("resources", "true")
	}
	var out []*api.NodeListStub
	meta, err := n.c.read(ctx, "/v1/nodes", opts, extra, &out)
	return out, meta, err
}

// Info returns one node by its full ID.
func (n Nodes) Info(ctx context.Context, id string, opts api.ListOptions) (*api.Node, api.Meta, error) {
	out := new(api.Node)
	meta, err := n.c.read(ctx, "/v1/node/"+url.PathEscape(id), opts, nil, out)
	return out, meta, err
}

// Allocations returns the allocations of a node in full.
func (n Nodes) Allocations(ctx context.Context, id string, opts api.ListOptions) ([]*api.Allocation, api.Meta, error) {
	var out []*api.Allocation
	meta, err := n.c.read(ctx, "/v1/node/"+url.PathEscape(id)+"/allocations", opts, nil, &out)
	return out, meta, err
}

// Stats returns what a node uses now.
func (n Nodes) Stats(ctx context.Context, id string) (*api.HostStats, error) {
	out := new(api.HostStats)
	_, err := n.c.call(ctx, http.MethodGet, "/v1/client/stats", url.Values{"node_id": {id}}, nil, out)
	return out, err
}

// Identity returns what a node's own identity says.
func (n Nodes) Identity(ctx context.Context, id string) (*api.NodeIdentityClaims, error) {
	out := new(api.NodeIdentityClaims)
	_, err := n.c.call(ctx, http.MethodGet, "/v1/client/identity", url.Values{"node_id": {id}}, nil, out)
	return out, err
}

// RenewIdentity makes a node ask for a new identity.
func (n Nodes) RenewIdentity(ctx context.Context, id string) error {
	_, err := n.c.call(ctx, http.MethodPost, "/v1/client/identity/renew", url.Values{"node_id": {id}}, nil, nil)
	return err
}

// Introduce makes the token by which a new node joins.
func (n Nodes) Introduce(ctx context.Context, req *api.NodeIntroduction) (*api.NodeIntroductionToken, error) {
	out := new(api.NodeIntroductionToken)
	_, err := n.c.call(ctx, http.MethodPost, "/v1/acl/identity/client-introduction-token", nil, req, out)
	return out, err
}

// SetEligible says whether new allocations may be placed on a node.
func (n Nodes) SetEligible(ctx context.Context, id string, eligible bool) (*api.NodeUpdateResponse, error) {
	req := &api.NodeEligibilityRequest{NodeID: id, Eligibility: api.NodeIneligible}
	if eligible {
		req.Eligibility = api.NodeEligible
	}
	out := new(api.NodeUpdateResponse)
	_, err := n.c.call(ctx, http.MethodPut, "/v1/node/"+url.PathEscape(id)+"/eligibility", nil, req, out)
	return out, err
}

// Drain starts or changes the drain of a node, or ends it when the request has
// no DrainSpec.
func (n Nodes) Drain(ctx context.Context, id string, req *api.NodeDrainRequest) (*api.NodeUpdateResponse, error) {
	out := new(api.NodeUpdateResponse)
	_, err := n.c.call(ctx, http.MethodPut, "/v1/node/"+url.PathEscape(id)+"/drain", nil, req, out)
	return out, err
}

// Deployments are the calls on deployments.
type Deployments struct{ c *Client }

// Deployments returns the calls on deployments.
func (c *Client) Deployments() Deployments { return Deployments{c} }

// List returns deployments.
func (d Deployments) List(ctx context.Context, opts api.ListOptions) ([]*api.Deployment, api.Meta, error) {
	var out []*api.Deployment
	meta, err := d.c.read(ctx, "/v1/deployments", opts, nil, &out)
	return out, meta, err
}

// Info returns one deployment by its full ID.
func (d Deployments) Info(ctx context.Context, id string, opts api.ListOptions) (*api.Deployment, api.Meta, error) {
	out := new(api.Deployment)
	meta, err := d.c.read(ctx, "/v1/deployment/"+url.PathEscape(id), opts, nil, out)
	return out, meta, err
}

// Allocations returns the allocations of a deployment in short.
func (d Deployments) Allocations(ctx context.Context, id string, opts api.ListOptions) ([]*api.AllocListStub, api.Meta, error) {
	var out []*api.AllocListStub
	meta, err := d.c.read(ctx, "/v1/deployment/allocations/"+url.PathEscape(id), opts, nil, &out)
	return out, meta, err
}

// Fail ends a deployment as failed.
func (d Deployments) Fail(ctx context.Context, id string) (*api.DeploymentUpdateResponse, error) {
	return d.change(ctx, "fail", id, map[string]any{"DeploymentID": id})
}

// Pause holds a deployment, or with pause false lets it go on.
func (d Deployments) Pause(ctx context.Context, id string, pause bool) (*api.DeploymentUpdateResponse, error) {
	return d.change(ctx, "pause", id, map[string]any{"DeploymentID": id, "Pause": pause})
}

// Promote replaces the old version by the canaries, of the named groups or,
// without names, of all.
func (d Deployments) Promote(ctx context.Context, id string, groups ...string) (*api.DeploymentUpdateResponse, error) {
	return d.change(ctx, "promote", id, map[string]any{"DeploymentID": id, "All": len(groups) == 0, "Groups": groups})
}

// Unblock lets a deployment go on that waits for other regions.
func (d Deployments) Unblock(ctx context.Context, id string) (*api.DeploymentUpdateResponse, error) {
	return d.change(ctx, "unblock", id, map[string]any{})
}

func (d Deployments) change(ctx context.Context, verb, id string, body map[string]any) (*api.DeploymentUpdateResponse, error) {
	out := new(api.DeploymentUpdateResponse)
	_, err := d.c.call(ctx, http.MethodPut, "/v1/deployment/"+verb+"/"+url.PathEscape(id), nil, body, out)
	return out, err
}
