package identity

import (
	"context"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/drover-org/drover/api"
)

// nodeAudience is whom identities of nodes and introductions are for: the
// region's servers and nobody else.
const nodeAudience = "nomadproject.io"

// What the subject of a token of these kinds begins with.
const (
	nodeSubject         = "node:"
	introductionSubject = "node-introduction:"
)

// nodeClaims are those of a node's identity, and of an introduction.
type nodeClaims struct {
	jwt.Claims
	NodeID     string `json:"nomad_node_id,omitempty"`
	Name       string `json:"nomad_node_name,omitempty"`
	Pool       string `json:"nomad_node_pool"`
	Class      string `json:"nomad_node_class,omitempty"`
	Datacenter string `json:"nomad_node_datacenter,omitempty"`
	AllocID    string `json:"nomad_allocation_id,omitempty"` // a workload's: never one of these
}

// Node is what the identity of a node says.
type Node struct {
	ID, Pool, Class, Datacenter string
	Issued, Expires             time.Time
}

// Of reports whether it says what n is.
func (i *Node) Of(n *api.Node) bool {
	return i.ID == n.ID && i.Pool == n.NodePool && i.Class == n.NodeClass && i.Datacenter == n.Datacenter
}

// SignNode makes the identity of a node.
func SignNode(ctx context.Context, s Signer, region, issuer string, n *api.Node, now time.Time, ttl time.Duration) (string, error) {
	subject := nodeSubject + strings.Join([]string{region, n.NodePool, n.ID, "default"}, ":")
	return s.Sign(ctx, nodeClaims{
		Claims: newClaims(issuer, subject, []string{nodeAudience}, now, ttl),
		NodeID: n.ID, Pool: n.NodePool, Class: n.NodeClass, Datacenter: n.Datacenter,
	})
}

// ParseNode verifies the identity of a node.
func ParseNode(v Verifier, token string) (*Node, error) {
	c, err := parseNodeClaims(v, token, nodeSubject)
	if err != nil {
		return nil, err
	}
	if _, ok := api.ParseID(c.NodeID); !ok || c.IssuedAt == nil {
		return nil, errKind()
	}
	return &Node{ID: c.NodeID, Pool: c.Pool, Class: c.Class, Datacenter: c.Datacenter, Issued: c.IssuedAt.Time(), Expires: expires(&c.Claims)}, nil
}

// Introduction is what lets a new node join: by whatever name when Name is
// empty, and a pool.
type Introduction struct{ Name, Pool string }

// SignIntroduction makes the token of an introduction.
func SignIntroduction(ctx context.Context, s Signer, region, issuer string, i Introduction, now time.Time, ttl time.Duration) (string, error) {
	subject := introductionSubject + strings.Join([]string{region, i.Pool, i.Name, "default"}, ":")
	return s.Sign(ctx, nodeClaims{Claims: newClaims(issuer, subject, []string{nodeAudience}, now, ttl), Name: i.Name, Pool: i.Pool})
}

// ParseIntroduction verifies the token of an introduction.
func ParseIntroduction(v Verifier, token string) (*Introduction, error) {
	c, err := parseNodeClaims(v, token, introductionSubject)
	if err != nil {
		return nil, err
	}
	if c.Pool == "" || c.NodeID != "" {
		return nil, errKind()
	}
	return &Introduction{Name: c.Name, Pool: c.Pool}, nil
}

// parseNodeClaims verifies a token and that it is of a kind. What a task can
// have in its own token is not enough: that always names an allocation.
func parseNodeClaims(v Verifier, token, subject string) (*nodeClaims, error) {
	var c nodeClaims
	if err := v.Verify(token, &c); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(c.Subject, subject) || !c.Audience.Contains(nodeAudience) || c.AllocID != "" || c.Expiry == nil {
		return nil, errKind()
	}
	return &c, nil
}

func errKind() error { return api.Errorf(api.CodeForbidden, "the token is of another kind") }
