package web

import (
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
)

// Params reads a request's query parameters. A bad one is remembered, the
// rest read as their defaults, and Err tells of the first: a handler reads
// all it needs and then checks once.
type Params struct {
	r   *http.Request
	q   url.Values
	err error
}

// ParamsOf parses the query of r.
func ParamsOf(r *http.Request) *Params {
	p := &Params{r: r}
	if r.URL.RawQuery == "" {
		return p
	}
	var err error
	p.q, err = url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		p.fail("the query string is malformed: %v", err)
	}
	return p
}

// Err returns an api.Error with CodeInvalid for the first bad parameter.
func (p *Params) Err() error { return p.err }

func (p *Params) fail(format string, args ...any) {
	if p.err == nil {
		p.err = api.Errorf(api.CodeInvalid, format, args...)
	}
}

// Has reports whether the parameter is present, even without a value.
func (p *Params) Has(name string) bool { return p.q.Has(name) }

// String returns a parameter, or "".
func (p *Params) String(name string) string { return p.q.Get(name) }

// Required returns a parameter that must not be empty.
func (p *Params) Required(name string) string {
	v := p.q.Get(name)
	if v == "" {
		p.fail("query parameter %q is required", name)
	}
	return v
}

// Bool returns a parameter in one of the forms 1, t, true, 0, f, false in any
// case; absent or empty it is the default.
func (p *Params) Bool(name string, def bool) bool {
	v := p.q.Get(name)
	if v == "" {
		return def
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		p.fail("query parameter %q is %q: expect true or false", name, v)
		return def
	}
	return b
}

// Int returns a whole number from low to high; absent or empty it is the
// default.
func (p *Params) Int(name string, def, low, high int64) int64 {
	v := p.q.Get(name)
	if v == "" {
		return def
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < low || n > high {
		if high == math.MaxInt64 {
			p.fail("query parameter %q is %q: expect a whole number, %d or more", name, v, low)
		} else {
			p.fail("query parameter %q is %q: expect a whole number from %d to %d", name, v, low, high)
		}
		return def
	}
	return n
}

// Uint64 returns a whole number; absent or empty it is 0.
func (p *Params) Uint64(name string) uint64 {
	v := p.q.Get(name)
	if v == "" {
		return 0
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		p.fail("Invalid %s %q: query parameter %q must be a whole number, 0 or more", name, v, name)
		return 0
	}
	return n
}

// List reads the options that every read takes. The namespace defaults to
// api.DefaultNamespace.
func (p *Params) List() api.ListOptions {
	o := api.ListOptions{
		Region:    p.q.Get("region"),
		Token:     Token(p.r),
		Prefix:    p.q.Get("prefix"),
		Namespace: p.Namespace(),
		NextToken: p.q.Get("next_token"),
		Filter:    p.q.Get("filter"),
		Reverse:   p.q.Get("reverse") == "true",
	}
	if p.q.Has("stale") {
		if o.Stale = true; p.q.Get("stale") != "" {
			o.Stale = p.Bool("stale", false)
		}
	}
	if p.q.Has("consistent") { // what reads are unless they are stale
		if consistent := p.q.Get("consistent") == "" || p.Bool("consistent", false); consistent && o.Stale {
			p.fail("query parameters %q and %q exclude each other: leave one out", "stale", "consistent")
		}
	}
	o.PerPage = int(p.Int("per_page", 0, 0, math.MaxInt32))
	o.Index = p.Uint64("index")
	o.Wait = p.wait()
	return o
}

// Namespace returns the namespace a request is about.
func (p *Params) Namespace() string {
	if ns := p.q.Get("namespace"); ns != "" {
		return ns
	}
	return api.DefaultNamespace
}

// wait returns the bound of a blocking query: Go duration text, at most
// api.MaxWait; nothing, zero and less mean the default.
func (p *Params) wait() time.Duration {
	v := p.q.Get("wait")
	if v == "" {
		return api.DefaultWait
	}
	d, err := time.ParseDuration(v)
	if err != nil {
		p.fail(`Invalid wait time %q: query parameter "wait" must be a duration like "10s" or "5m"`, v)
		return api.DefaultWait
	}
	if d <= 0 {
		return api.DefaultWait
	}
	return min(d, api.MaxWait)
}

// Token returns the secret a request carries, or "": the X-Nomad-Token header
// before a bearer authorization.
func Token(r *http.Request) string {
	if t := strings.TrimSpace(r.Header.Get("X-Nomad-Token")); t != "" {
		return t
	}
	scheme, token, ok := strings.Cut(strings.TrimSpace(r.Header.Get("Authorization")), " ")
	if ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	return ""
}
