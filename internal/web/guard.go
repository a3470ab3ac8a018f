package web

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/drover-org/drover/api"
)

// Guard keeps web pages from driving an agent through the browser of a person
// who can reach it. Programs are not affected: they send neither Origin nor
// Sec-Fetch headers.
type Guard struct {
	// Loopback is set when the agent listens on loopback addresses only. Then
	// the Host of a request must be an IP address, localhost or one of Hosts;
	// any other name means that somebody's DNS points here.
	Loopback bool

	// Hosts are further names the agent is reached by, without port.
	Hosts []string

	// Origins are foreign origins, like https://ui.example.org, whose pages
	// may use the API.
	Origins []string
}

// Check returns an api.Error for a request that a web page must not make.
func (g *Guard) Check(r *http.Request) error {
	if g.Loopback && !g.knownHost(r.Host) {
		return api.Errorf(api.CodeForbidden, "Host %q is not a name of this agent, which listens on loopback only: use its IP address or localhost", r.Host)
	}
	origin := r.Header.Get("Origin")
	if origin != "" && !sameOrigin(origin, r) && !g.allows(origin) {
		return api.Errorf(api.CodeForbidden, "pages of origin %q may not use this agent", origin)
	}
	if safeMethod(r.Method) {
		return nil
	}
	site := r.Header.Get("Sec-Fetch-Site")
	if origin == "" && (site == "cross-site" || site == "same-site") {
		return api.Errorf(api.CodeForbidden, "pages of another site may not change anything through this agent")
	}
	fromBrowser := origin != "" || site != "" || r.Header.Get("Sec-Fetch-Mode") != ""
	if fromBrowser && r.ContentLength != 0 && formType(r.Header.Get("Content-Type")) {
		return api.Errorf(api.CodeMediaType, "content type %q is not accepted from a browser: send application/json", r.Header.Get("Content-Type"))
	}
	return nil
}

// allows reports whether a foreign origin was configured.
func (g *Guard) allows(origin string) bool {
	return slices.ContainsFunc(g.Origins, func(o string) bool { return strings.EqualFold(o, origin) })
}

func (g *Guard) knownHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"), ".")
	if name == "" || strings.EqualFold(name, "localhost") || net.ParseIP(name) != nil {
		return true
	}
	return slices.ContainsFunc(g.Hosts, func(h string) bool { return strings.EqualFold(h, name) })
}

// sameOrigin reports whether a page's origin is the agent it talks to. A page
// that came in the clear is not one of an agent with TLS; the other way round
// there may be a proxy in between.
func sameOrigin(origin string, r *http.Request) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host) && (r.TLS == nil || u.Scheme == "https")
}

func safeMethod(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// formType reports whether a page can send the content type without asking
// the server first.
func formType(contentType string) bool {
	t, _, _ := strings.Cut(contentType, ";")
	switch strings.ToLower(strings.TrimSpace(t)) {
	case "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data":
		return true
	}
	return false
}

// cors tells a browser what a page of a configured origin may do, and reports
// whether the request was only the question.
func (g *Guard) cors(w http.ResponseWriter, r *http.Request) (answered bool) {
	origin := r.Header.Get("Origin")
	if origin == "" || !g.allows(origin) {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", strings.Join([]string{HeaderIndex, HeaderKnownLeader, HeaderLastContact, HeaderNextToken}, ", "))
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "HEAD, GET, POST, PUT, DELETE")
	h.Set("Access-Control-Allow-Headers", "Content-Type, X-Nomad-Token, Authorization")
	w.WriteHeader(http.StatusNoContent)
	return true
}
