package httpapi_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/drover-org/drover/api"
)

func TestNodePoolRoutes(t *testing.T) {
	w := newWorld(t)
	for _, tc := range [][4]string{
		{"GET", "/v1/node/pool/gpu", "", "404 node pool not found"},
		{"GET", "/v1/node/pool/gpu/nodes", "", "404 node pool not found"},
		{"GET", "/v1/node/pool/gpu/jobs", "", "404 node pool not found"},
		{"PUT", "/v1/node/pools", `{"Name":"gpu","Description":"a"}`, "200 "},
		{"POST", "/v1/node/pool/gpu", `{"Description":"b","NodeIdentityTTL":"1h","SchedulerConfiguration":{"SchedulerAlgorithm":"spread","MemoryOversubscriptionEnabled":true}}`, "200 "},
		{"PUT", "/v1/node/pool/gpu", `{"Name":"arm"}`, `400 Name is "arm", but the path names "gpu"`},
		{"PUT", "/v1/node/pools", `{"Name":"a/b"}`, `400 invalid node pool name "a/b"`},
		{"PUT", "/v1/node/pools", `{"Name":"all"}`, `400 node pool "all" is built in`},
		{"PUT", "/v1/node/pools", `{"Name":"x","NodeIdentityTTL":"1s"}`, `400 NodeIdentityTTL: 1s is not from 1m0s`},
		{"PUT", "/v1/node/pools", `{"Name":"x","NodeIdentityTTL":"soon"}`, `400 `},
		{"PUT", "/v1/node/pools", `{"Name":"x","SchedulerConfiguration":{"SchedulerAlgorithm":"best"}}`, `400 SchedulerConfiguration > SchedulerAlgorithm: "best" must be`},
		{"PUT", "/v1/node/pools", `{"Name":"x","Meta":{"":"y"}}`, `400 Meta: a name is empty`},
		{"PUT", "/v1/node/pools", "", "400 "},
		{"GET", "/v1/node/pool/gpu", "", `200 {"Name":"gpu","Description":"b","Meta":null,"NodeIdentityTTL":"1h0m0s","SchedulerConfiguration":{"SchedulerAlgorithm":"spread","MemoryOversubscriptionEnabled":true}`},
		{"GET", "/v1/node/pool/gpu/nodes", "", "200 []"},
		{"GET", "/v1/node/pools?filter=Nam==1", "", `400 filter: selector "Nam"`},
		{"DELETE", "/v1/node/pool/default", "", `400 node pool "default" is built in`},
		{"DELETE", "/v1/node/pool/nosuch", "", `404 node pool not found`},
		{"DELETE", "/v1/node/pool/gpu", "", "200 "},
	} {
		w.wants(t, tc[0], tc[1], tc[2], tc[3])
	}
}

// A node that comes back in another pool gets the jobs that run on every node
// there.
func TestNodeMovesToAnotherPool(t *testing.T) {
	w := newWorld(t)
	w.send("PUT", "/v1/node/pools", `{"Name":"edge"}`, nil)
	body := strings.Replace(jobBody("watch", 1), `"service"`, `"system"`, 1)
	body = strings.Replace(body, `"Type"`, `"NodePool":"edge","Type"`, 1)
	var reg api.JobRegisterResponse
	w.send("POST", "/v1/jobs", body, &reg)
	evals := func() (n int) {
		for e := range w.store.Snapshot().EvalsByJob("default", "watch") {
			if e.TriggeredBy == api.EvalTriggerNodeUpdate {
				n++
			}
		}
		return n
	}
	if n := evals(); n != 0 {
		t.Fatalf("%d evaluations of nodes before one came", n)
	}
	moved := testNode(nodeID)
	moved.NodePool = "edge"
	for i, want := range []int{1, 1} { // the second says nothing new
		if _, err := w.server.RegisterNode(t.Context(), moved, ""); err != nil {
			t.Fatal(err)
		}
		if n := evals(); n != want {
			t.Errorf("registration %d: %d evaluations", i, n)
		}
	}
}

func TestQuotaRoutes(t *testing.T) {
	w := newWorld(t)
	for _, tc := range [][4]string{
		{"GET", "/v1/quotas", "", "200 []"},
		{"GET", "/v1/quota/q", "", "404 quota not found"},
		{"GET", "/v1/quota/usage/q", "", "404 quota not found"},
		{"PUT", "/v1/quota", `{"Name":"*"}`, `400 invalid name "*"`},
		{"PUT", "/v1/quota", `{"Name":"q","Limits":[{"Region":"mars"}]}`, `400 Limits[0] > Region: "mars" is not this region`},
		{"PUT", "/v1/quota", `{"Name":"q","Limits":[{"RegionLimit":{"Devices":[{"Name":"gpu"}]}}]}`, `400 Limits[0] > RegionLimit > Devices: no node offers devices`},
		{"PUT", "/v1/quota/q", `{"Limits":[{"RegionLimit":{"MemoryMB":3000,"Jobs":1}}]}`, "200 "},
		{"PUT", "/v1/namespace", `{"Name":"prod","Quota":"q"}`, "200 "},
		{"DELETE", "/v1/quota/q", "", `409 quota "q" is in use by namespaces: prod`},
		{"DELETE", "/v1/quota/nosuch", "", `404 quota not found`},
		{"POST", "/v1/jobs?namespace=prod", jobBody("web", 1000), `400 group "cache" > Count: quota "q" of namespace "prod" is too small: memory: `},
		{"POST", "/v1/jobs?namespace=prod", jobBody("web", 1), "200 "},
		{"POST", "/v1/jobs?namespace=prod", jobBody("web", 2), "200 "}, // the same one
		{"POST", "/v1/jobs?namespace=prod", jobBody("db", 1), `409 quota "q" of namespace "prod" bounds jobs to 1, and there are 1`},
		{"POST", "/v1/job/web/scale?namespace=prod", `{"Count":1000,"Target":{"Group":"cache"}}`, `400 `},
	} {
		w.wants(t, tc[0], tc[1], tc[2], tc[3])
	}
	var usage api.QuotaUsage
	w.get("/v1/quota/usage/q", &usage)
	if len(usage.Used) != 1 {
		t.Fatalf("%+v", usage)
	}
	for _, u := range usage.Used {
		if *u.RegionLimit.Jobs != 1 || *u.RegionLimit.MemoryMB != 0 {
			t.Errorf("%s", fmt.Sprint(*u.RegionLimit.Jobs, *u.RegionLimit.MemoryMB))
		}
	}
}
