package httpapi

import (
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

func (a *routes) keyringRoutes() []web.Route {
	return []web.Route{
		{Methods: "GET", Pattern: "/v1/operator/keyring/keys", Needs: web.Region(api.CapOperatorKeyringRead), Do: read(func(r *http.Request, o api.ListOptions, _ string) ([]*api.RootKey, api.Meta, error) {
			return a.Server.RootKeys(r.Context(), o)
		})},
		{Methods: "PUT POST", Pattern: "/v1/operator/keyring/rotate", Needs: web.Region(api.CapOperatorKeyringRotate), Do: a.rotateRootKey},
		{Methods: "DELETE", Pattern: "/v1/operator/keyring/key/{id}", Needs: web.Region(api.CapOperatorKeyringDelete), Do: a.deleteRootKey},
		{Methods: "GET", Pattern: "/.well-known/jwks.json", Needs: web.Everyone(), Do: a.publicKeys},
		{Methods: "GET", Pattern: "/.well-known/openid-configuration", Needs: web.Everyone(), Do: func(*http.Request) (any, error) {
			return a.Server.OpenIDConfiguration()
		}},
	}
}

// rotateRootKey takes its options from the query, as clients send them.
func (a *routes) rotateRootKey(r *http.Request) (any, error) {
	p := web.ParamsOf(r)
	req := &api.RootKeyRotation{
		Algorithm: p.String("algo"), SigningAlgorithm: p.String("signing"), Full: p.Bool("full", false),
		PublishTime: p.Int("publish_time", 0, 0, math.MaxInt64),
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	res, err := a.Server.RotateRootKey(r.Context(), web.Token(r), req)
	if err != nil {
		return nil, err
	}
	return written(res, res.Index, nil), nil
}

func (a *routes) deleteRootKey(r *http.Request) (any, error) {
	p := web.ParamsOf(r)
	force := p.Bool("force", false)
	if err := p.Err(); err != nil {
		return nil, err
	}
	index, err := a.Server.DeleteRootKey(r.Context(), web.Token(r), r.PathValue("id"), force)
	if err != nil {
		return nil, err
	}
	return written(nil, index, nil), nil
}

// publicKeys says besides how long an answer may be kept: less than a key is
// published before it signs.
func (a *routes) publicKeys(r *http.Request) (any, error) {
	opts, err := listOptions(r)
	if err != nil {
		return nil, err
	}
	set, meta, err := a.Server.PublicKeys(r.Context(), opts)
	if err != nil {
		return nil, err
	}
	return &web.Reply{Value: set, Meta: &meta, Header: http.Header{
		"Cache-Control": {fmt.Sprintf("public, max-age=%d", int(a.PublicKeysAge/time.Second))},
	}}, nil
}
