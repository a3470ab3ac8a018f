package httpapi_test

import (
	"context"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/httpapi"
	"github.com/drover-org/drover/internal/store"
	"github.com/drover-org/drover/internal/web"
)

// tableRows returns the rows of the Markdown table under a heading, without
// its head.
func tableRows(t *testing.T, file, heading string) (rows [][]string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(b), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("%s has no section %q", file, heading)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			continue
		}
		cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|"), "|")
		for i := range cells {
			cells[i] = strings.ReplaceAll(strings.TrimSpace(cells[i]), "`", "")
		}
		rows = append(rows, cells)
	}
	if len(rows) < 3 {
		t.Fatalf("%s, %q: no table", file, heading)
	}
	return rows[2:]
}

const contractFile = "../../docs/api/allocations.md"

// endpoint is a row of the contract.
type endpoint struct {
	methods           []string
	path              string
	blocking          bool
	rights            string
	params            map[string]string // defaults, "required" without one
	statuses, headers []string
}

func (e endpoint) atNode() bool { return strings.HasPrefix(e.path, "/v1/client/") }

// matches reports whether a request's path is the endpoint's.
func (e endpoint) matches(path string) bool {
	path, _, _ = strings.Cut(path, "?")
	want, got := strings.Split(e.path, "/"), strings.Split(path, "/")
	return slices.EqualFunc(want, got, func(w, g string) bool { return w == g || strings.HasPrefix(w, ":") })
}

func endpoints(t *testing.T) (out []endpoint) {
	t.Helper()
	for _, row := range tableRows(t, contractFile, "Endpoints") {
		if len(row) != 7 || row[2] != "yes" && row[2] != "no" {
			t.Fatalf("row %q is not: method, path, blocking, rights, parameters, statuses, headers", row)
		}
		e := endpoint{methods: strings.Fields(row[0]), path: row[1], blocking: row[2] == "yes", rights: row[3], params: map[string]string{}, statuses: strings.Fields(row[5]), headers: strings.Fields(row[6])}
		for _, p := range strings.Split(row[4], ",") {
			if p = strings.TrimSpace(p); p == "" {
				continue
			}
			name, def, ok := strings.Cut(strings.TrimSuffix(p, ")"), " (")
			if !ok {
				t.Fatalf("%s: parameter %q has no default", e.path, p)
			}
			e.params[name] = strings.Trim(def, `"`)
		}
		out = append(out, e)
	}
	return out
}

// contracted is a world with what the contract's names stand for.
func contracted(t *testing.T) (*world, *strings.Replacer) {
	t.Helper()
	w := newWorld(t)
	reg := w.run("example", 2)
	deployment := churnID("d", 1)
	w.propose(&store.ApplyPlan{Now: start.UnixNano(), Plan: &api.Plan{EvalID: reg.EvalID, Deployment: &api.Deployment{
		ID: deployment, Namespace: "default", JobID: "example", JobCreateIndex: reg.JobModifyIndex, JobSpecModifyIndex: reg.JobModifyIndex, Status: api.DeploymentRunning,
		TaskGroups: map[string]*api.DeploymentState{"cache": {DesiredTotal: 2}},
	}}})
	ids := w.placeIn(deployment, "example", reg.EvalID, 2)
	w.report(ids[0], "running")
	return w, strings.NewReplacer(":alloc_id", ids[0], ":other", ids[1], ":unknown", noID, ":eval_id", reg.EvalID, ":node_id", nodeID,
		":first8", ids[0][:8], ":job_id", "example", ":deployment_id", deployment)
}

// Every request of the contract is asked of the real handler: its status, and
// what its answer says.
func TestContract(t *testing.T) {
	w, names := contracted(t)
	for _, row := range tableRows(t, contractFile, "Requests") {
		who, request, ok := strings.Cut(row[0], ": ")
		if !ok {
			who, request = "", row[0]
		}
		method, target, ok := strings.Cut(request, " ")
		if !ok || len(row) != 3 {
			t.Errorf("row %q is not: request, status, answer", row)
			continue
		}
		switch w.may = nil; who {
		case "":
		case "nobody":
			w.may = func(string, api.Capability) error {
				return &api.Error{Code: api.CodeForbidden, Message: "Permission denied"}
			}
		case "reader":
			w.may = func(_ string, c api.Capability) error {
				if c == api.CapReadJob {
					return nil
				}
				return &api.Error{Code: api.CodeForbidden, Message: "Permission denied"}
			}
		default:
			t.Errorf("row %q: who is %q?", row, who)
		}
		status, body, h := w.call(method, strings.ReplaceAll(names.Replace(target), " ", "+"), "")
		if strconv.Itoa(status) != row[1] || !strings.Contains(body, names.Replace(row[2])) {
			t.Errorf("%s: %d %.200s\nthe contract says %s with %s", row[0], status, body, row[1], row[2])
		}
		if status == 200 && method == "GET" && h.Get("X-Nomad-Index") == "" && !strings.Contains(target, "/v1/client/") {
			t.Errorf("%s: no X-Nomad-Index", row[0])
		}
	}
}

