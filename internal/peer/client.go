package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/drover-org/drover/api"
)

// Bounds of a Client.
const (
	maxIdle     = 16 // connections to one server
	idleTime    = 90 * time.Second
	dialTimeout = 3 * time.Second
	maxAnswer   = 1 << 20
)

// Client asks other servers, by the addresses of their rpc ports. Safe for
// concurrent use.
type Client struct{ transport *http.Transport }

// NewClient returns a Client whose connections dial opens.
func NewClient(dial func(ctx context.Context, addr string) (net.Conn, error)) *Client {
	return &Client{transport: &http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, dialTimeout)
			defer cancel()
			return dial(ctx, addr)
		},
		DisableCompression: true, MaxIdleConnsPerHost: maxIdle, IdleConnTimeout: idleTime,
	}}
}

// Close closes the connections that nobody uses.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Hello asks who the server at addr is.
func (c *Client) Hello(ctx context.Context, addr string) (*Hello, error) {
	h := new(Hello)
	return h, c.call(ctx, addr, http.MethodGet, "/hello", nil, h)
}

// Consent asks whether the server with an ID may form the log.
func (c *Client) Consent(ctx context.Context, addr, id string) error {
	return c.call(ctx, addr, http.MethodPost, "/consent/"+url.PathEscape(id), nil, nil)
}

// Leave asks the leader to take a server out of the log.
func (c *Client) Leave(ctx context.Context, addr, id string) error {
	return c.call(ctx, addr, http.MethodPost, "/leave/"+url.PathEscape(id), nil, nil)
}

// Propose asks the leader to put a command into the log. An error that carries
// api.CodeNotLeader says that it is not in the log.
func (c *Client) Propose(ctx context.Context, addr string, cmd []byte) (index uint64, err error) {
	var a indexAnswer
	err = c.call(ctx, addr, http.MethodPost, "/propose", cmd, &a)
	return a.Index, err
}

// ReadIndex asks the leader what a consistent read must have seen.
func (c *Client) ReadIndex(ctx context.Context, addr string) (index uint64, err error) {
	var a indexAnswer
	err = c.call(ctx, addr, http.MethodGet, "/index", nil, &a)
	return a.Index, err
}

// Beat tells the leader that a node lives.
func (c *Client) Beat(ctx context.Context, addr, nodeID string) (ttl time.Duration, err error) {
	var a ttlAnswer
	err = c.call(ctx, addr, http.MethodPost, "/beat/"+url.PathEscape(nodeID), nil, &a)
	return a.TTL, err
}

// Gone tells the leader that a node has hung up.
func (c *Client) Gone(ctx context.Context, addr, nodeID string) error {
	return c.call(ctx, addr, http.MethodPost, "/gone/"+url.PathEscape(nodeID), nil, nil)
}

// HasNode asks whether a node is connected to the server at addr.
func (c *Client) HasNode(ctx context.Context, addr, nodeID string) bool {
	resp, err := c.send(ctx, addr, http.MethodGet, nodePath(url.PathEscape(nodeID)), nil)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusNoContent
}

// Node returns a round tripper that reaches a node through the server at addr
// that it is connected to, whatever the URL's scheme and host say.
func (c *Client) Node(addr, nodeID string) http.RoundTripper { return viaServer{c, addr, nodeID} }

type viaServer struct {
	client       *Client
	addr, nodeID string
}

// RoundTrip implements http.RoundTripper.
func (v viaServer) RoundTrip(req *http.Request) (*http.Response, error) {
	out := *req
	u := *req.URL
	u.Scheme, u.Host = "http", v.addr
	u.Path = nodePath(v.nodeID) + u.Path
	if u.RawPath != "" {
		u.RawPath = nodePath(v.nodeID) + u.RawPath
	}
	out.URL = &u
	resp, err := v.client.transport.RoundTrip(&out)
	if err == nil && resp.Header.Get(unreachable) != "" {
		_ = resp.Body.Close()
		return nil, errors.New("the server that had the node can't reach it any more")
	}
	return resp, err
}

func (c *Client) send(ctx context.Context, addr, method, path string, body []byte) (*http.Response, error) {
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+addr+path, r)
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		req.GetBody = nil // what may have been done is not sent twice
	}
	return c.transport.RoundTrip(req)
}

// call asks and decodes the answer into out, if that is not nil. A server that
// can't be connected to is api.CodeNotLeader: whatever was asked did not
// happen, and another one may lead by now.
func (c *Client) call(ctx context.Context, addr, method, path string, body []byte, out any) error {
	resp, err := c.send(ctx, addr, method, path, body)
	var dial *net.OpError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &dial) && dial.Op == "dial":
		return api.Errorf(api.CodeNotLeader, "server %s is not reachable: %w", addr, err)
	case err != nil:
		return api.Errorf(api.CodeUnavailable, "server %s did not answer: %w", addr, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return api.Errorf(api.CodeUnavailable, "the answer of server %s broke off: %w", addr, err)
	}
	if resp.StatusCode != http.StatusOK {
		var f failure
		if json.Unmarshal(text, &f) != nil || f.Code == "" {
			return fmt.Errorf("server %s answered %s to %s", addr, resp.Status, path)
		}
		return &api.Error{Code: f.Code, Message: f.Message}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("answer of server %s to %s: %w", addr, path, err)
	}
	return nil
}
