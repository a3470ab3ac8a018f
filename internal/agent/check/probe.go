package check

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"unicode/utf8"
)

// maxOutput is how much of a probe's output is kept: enough for an error
// message, little enough to keep for every check of a node.
const maxOutput = 4 << 10

func clip(s string) string {
	if len(s) > maxOutput {
		s = s[:maxOutput]
	}
	return strings.ToValidUTF8(s, string(utf8.RuneError))
}

// brief is the beginning of an output, in one line.
func brief(s string) string {
	const most = 200
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// Brief is the latest output of a check, in one line.
func (s State) Brief() string { return brief(s.Answer.Output) }

// TCP returns the probe that connects to an address.
func TCP(address string) Probe {
	return func(ctx context.Context) Answer {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return Answer{Level: Critical, Output: err.Error()}
		}
		_ = conn.Close()
		return Answer{Level: Passing, Output: "connected to " + address}
	}
}

// HTTPRequest is what an HTTP probe sends.
type HTTPRequest struct {
	Method string // empty: GET
	URL    string
	Header map[string][]string
	Body   string
	TLS    TLS
}

// TLS says whom a probe trusts.
type TLS struct {
	SkipVerify bool
	ServerName string
}

func (t TLS) config() *tls.Config {
	// The job asks for it: its own service may have a certificate of its own.
	return &tls.Config{InsecureSkipVerify: t.SkipVerify, ServerName: t.ServerName, MinVersion: tls.VersionTLS12}
}

// HTTP returns the probe that makes a request: any status from 200 to 299 is
// passing, 429 is a warning. Redirects are followed on the same host only.
func HTTP(q HTTPRequest) Probe {
	client := &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: q.TLS.config(), MaxResponseHeaderBytes: 64 << 10},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > 9 || r.URL.Host != via[0].URL.Host {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
	return func(ctx context.Context) Answer {
		req, err := http.NewRequestWithContext(ctx, strings.ToUpper(q.Method), q.URL, strings.NewReader(q.Body))
		if err != nil {
			return Answer{Level: Critical, Output: err.Error()}
		}
		for name, values := range q.Header {
			req.Header[http.CanonicalHeaderKey(name)] = values
		}
		if host := req.Header.Get("Host"); host != "" {
			req.Host = host
		}
		resp, err := client.Do(req)
		if err != nil {
			return Answer{Level: Critical, Output: err.Error()}
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxOutput))
		if err != nil && len(body) == 0 {
			body = []byte(err.Error())
		}
		a := Answer{Level: Critical, Code: resp.StatusCode, Output: string(body)}
		switch {
		case resp.StatusCode >= 200 && resp.StatusCode < 300:
			a.Level = Passing
		case resp.StatusCode == http.StatusTooManyRequests:
			a.Level = Warning
		}
		if a.Output == "" {
			a.Output = resp.Status
		}
		return a
	}
}

// GRPC returns the probe that asks a server by the gRPC health checking
// protocol whether a service is serving; an empty name means the server.
func GRPC(address, service string, useTLS bool, t TLS) Probe {
	protocols := new(http.Protocols)
	scheme := "https"
	if useTLS {
		protocols.SetHTTP2(true)
	} else {
		scheme = "http"
		protocols.SetUnencryptedHTTP2(true)
	}
	url := scheme + "://" + address + "/grpc.health.v1.Health/Check"
	message := grpcRequest(service)
	return func(ctx context.Context) Answer {
		transport := &http.Transport{Protocols: protocols, TLSClientConfig: t.config()}
		defer transport.CloseIdleConnections()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(message))
		if err != nil {
			return Answer{Level: Critical, Output: err.Error()}
		}
		req.Header.Set("Content-Type", "application/grpc")
		req.Header.Set("Te", "trailers")
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return Answer{Level: Critical, Output: err.Error()}
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxOutput))
		if err != nil {
			return Answer{Level: Critical, Output: err.Error()}
		}
		return grpcAnswer(resp, body)
	}
}

// grpcRequest frames a HealthCheckRequest, whose field 1 is the service.
func grpcRequest(service string) []byte {
	var message []byte
	if service != "" {
		message = append(message, 1<<3|2)
		message = appendVarint(message, uint64(len(service)))
		message = append(message, service...)
	}
	n := len(message)
	return append([]byte{0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, message...)
}

func appendVarint(b []byte, v uint64) []byte {
	for v >= 0x80 {
		b, v = append(b, byte(v)|0x80), v>>7
	}
	return append(b, byte(v))
}

var servingStatus = []string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}

// grpcAnswer reads a HealthCheckResponse, whose field 1 is the status.
func grpcAnswer(resp *http.Response, body []byte) Answer {
	code := resp.Trailer.Get("Grpc-Status")
	if code == "" {
		code = resp.Header.Get("Grpc-Status")
	}
	text := resp.Trailer.Get("Grpc-Message")
	if text == "" {
		text = resp.Header.Get("Grpc-Message")
	}
	switch {
	case resp.StatusCode != http.StatusOK:
		return Answer{Level: Critical, Code: resp.StatusCode, Output: resp.Status}
	case code != "0":
		return Answer{Level: Critical, Output: fmt.Sprintf("gRPC status %q %s", code, text)}
	case len(body) < 5 || body[0] != 0:
		return Answer{Level: Critical, Output: "the answer is not a message of the health checking protocol"}
	}
	status := 0
	if m := body[5:]; len(m) >= 2 && m[0] == 1<<3 {
		status = int(m[1])
	}
	if status >= len(servingStatus) {
		status = 0
	}
	a := Answer{Level: Critical, Output: servingStatus[status]}
	if status == 1 {
		a.Level = Passing
	}
	return a
}

// Exec runs a command in a task and returns its exit code.
type Exec func(ctx context.Context, command []string, output io.Writer) (code int, err error)

// Script returns the probe that runs a command: exit code 0 is passing, 1 a
// warning.
func Script(command []string, exec Exec) Probe {
	return func(ctx context.Context) Answer {
		var out bounded
		code, err := exec(ctx, command, &out)
		switch {
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			return Answer{Level: Critical, Output: out.String() + "\nthe command did not end within the timeout"}
		case err != nil:
			return Answer{Level: Critical, Output: err.Error()}
		case code == 0:
			return Answer{Level: Passing, Output: out.String()}
		case code == 1:
			return Answer{Level: Warning, Output: out.String()}
		}
		return Answer{Level: Critical, Output: fmt.Sprintf("exit code %d\n%s", code, out.String())}
	}
}
