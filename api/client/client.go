package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
)

const (
	dialTimeout   = 5 * time.Second
	keepAlive     = 30 * time.Second
	idleTimeout   = 90 * time.Second
	idlePerHost   = 16      // enough for a CLI that follows a job's logs
	maxErrorBytes = 8 << 10 // of an error's body that is read
)

// Client talks to one agent. Make it with New.
type Client struct {
	cfg  Config
	at   endpoint
	http *http.Client
}

// New checks cfg and makes a Client. It does not connect.
func New(cfg Config) (*Client, error) {
	at, err := parseAddress(cfg.Address)
	if err != nil {
		return nil, err
	}
	secure, err := cfg.TLS.load(at.base.Host)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}
	t := &http.Transport{
		DialContext: dialer.DialContext, TLSClientConfig: secure, Proxy: http.ProxyFromEnvironment,
		TLSHandshakeTimeout: dialTimeout, IdleConnTimeout: idleTimeout, MaxIdleConnsPerHost: idlePerHost,
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}, // websockets need HTTP/1.1
	}
	if at.socket != "" {
		t.Proxy = nil
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", at.socket)
		}
	}
	return &Client{cfg: cfg, at: at, http: &http.Client{Transport: t}}, nil
}

// WithTransport returns a Client that sends its requests through rt, for
// example a connection that is already there.
func (c *Client) WithTransport(rt http.RoundTripper) *Client {
	out := *c
	out.http = &http.Client{Transport: rt}
	return &out
}

// Address is the agent's address as a user would write it.
func (c *Client) Address() string { return c.at.String() }

// Namespace is the one that requests without their own go to.
func (c *Client) Namespace() string {
	if c.cfg.Namespace == "" {
		return api.DefaultNamespace
	}
	return c.cfg.Namespace
}

// CloseIdle closes connections that no request uses now.
func (c *Client) CloseIdle() { c.http.CloseIdleConnections() }

// Do sends one request to a path below the address ("/v1/jobs") and returns
// whatever the agent answers, refusals included; the caller closes the body.
// The token, region and namespace of the Config are added where params don't
// have them.
func (c *Client) Do(ctx context.Context, method, path string, params url.Values, header http.Header, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.url(path, params), body)
	if err != nil {
		return nil, api.Errorf(api.CodeInvalid, "request for %q: %w", path, err)
	}
	for k, vs := range header {
		req.Header[k] = vs
	}
	c.authorise(req.Header)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	return resp, nil
}

// open is Do whose answer is no refusal.
func (c *Client) open(ctx context.Context, method, path string, params url.Values, header http.Header, body io.Reader) (*http.Response, error) {
	resp, err := c.Do(ctx, method, path, params, header, body)
	if err != nil {
		return nil, err
	}
	if err := refusal(resp); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// url makes a request's address. path is already escaped where it must be.
func (c *Client) url(path string, params url.Values) string {
	q := url.Values{}
	if c.cfg.Region != "" {
		q.Set("region", c.cfg.Region)
	}
	if c.cfg.Namespace != "" {
		q.Set("namespace", c.cfg.Namespace)
	}
	for k, vs := range params {
		q[k] = vs
	}
	s := c.at.base.String() + path
	if enc := q.Encode(); enc != "" {
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		s += sep + enc
	}
	return s
}

func (c *Client) authorise(h http.Header) {
	if c.cfg.Token != "" && h.Get("X-Nomad-Token") == "" {
		h.Set("X-Nomad-Token", c.cfg.Token)
	}
	if c.cfg.HTTPAuth != "" && h.Get("Authorization") == "" {
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(c.cfg.HTTPAuth)))
	}
}

// unreachable wraps what went wrong before there was an answer. A context
// that ended stays recognisable.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	return api.Errorf(api.CodeUnavailable, "no answer from the agent at %s: %w", c.at, err)
}

// call sends in as JSON (nothing when nil) and decodes the answer into out
// (ignored when nil).
func (c *Client) call(ctx context.Context, method, path string, params url.Values, in, out any) (api.Meta, error) {
	var body io.Reader
	header := http.Header{}
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return api.Meta{}, fmt.Errorf("encode the request for %s: %w", path, err)
		}
		body = bytes.NewReader(text)
		header.Set("Content-Type", "application/json")
	}
	resp, err := c.open(ctx, method, path, params, header, body)
	if err != nil {
		return api.Meta{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	return metaOf(resp.Header), decodeAnswer(ctx, resp, out)
}

// decodeAnswer decodes a successful answer into out, or drops it when out is
// nil.
func decodeAnswer(ctx context.Context, resp *http.Response, out any) (err error) {
	if out == nil {
		_, err = io.Copy(io.Discard, resp.Body)
	} else {
		err = json.NewDecoder(resp.Body).Decode(out)
		if errors.Is(err, io.EOF) {
			err = nil // an empty body stands for nothing to tell
		}
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return api.Errorf(api.CodeUnavailable, "the answer to %s %s broke off: %w", resp.Request.Method, resp.Request.URL.Path, err)
}

// read is a GET with the options every read takes.
func (c *Client) read(ctx context.Context, path string, opts api.ListOptions, extra url.Values, out any) (api.Meta, error) {
	params := optionParams(opts)
	for k, vs := range extra {
		params[k] = vs
	}
	if opts.Token != "" {
		c = c.with(opts.Token)
	}
	return c.call(ctx, http.MethodGet, path, params, nil, out)
}

// with returns c speaking for another token.
func (c *Client) with(token string) *Client {
	out := *c
	out.cfg.Token = token
	return &out
}

// optionParams turns options into query parameters; the token travels in a
// header.
func optionParams(o api.ListOptions) url.Values {
	params := url.Values{}
	set := func(key, value string) {
		if value != "" {
			params.Set(key, value)
		}
	}
	set("region", o.Region)
	set("namespace", o.Namespace)
	set("prefix", o.Prefix)
	set("filter", o.Filter)
	set("next_token", o.NextToken)
	if o.PerPage > 0 {
		set("per_page", strconv.Itoa(o.PerPage))
	}
	if o.Reverse {
		set("reverse", "true")
	}
	if o.Stale {
		set("stale", "true")
	}
	if o.Index > 0 {
		set("index", strconv.FormatUint(o.Index, 10))
		if o.Wait > 0 {
			set("wait", o.Wait.String())
		}
	}
	return params
}

func metaOf(h http.Header) api.Meta {
	var m api.Meta
	m.Index, _ = strconv.ParseUint(h.Get("X-Nomad-Index"), 10, 64)
	ms, _ := strconv.ParseInt(h.Get("X-Nomad-LastContact"), 10, 64)
	m.LastContact = time.Duration(ms) * time.Millisecond
	m.KnownLeader = h.Get("X-Nomad-KnownLeader") == "true"
	m.NextToken = h.Get("X-Nomad-NextToken")
	return m
}

// refusal turns an answer that is no success into an *api.Error.
func refusal(resp *http.Response) error {
	code := api.CodeOfStatus(resp.StatusCode)
	if code == "" {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes))
	message := strings.TrimSpace(string(text))
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); message == "" || kind == "text/html" {
		message = resp.Request.Method + " " + resp.Request.URL.Path + ": " + resp.Status
	}
	return &api.Error{Code: code, Message: message}
}
