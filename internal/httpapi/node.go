package httpapi

import (
	"context"
	"iter"
	"net"
	"net/http"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

func (a *routes) nodeRoutes() []web.Route {
	return []web.Route{
		{Methods: "PUT POST", Pattern: "/v1/acl/identity/client-introduction-token", Needs: web.Region(api.CapNodeWrite), Do: a.introduceNode},
		{Methods: "GET", Pattern: "/v1/nodes", Needs: web.Region(api.CapNodeRead), Do: a.nodeList(func(ctx context.Context, o api.ListOptions, _ string) (iter.Seq[*api.Node], api.Meta, error) {
			return a.Server.Nodes(ctx, o)
		})},
		{Methods: "GET", Pattern: "/v1/node/{id}", Needs: web.Region(api.CapNodeRead), Do: read(func(r *http.Request, o api.ListOptions, id string) (*api.Node, api.Meta, error) {
			return a.Server.Node(r.Context(), o, id)
		})},
		a.verbs("/v1/node/{id}/{verb}", []web.Route{
			{Methods: "GET", Pattern: "allocations", Needs: web.Region(api.CapNodeRead), Do: a.nodeAllocs},
			{Methods: "PUT POST", Pattern: "eligibility", Needs: web.Region(api.CapNodeWrite), Do: a.setEligibility},
			{Methods: "PUT POST", Pattern: "evaluate", Needs: web.Region(api.CapNodeWrite), Do: nodeChange(a.Server.EvaluateNode)},
			{Methods: "PUT POST", Pattern: "purge", Needs: web.Region(api.CapNodeWrite), Do: nodeChange(a.Server.PurgeNode)},
			{Methods: "PUT POST", Pattern: "drain", Needs: web.Region(api.CapNodeWrite), Do: a.drainNode},
		}),
	}
}

// nodeList makes a handler that lists nodes.
func (a *routes) nodeList(list func(ctx context.Context, o api.ListOptions, pool string) (iter.Seq[*api.Node], api.Meta, error)) web.Handler {
	return func(r *http.Request) (any, error) {
		p := web.ParamsOf(r)
		opts, resources, os := p.List(), p.Bool("resources", false), p.Bool("os", false)
		if err := p.Err(); err != nil {
			return nil, err
		}
		seq, meta, err := list(r.Context(), opts, r.PathValue("id"))
		if err != nil {
			return answer(nil, meta, err)
		}
		stubs := func(yield func(*api.NodeListStub) bool) {
			for n := range seq {
				if !yield(nodeStub(n, resources, os)) {
					return
				}
			}
		}
		return answer(web.List[*api.NodeListStub]{Items: stubs}, meta, nil)
	}
}

// versionAttribute is where a node says which version it runs.
const versionAttribute = "nomad.version"

func nodeStub(n *api.Node, resources, os bool) *api.NodeListStub {
	address := n.HTTPAddr
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	stub := &api.NodeListStub{
		Address: address, ID: n.ID, Datacenter: n.Datacenter, Name: n.Name, NodeClass: n.NodeClass, NodePool: n.NodePool,
		Version: n.Attributes[versionAttribute], Drain: n.DrainStrategy != nil, SchedulingEligibility: n.SchedulingEligibility,
		Status: n.Status, StatusDescription: n.StatusDescription, Drivers: n.Drivers, HostVolumes: n.HostVolumes,
		LastDrain: n.LastDrain, CreateIndex: n.CreateIndex, ModifyIndex: n.ModifyIndex,
	}
	if resources {
		stub.NodeResources, stub.ReservedResources = n.NodeResources, n.ReservedResources
	}
	if os {
		stub.Attributes = map[string]string{"os.name": n.Attributes["os.name"]}
	}
	return stub
}

func (a *routes) nodeAllocs(r *http.Request) (any, error) {
	opts, err := listOptions(r)
	if err != nil {
		return nil, err
	}
	allocs, meta, err := a.Server.NodeAllocs(r.Context(), opts, r.PathValue("id"))
	views := func(yield func(*api.AllocView) bool) {
		for _, alloc := range allocs {
			if !yield(alloc.View()) {
				return
			}
		}
	}
	return answer(web.List[*api.AllocView]{Items: views}, meta, err)
}

func (a *routes) setEligibility(r *http.Request) (any, error) {
	var body api.NodeEligibilityRequest
	unknown, err := web.Decode(r, &body)
	if err != nil {
		return nil, err
	}
	if err := checkPathID(r, "NodeID", &body.NodeID); err != nil {
		return nil, err
	}
	res, err := a.Server.SetEligibility(r.Context(), web.Token(r), body.NodeID, body.Eligibility)
	if err != nil {
		return nil, err
	}
	return written(res, res.Index, unknown), nil
}

func (a *routes) drainNode(r *http.Request) (any, error) {
	var body api.NodeDrainRequest
	unknown, err := web.Decode(r, &body)
	if err != nil {
		return nil, err
	}
	if err := checkPathID(r, "NodeID", &body.NodeID); err != nil {
		return nil, err
	}
	res, err := a.Server.DrainNode(r.Context(), web.Token(r), body.NodeID, &body)
	if err != nil {
		return nil, err
	}
	return written(res, res.Index, unknown), nil
}

// nodeChange makes a handler of a change that needs no body.
func nodeChange(change func(ctx context.Context, token, id string) (*api.NodeUpdateResponse, error)) web.Handler {
	return func(r *http.Request) (any, error) {
		res, err := change(r.Context(), web.Token(r), r.PathValue("id"))
		if err != nil {
			return nil, err
		}
		return written(res, res.Index, nil), nil
	}
}