// The statuses of an endpoint are those that the requests of the contract
// have, so that each has one that shows it.
func TestContractStatuses(t *testing.T) {
	for _, e := range endpoints(t) {
		seen := map[string]bool{}
		for _, row := range tableRows(t, contractFile, "Requests") {
			method, target, _ := strings.Cut(row[0][strings.LastIndex(row[0], ": ")+1:], " /")
			if slices.Contains(e.methods, strings.TrimSpace(method)) && e.matches("/"+target) {
				seen[row[1]] = true
			}
		}
		for _, row := range tableRows(t, contractFile, "At the node") {
			if method, target, _ := strings.Cut(row[0], " "); slices.Contains(e.methods, method) && e.matches(target) {
				seen[row[2]] = true
			}
		}
		if got := slices.Sorted(maps.Keys(seen)); !slices.Equal(got, e.statuses) {
			t.Errorf("%v %s: the statuses %v, and requests with %v", e.methods, e.path, e.statuses, got)
		}
	}
}

// Methods and rights are those of the table of routes; other methods are
// refused.
func TestContractMethodsAndRights(t *testing.T) {
	w, names := contracted(t)
	rows := httpapi.Rows(w.config)
	for _, e := range endpoints(t) {
		found := slices.IndexFunc(rows, func(r web.Route) bool {
			return endpoint{path: strings.ReplaceAll(r.Pattern, "{id}", ":id")}.matches(e.path) && r.Methods == strings.Join(e.methods, " ")
		})
		if found < 0 {
			t.Errorf("there is no route %v %s", e.methods, e.path)
			continue
		}
		if got := rows[found].Needs.String(); got != e.rights && !strings.HasPrefix(got, e.rights+", ") {
			t.Errorf("%s needs %q, the contract says %q", e.path, got, e.rights)
		}
		for _, method := range []string{"GET", "PUT", "POST", "DELETE", "PATCH"} {
			if status, _, _ := w.call(method, names.Replace(e.path), "{}"); (status == 405) == slices.Contains(e.methods, method) {
				t.Errorf("%s %s: %d", method, e.path, status)
			}
		}
	}
}

// A parameter that has its default changes nothing, and one that can't be
// understood is refused by its name.
func TestContractParameters(t *testing.T) {
	w, names := contracted(t)
	bad := map[string]string{"false": "maybe", "true": "maybe", "0": "x"}
	for _, e := range endpoints(t) {
		if e.atNode() {
			continue // the node's own
		}
		target := names.Replace(e.path)
		for name, def := range e.params {
			if e.methods[0] == "GET" {
				_, want, _ := w.call("GET", target, "")
				if status, got, _ := w.call("GET", target+"?"+name+"="+def, ""); status != 200 || got != want {
					t.Errorf("%s with %s=%s, which is its default: %d %.300s\nwithout\n%.300s", e.path, name, def, status, got, want)
				}
			}
			if name == "reverse" { // only true counts
				continue
			}
			value, ok := bad[def]
			switch name {
			case "prefix":
				value, ok = "x", true
			case "filter":
				value, ok = "x", true
			case "next_token":
				value, ok = "x", true
			}
			if !ok {
				continue
			}
			status, body, _ := w.call(e.methods[0], target+"?"+name+"="+value, "")
			if status != 400 || !strings.Contains(body, name) {
				t.Errorf("%s with %s=%s: %d %s", e.path, name, value, status, body)
			}
		}
		if e.methods[0] != "GET" {
			w.call("POST", target, "")
			log := w.log.Log()
			cmd := log[len(log)-1].(*store.TransitionAllocs)
			for _, d := range cmd.Transitions {
				if *d.NoShutdownDelay || *d.Reschedule || e.params["no_shutdown_delay"] != "false" || e.params["reschedule"] != "false" {
					t.Errorf("%s without parameters: %+v", e.path, d)
				}
			}
		}
	}
}

// The headers of answers are those of the contract.
func TestContractHeaders(t *testing.T) {
	w, names := contracted(t)
	for _, e := range endpoints(t) {
		target := names.Replace(e.path)
		if _, ok := e.params["per_page"]; ok {
			target += "?per_page=1"
		}
		_, _, h := w.call(e.methods[0], target, "{}")
		var got []string
		for name := range h {
			if short, ok := strings.CutPrefix(name, http.CanonicalHeaderKey("X-Nomad-")); ok {
				got = append(got, short)
			}
		}
		want := slices.Clone(e.headers)
		for i := range want {
			want[i] = strings.TrimPrefix(http.CanonicalHeaderKey("X-Nomad-"+want[i]), "X-Nomad-")
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s has the headers %v, the contract says %v", e.path, got, want)
		}
	}
}

// What the contract says to block blocks, and the rest answers at once.
func TestContractBlocking(t *testing.T) {
	for _, e := range endpoints(t) {
		if e.methods[0] != "GET" || e.atNode() {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			w, names := contracted(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			q := w.blocked(ctx, names.Replace(e.path)+"?wait=1s", w.store.Snapshot().Index())
			done, _, code := q()
			if done == e.blocking || done && code != 200 {
				t.Errorf("%s: blocking is %t in the contract; it answered at once: %t, %d", e.path, e.blocking, done, code)
			}
		})
	}
}
