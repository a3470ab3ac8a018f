package httpapi_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/drover-org/drover/api"
)

// A group's scaling block is a policy with an ID that stays over versions.
func TestScalingPolicies(t *testing.T) {
	w := newWorld(t)
	w.run("fixed", 1)
	scaled := strings.Replace(jobBody("web", 2), `"Count"`, `"Scaling":{"Min":1,"Max":9,"Policy":{"k":"v"}},"Count"`, 1)
	w.send("POST", "/v1/jobs", scaled, nil)

	var list []struct {
		ID, Type string
		Enabled  bool
		Target   map[string]string
	}
	h := w.get("/v1/scaling/policies?job=web&type=horizontal", &list)
	if len(list) != 1 || !list[0].Enabled || list[0].Target["Group"] != "cache" || list[0].Target["Job"] != "web" || h.Get("X-Nomad-Index") == "0" {
		t.Fatalf("%+v %v", list, h)
	}
	var p api.ScalingPolicy
	w.get("/v1/scaling/policy/"+list[0].ID, &p)
	if *p.Max != 9 || p.Policy["k"] != "v" || p.Target["Namespace"] != "default" {
		t.Errorf("%+v", p)
	}
	w.send("POST", "/v1/jobs", strings.Replace(scaled, `"Max":9`, `"Max":10`, 1), nil)
	w.get("/v1/scaling/policy/"+list[0].ID, &p)
	if *p.Max != 10 {
		t.Errorf("after an update: %+v", p)
	}
	for _, none := range []string{"?job=other", "?prefix=zz"} {
		if _, body, _ := w.call("GET", "/v1/scaling/policies"+none, ""); body != "[]" {
			t.Errorf("%s: %s", none, body)
		}
	}
	if status, _, _ := w.call("GET", "/v1/scaling/policies?type=odd", ""); status != 400 {
		t.Errorf("a type that does not exist: %d", status)
	}
	if status, _, _ := w.call("GET", "/v1/scaling/policy/none", ""); status != 404 {
		t.Errorf("no such policy: %d", status)
	}
}

// Evaluations are deleted by ID or filter, all or none, while scheduling is
// paused.
func TestDeleteEvaluations(t *testing.T) {
	w := newWorld(t)
	a, b := w.run("a", 1).EvalID, w.run("b", 1).EvalID
	refused := func(body, want string, status int) {
		t.Helper()
		if got, text, _ := w.call("DELETE", "/v1/evaluations", body); got != status || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s, want %d %s", body, got, text, status, want)
		}
	}
	refused(`{"EvalIDs":["`+a+`"]}`, "eval broker is enabled", 400)
	w.send("PUT", "/v1/operator/scheduler/configuration", `{"PauseEvalBroker":true}`, nil)
	refused(`{}`, "either EvalIDs or Filter", 400)
	refused(`{"EvalIDs":["x"]}`, `"x"`, 400)
	refused(`{"Filter":"Nope == 1"}`, "Nope", 400)
	refused(`{"EvalIDs":["`+a+`","`+noID+`"]}`, "eval not found", 404)
	var n struct{ Count int }
	w.get("/v1/evaluations/count", &n)
	if n.Count != 2 {
		t.Fatalf("%d evaluations are left of 2 that nothing deleted", n.Count)
	}
	w.send("DELETE", "/v1/evaluations", `{"EvalIDs":["`+a+`"]}`, &n)
	if status, _, _ := w.call("GET", "/v1/evaluation/"+a, ""); n.Count != 1 || status != 404 {
		t.Errorf("by ID: %d deleted, then %d", n.Count, status)
	}
	w.send("DELETE", "/v1/evaluations", `{"Filter":"JobID == b"}`, &n)
	if status, _, _ := w.call("GET", "/v1/evaluation/"+b, ""); n.Count != 1 || status != 404 {
		t.Errorf("by filter: %d deleted, then %d", n.Count, status)
	}
}

// A parsed job tells what its file left out by null.
func TestParsedJobWithoutDefaults(t *testing.T) {
	w := newWorld(t)
	hcl := "job \"x\" {\n group \"g\" {\n task \"t\" {\n driver = \"raw_exec\"\n }\n }\n}"
	for canonical, want := range map[string]string{"false": `"Namespace":null`, "true": `"Namespace":"default"`} {
		_, body, _ := w.call("POST", "/v1/jobs/parse", `{"JobHCL":`+strconv.Quote(hcl)+`,"Canonicalize":`+canonical+`}`)
		if !strings.Contains(body, want) {
			t.Errorf("Canonicalize %s: no %s in %s", canonical, want, body)
		}
	}
}

// The last server of the log stays.
func TestRemoveRaftPeer(t *testing.T) {
	w := newWorld(t)
	for query, want := range map[string]string{
		"?id=nope": `id "nope" was not found`, "?address=1.2.3.4:5": `"1.2.3.4:5" was not found`, "": "either id or address",
		"?address=" + w.Leader(): "only one",
	} {
		if status, body, _ := w.call("DELETE", "/v1/operator/raft/peer"+query, ""); status < 400 || status >= 500 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s, want %s", query, status, body, want)
		}
	}
}
