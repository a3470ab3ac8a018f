package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/drover-org/drover/api"
)

type operatorAPIOptions struct {
	method  string
	data    string
	headers listFlag
	filter  string
	dryRun  bool
	verbose bool
}

func operatorAPIVerb() *verb {
	var o operatorAPIOptions
	return &verb{
		name: "operator api", args: "[options] PATH",
		short: "Send a request to the HTTP API",
		long: `
Sends a request with the address, token and certificates of the other commands
and prints the answer. PATH is like /v1/jobs?meta=true. With -d the method is
PUT, otherwise GET, unless -X says another.`,
		flags: func(fs *flag.FlagSet) {
			fs.StringVar(&o.method, "X", "", "`METHOD` of the request")
			fs.StringVar(&o.data, "d", "", "`BODY` of the request; @FILE and - read it")
			fs.Var(&o.headers, "H", "`HEADER` such as \"Accept: text/plain\" (may be repeated)")
			fs.StringVar(&o.filter, "filter", "", "`EXPRESSION` for the filter parameter")
			fs.BoolVar(&o.dryRun, "dryrun", false, "print a curl command instead")
			fs.BoolVar(&o.verbose, "verbose", false, "print the status and headers to standard error")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runOperatorAPI(ctx, e, &o, args) },
	}
}

func runOperatorAPI(ctx context.Context, e *env, o *operatorAPIOptions, args []string) error {
	path, err := one(args, "path")
	if err != nil {
		return err
	}
	if !strings.HasPrefix(path, "/") {
		path = "/v1/" + path
	}
	method := o.method
	if method == "" {
		method = http.MethodGet
		if o.data != "" {
			method = http.MethodPut
		}
	}
	params := url.Values{}
	if o.filter != "" {
		params.Set("filter", o.filter)
	}
	header, err := readHeaders(o.headers)
	if err != nil {
		return err
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	if o.dryRun {
		e.say("%s", curl(c.Address(), method, path, params, o))
		return nil
	}
	body, err := e.bodyOf(o.data)
	if err != nil {
		return err
	}
	if body != nil && header.Get("Content-Type") == "" {
		header.Set("Content-Type", "application/json")
	}
	resp, err := c.Do(ctx, method, path, params, header, body)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if o.verbose {
		e.note("%s %s", resp.Proto, resp.Status)
		for _, k := range keys(resp.Header) {
			e.note("%s: %s", k, strings.Join(resp.Header[k], ", "))
		}
	}
	if _, err := io.Copy(e.Out, resp.Body); err != nil {
		return err
	}
	if e.out.tty {
		e.say("")
	}
	if resp.StatusCode >= 400 {
		return &exit{exitFailed, &api.Error{Code: api.CodeOfStatus(resp.StatusCode), Message: resp.Status}}
	}
	return nil
}

func readHeaders(lines []string) (http.Header, error) {
	h := http.Header{}
	for _, l := range lines {
		k, v, ok := strings.Cut(l, ":")
		if !ok {
			return nil, usagef("-H %q has no colon: write it like \"Name: value\"", l)
		}
		h.Add(strings.TrimSpace(k), strings.TrimSpace(v))
	}
	return h, nil
}

// bodyOf is the text of -d, a file's or standard input; nil without -d.
func (e *env) bodyOf(data string) (io.Reader, error) {
	switch {
	case data == "":
		return nil, nil
	case data == "-":
		return e.In, nil
	case strings.HasPrefix(data, "@"):
		text, err := os.ReadFile(data[1:])
		if err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
		return strings.NewReader(string(text)), nil
	}
	return strings.NewReader(data), nil
}

// curl writes the request as a command; the token stays a variable.
func curl(address, method, path string, params url.Values, o *operatorAPIOptions) string {
	parts := []string{"curl", "-X", method}
	if sock, ok := strings.CutPrefix(address, "unix://"); ok {
		parts = append(parts, "--unix-socket", quoted(sock))
		address = "http://localhost"
	}
	for _, h := range o.headers {
		parts = append(parts, "-H", quoted(h))
	}
	parts = append(parts, "-H", `"X-Nomad-Token: ${NOMAD_TOKEN}"`)
	if o.data != "" {
		parts = append(parts, "-d", quoted(o.data))
	}
	if len(params) > 0 {
		path += map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")] + params.Encode()
	}
	return strings.Join(append(parts, quoted(address+path)), " ")
}

// quoted protects text from a shell.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
