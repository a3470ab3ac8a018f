package sso

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/drover-org/drover/api"
)

// Bounds of a request to a provider.
const (
	requestTimeout = 10 * time.Second // providers answer in well under one
	maxAnswer      = 1 << 20          // a key set or user info has a few KiB
	maxRedirects   = 3
)

// newClient makes a client that trusts the given authorities (PEM), or the
// system's when there are none.
func newClient(authorities []string) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	t.MaxConnsPerHost, t.MaxIdleConnsPerHost, t.MaxResponseHeaderBytes = 8, 1, 64<<10
	t.ResponseHeaderTimeout = requestTimeout
	for _, text := range authorities {
		if text == "" {
			continue
		}
		if t.TLSClientConfig.RootCAs == nil {
			t.TLSClientConfig.RootCAs = x509.NewCertPool()
		}
		t.TLSClientConfig.RootCAs.AppendCertsFromPEM([]byte(text))
	}
	return &http.Client{Timeout: requestTimeout, Transport: bounded{t}, CheckRedirect: checkRedirect}
}

// checkRedirect keeps a provider from leading this server elsewhere than to
// itself.
func checkRedirect(r *http.Request, via []*http.Request) error {
	first := via[0].URL
	switch {
	case len(via) > maxRedirects:
		return errors.New("too many redirections")
	case r.URL.Scheme != first.Scheme || r.URL.Host != first.Host:
		return errors.New("a redirection to another server was not followed")
	}
	return nil
}

// bounded ends answers that are too long with an error.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = &boundedBody{resp.Body, maxAnswer}
	}
	return resp, err
}

// CloseIdleConnections closes connections that no request uses.
func (b bounded) CloseIdleConnections() { b.RoundTripper.(*http.Transport).CloseIdleConnections() }

type boundedBody struct {
	io.ReadCloser
	left int
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, api.Errorf(api.CodeUnavailable, "the answer has more than %d bytes", maxAnswer)
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
