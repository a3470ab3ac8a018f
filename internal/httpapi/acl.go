package httpapi

import (
	"net/http"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

// aclRoutes are about policies, roles and tokens.
func (a *routes) aclRoutes() []web.Route {
	manage, own := web.Region(api.CapManagement), web.Shown()
	return []web.Route{
		{Methods: "PUT POST", Pattern: "/v1/acl/bootstrap", Do: a.bootstrapACL, Needs: web.Everyone()},

		{Methods: "GET", Pattern: "/v1/acl/policies", Needs: own, Do: read(func(r *http.Request, o api.ListOptions, _ string) ([]*api.ACLPolicyListStub, api.Meta, error) {
			list, meta, err := a.Server.ACLPolicies(r.Context(), o)
			return orEmpty(list), meta, err
		})},
		{Methods: "GET", Pattern: "/v1/acl/policy/self", Needs: own, Do: read(func(r *http.Request, o api.ListOptions, _ string) ([]*api.ACLPolicyListStub, api.Meta, error) {
			list, meta, err := a.Server.ACLPoliciesOfCaller(r.Context(), o)
			return orEmpty(list), meta, err
		})},
		{Methods: "GET", Pattern: "/v1/acl/policy/{id}", Needs: own, Do: read(func(r *http.Request, o api.ListOptions, name string) (*api.ACLPolicy, api.Meta, error) {
			return a.Server.ACLPolicy(r.Context(), o, name)
		})},
		{Methods: "PUT POST", Pattern: "/v1/acl/policy/{id}", Needs: manage, Do: a.upsertPolicy},
		{Methods: "DELETE", Pattern: "/v1/acl/policy/{id}", Needs: manage, Do: deleteByID(a.Server.DeleteACLPolicy)},

		{Methods: "GET", Pattern: "/v1/acl/tokens", Needs: manage, Do: a.listTokens},
		{Methods: "PUT POST", Pattern: "/v1/acl/token", Needs: manage, Do: a.upsertToken},
		{Methods: "GET", Pattern: "/v1/acl/token/self", Needs: web.AnyToken(), Do: read(func(r *http.Request, o api.ListOptions, _ string) (*api.ACLToken, api.Meta, error) {
			return a.Server.ACLTokenOfCaller(r.Context(), o)
		})},
		{Methods: "GET", Pattern: "/v1/acl/token/{id}", Needs: own, Do: read(func(r *http.Request, o api.ListOptions, id string) (*api.ACLToken, api.Meta, error) {
			return a.Server.ACLToken(r.Context(), o, id)
		})},
		{Methods: "PUT POST", Pattern: "/v1/acl/token/{id}", Needs: manage, Do: a.upsertToken},
		{Methods: "DELETE", Pattern: "/v1/acl/token/{id}", Needs: manage, Do: deleteByID(a.Server.DeleteACLToken)},
		{Methods: "PUT POST", Pattern: "/v1/acl/token/onetime", Needs: web.AnyToken(), Do: a.addOneTimeToken},
		{Methods: "PUT POST", Pattern: "/v1/acl/token/onetime/exchange", Needs: web.Everyone(), Do: a.exchangeOneTimeToken},

		{Methods: "GET", Pattern: "/v1/acl/roles", Needs: own, Do: read(func(r *http.Request, o api.ListOptions, _ string) ([]*api.ACLRole, api.Meta, error) {
			list, meta, err := a.Server.ACLRoles(r.Context(), o)
			return orEmpty(list), meta, err
		})},
		{Methods: "PUT POST", Pattern: "/v1/acl/role", Needs: manage, Do: a.upsertRole},
		{Methods: "GET", Pattern: "/v1/acl/role/{id}", Needs: own, Do: read(func(r *http.Request, o api.ListOptions, id string) (*api.ACLRole, api.Meta, error) {
			return a.Server.ACLRole(r.Context(), o, id)
		})},
		{Methods: "GET", Pattern: "/v1/acl/role/name/{id}", Needs: own, Do: read(func(r *http.Request, o api.ListOptions, name string) (*api.ACLRole, api.Meta, error) {
			return a.Server.ACLRoleByName(r.Context(), o, name)
		})},
		{Methods: "PUT POST", Pattern: "/v1/acl/role/{id}", Needs: manage, Do: a.upsertRole},
		{Methods: "DELETE", Pattern: "/v1/acl/role/{id}", Needs: manage, Do: deleteByID(a.Server.DeleteACLRole)},

		{Methods: "PUT POST", Pattern: "/v1/acl/explain", Needs: own, Do: a.explainACL},

		{Methods: "*", Pattern: "/v1/acl/{rest...}", Needs: web.Everyone(), Do: func(*http.Request) (any, error) {
			if !a.Server.ACLEnabled() {
				return nil, &api.Error{Code: api.CodeInvalid, Message: "ACL support disabled"}
			}
			return nil, &api.Error{Code: api.CodeNotFound, Message: "resource not found"}
		}},
	}
}

// warned answers a write with its warnings.
func warned(value any, index uint64, unknown, warnings []string) *web.Reply {
	reply := written(value, index, unknown)
	if len(warnings) > 0 && reply.Header == nil {
		reply.Header = http.Header{}
	}
	for _, w := range warnings {
		reply.Header.Add("X-Drover-Warning", w)
	}
	return reply
}

func (a *routes) bootstrapACL(r *http.Request) (any, error) {
	var body api.ACLBootstrapRequest
	unknown, err := web.DecodeOptional(r, &body)
	if err != nil {
		return nil, err
	}
	token, index, err := a.Server.BootstrapACL(r.Context(), body.BootstrapSecret)
	if err != nil {
		return nil, err
	}
	return written(token, index, unknown), nil
}

func (a *routes) upsertPolicy(r *http.Request) (any, error) {
	var p api.ACLPolicy
	unknown, err := web.Decode(r, &p)
	if err != nil {
		return nil, err
	}
	if err := checkPathID(r, "Name", &p.Name); err != nil {
		return nil, err
	}
	index, warnings, err := a.Server.UpsertACLPolicy(r.Context(), web.Token(r), &p)
	if err != nil {
		return nil, err
	}
	return warned(nil, index, unknown, warnings), nil
}

func (a *routes) listTokens(r *http.Request) (any, error) {
	p := web.ParamsOf(r)
	opts, global := p.List(), p.Bool("global", false)
	if err := p.Err(); err != nil {
		return nil, err
	}
	list, meta, err := a.Server.ACLTokens(r.Context(), opts, global)
	return answer(orEmpty(list), meta, err)
}

func (a *routes) upsertToken(r *http.Request) (any, error) {
	var t api.ACLToken
	unknown, err := web.Decode(r, &t)
	if err != nil {
		return nil, err
	}
	if err := checkPathID(r, "AccessorID", &t.AccessorID); err != nil {
		return nil, err
	}
	out, index, warnings, err := a.Server.UpsertACLToken(r.Context(), web.Token(r), &t)
	if err != nil {
		return nil, err
	}
	return warned(out, index, unknown, warnings), nil
}

func (a *routes) addOneTimeToken(r *http.Request) (any, error) {
	t, index, err := a.Server.AddOneTimeToken(r.Context(), web.Token(r))
	if err != nil {
		return nil, err
	}
	return written(&api.OneTimeTokenUpsertResponse{OneTimeToken: t, Index: index}, index, nil), nil
}

func (a *routes) exchangeOneTimeToken(r *http.Request) (any, error) {
	var body api.OneTimeTokenExchangeRequest
	unknown, err := web.Decode(r, &body)
	if err != nil {
		return nil, err
	}
	t, index, err := a.Server.ExchangeOneTimeToken(r.Context(), body.OneTimeSecretID)
	if err != nil {
		return nil, err
	}
	return written(&api.OneTimeTokenExchangeResponse{Token: t, Index: index}, index, unknown), nil
}

func (a *routes) upsertRole(r *http.Request) (any, error) {
	var role api.ACLRole
	unknown, err := web.Decode(r, &role)
	if err != nil {
		return nil, err
	}
	if err := checkPathID(r, "ID", &role.ID); err != nil {
		return nil, err
	}
	out, index, err := a.Server.UpsertACLRole(r.Context(), web.Token(r), &role)
	if err != nil {
		return nil, err
	}
	return written(out, index, unknown), nil
}
