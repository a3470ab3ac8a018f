package audit

import (
	"net/http"
	"path"
	"strings"

	"github.com/drover-org/drover/api"
)

// recorded reports whether a request is recorded whatever comes of it: it
// changes something, looks into an allocation, or reads secrets.
func recorded(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return looksInside(r.URL.Path) || r.URL.Path == "/v1/client/gc" || strings.HasSuffix(r.URL.Path, "/gc")
	case http.MethodOptions:
		return false
	}
	return !asks(r.URL.Path)
}

// looksInside reports whether a GET shows or runs what belongs to users, or
// shows secrets.
func looksInside(p string) bool {
	for _, prefix := range []string{"/v1/client/fs/", "/v1/acl/token", "/v1/var/", "/v1/operator/keyring", "/v1/operator/snapshot", "/v1/agent/monitor", "/v1/agent/pprof"} {
		if strings.HasPrefix(p, prefix) {
			return true
		}
	}
	if strings.HasPrefix(p, "/v1/job/") && strings.HasSuffix(p, "/action") {
		return true
	}
	rest, found := strings.CutPrefix(p, "/v1/client/allocation/")
	if !found {
		return false
	}
	switch path.Base(rest) {
	case "stats", "checks":
		return false
	}
	return true // exec, and whatever else reaches into an allocation
}

// asks reports whether a POST or PUT only asks something.
func asks(p string) bool {
	switch p {
	case "/v1/search", "/v1/search/fuzzy", "/v1/jobs/parse", "/v1/jobs/statuses", "/v1/validate/job":
		return true
	}
	return strings.HasPrefix(p, "/v1/job/") && strings.HasSuffix(p, "/plan")
}

// stream reports whether a request goes on for as long as its caller likes,
// so that its first record is wanted by itself.
func stream(r *http.Request) bool {
	return r.Method == http.MethodGet && looksInside(r.URL.Path)
}

// knownParams are the query parameters that a record keeps. Others may hold
// anything.
var knownParams = map[string]bool{
	"namespace": true, "region": true, "task": true, "path": true, "type": true, "origin": true, "offset": true, "limit": true,
	"follow": true, "plain": true, "tty": true, "action": true, "group": true, "purge": true, "global": true, "no_shutdown_delay": true,
	"reschedule": true, "node_id": true, "server_id": true, "log_level": true, "cas": true, "index": true, "eval_priority": true, "force": true,
	"all": true, "port": true, "record": true,
}

// Filter leaves requests out: those that match all of what it names.
type Filter struct {
	Endpoints  []string // paths; * stands for any characters
	Stages     []string // Received, Complete, or *
	Operations []string // methods, or *
}

// matches reports whether a record of a stage is to be left out.
func (f *Filter) matches(stage, method, p string) bool {
	return matchAny(f.Stages, stage, strings.EqualFold) && matchAny(f.Operations, method, strings.EqualFold) && matchAny(f.Endpoints, p, api.Glob)
}

func matchAny(patterns []string, s string, match func(pattern, s string) bool) bool {
	if len(patterns) == 0 {
		return true
	}
	for _, p := range patterns {
		if p == "*" || match(p, s) {
			return true
		}
	}
	return false
}
