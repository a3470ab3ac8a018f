package httpapi_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/acl"
	"github.com/drover-org/drover/internal/httpapi"
	"github.com/drover-org/drover/internal/store"
	"github.com/drover-org/drover/internal/web"
)

// The tokens of the matrix by letter, with their rules. All are about the
// namespace "default"; nobody but management has a right in "hidden".
var matrixTokens = map[string]string{
	"n": "", // no token, and no anonymous policy
	"r": `namespace "default" { policy = "read" }`,
	"w": `namespace "default" { policy = "write" }`,
	"o": `node { policy = "write" } agent { policy = "write" } operator { policy = "write" } node_pool "*" { policy = "write" } quota { policy = "write" } plugin { policy = "read" }`,
	"m": "management",
}

// matrixRow says who may use a route: everybody not in allow is refused with
// 403, or with the 404 of a missing object.
type matrixRow struct {
	allow string
	body  string // reaches the point where rights are asked for
	query string
}

const everybody = "nrwom"

// matrix has a row for every row of the route table. $job, $alloc and so on
// stand for objects.
var matrix = map[string]matrixRow{
	"GET /v1/agent/self":                   {allow: "om"},
	"GET /v1/agent/health":                 {allow: everybody},
	"GET /v1/agent/servers":                {allow: "om"},
	"GET /v1/agent/schedulers":             {allow: "om"},
	"GET /v1/agent/schedulers/config":      {allow: "om"},
	"PUT POST /v1/agent/schedulers/config": {allow: "om", body: `{"num_schedulers": 1, "enabled_schedulers": ["_core"]}`},
	"GET /v1/agent/monitor":                {allow: "om"},

	"GET /v1/agent/pprof/{id}": {allow: "om"},
	"GET /v1/agent/host":       {allow: "om"},
	"GET /v1/metrics":          {allow: everybody},

	"PUT POST /v1/agent/join":                  {allow: "om", query: "address=127.0.0.1"},
	"PUT POST /v1/agent/force-leave":           {allow: "om", query: "node=x"},
	"GET /v1/agent/keyring/list":               {allow: "om"},
	"PUT POST /v1/agent/keyring/install":       {allow: "om", body: `{"Key": ""}`},
	"PUT POST /v1/agent/keyring/use":           {allow: "om", body: `{"Key": ""}`},
	"PUT POST DELETE /v1/agent/keyring/remove": {allow: "om", body: `{"Key": ""}`},

	"GET /v1/client/allocation/{id}/exec":         {allow: "wm"},
	"GET /v1/client/allocation/{id}/port-forward": {allow: "wm"},
	"GET /v1/client/allocation/{id}/copy":         {allow: "wm"},
	"PUT POST /v1/client/allocation/{id}/copy":    {allow: "wm"},
	"GET /v1/client/allocation/{id}/stats":        {allow: "rwm"},
	"GET /v1/client/allocation/{id}/checks":       {allow: "rwm"},
	"PUT POST /v1/client/allocation/{id}/signal":  {allow: "wm"},
	"PUT POST /v1/client/allocation/{id}/restart": {allow: "wm"},
	"GET PUT POST /v1/client/allocation/{id}/gc":  {allow: "wm"},
	"GET /v1/allocation/{id}/checks":              {allow: "rwm"},
	"GET /v1/client/fs/logs/{id}":                 {allow: "wm"},
	"GET /v1/client/fs/ls/{id}":                   {allow: "wm"},
	"GET /v1/client/fs/stat/{id}":                 {allow: "wm"},
	"GET /v1/client/fs/readat/{id}":               {allow: "wm"},
	"GET /v1/client/fs/cat/{id}":                  {allow: "wm"},
	"GET /v1/client/fs/stream/{id}":               {allow: "wm"},
	"GET /v1/client/stats":                        {allow: "om"},
	"GET PUT POST /v1/client/gc":                  {allow: "om"},
	"GET /v1/client/identity":                     {allow: "om"},
	"PUT POST /v1/client/identity/renew":          {allow: "om"},
	"GET /v1/client/metadata":                     {allow: "om"},
	"POST /v1/client/metadata":                    {allow: "om", body: `{"Meta": {"a": "b"}}`},

	"GET /v1/jobs":                             {allow: "rwm"},
	"PUT POST /v1/jobs":                        {allow: "wm", body: `{"Job": $jobspec}`},
	"PUT POST /v1/jobs/parse":                  {allow: "rwm", body: `{"JobHCL": "job \"x\" {}"}`},
	"GET POST /v1/jobs/statuses":               {allow: "rwm"},
	"PUT POST /v1/validate/job":                {allow: "rwm", body: `{"Job": $jobspec}`},
	"GET /v1/job/{id}":                         {allow: "rwm"},
	"PUT POST /v1/job/{id}":                    {allow: "wm", body: `{"Job": $jobspec}`},
	"DELETE /v1/job/{id}":                      {allow: "wm"},
	"GET /v1/job/{id}/allocations":             {allow: "rwm"},
	"GET /v1/job/{id}/evaluations":             {allow: "rwm"},
	"GET /v1/job/{id}/deployments":             {allow: "rwm"},
	"GET /v1/job/{id}/deployment":              {allow: "rwm"},
	"GET /v1/job/{id}/explain":                 {allow: "rwm"},
	"GET /v1/job/{id}/summary":                 {allow: "rwm"},
	"GET /v1/job/{id}/versions":                {allow: "rwm"},
	"PUT POST /v1/job/{id}/versions/{tag}/tag": {allow: "wm", body: `{"Latest": true}`},
	"DELETE /v1/job/{id}/versions/{tag}/tag":   {allow: "wm"},
	"GET /v1/job/{id}/submission":              {allow: "rwm", query: "version=0"},
	"GET /v1/job/{id}/services":                {allow: "rwm"},
	"GET /v1/job/{id}/actions":                 {allow: "rwm"},
	"GET /v1/job/{id}/action":                  {allow: "wm"},
	"GET /v1/job/{id}/scale":                   {allow: "rwm"},
	"PUT POST /v1/job/{id}/scale":              {allow: "wm", body: `{"Count": 2, "Target": {"Group": "g"}}`},
	"PUT POST /v1/job/{id}/plan":               {allow: "wm", body: `{"Job": $jobspec}`},
	"PUT POST /v1/job/{id}/evaluate":           {allow: "wm", body: `{"JobID": "$job"}`},
	"PUT POST /v1/job/{id}/revert":             {allow: "wm", body: `{"JobID": "$job", "JobVersion": 0}`},
	"PUT POST /v1/job/{id}/stable":             {allow: "wm", body: `{"JobID": "$job", "JobVersion": 0, "Stable": true}`},
	"PUT POST /v1/job/{id}/periodic/force":     {allow: "wm"},
	"PUT POST /v1/job/{id}/dispatch/payload":   {allow: "wm"},
	"PUT POST /v1/job/{id}/dispatch":           {allow: "wm"},

	"GET /v1/allocations":                            {allow: "rwm"},
	"GET /v1/allocation/{id}":                        {allow: "rwm"},
	"PUT POST /v1/allocation/{id}/stop":              {allow: "wm"},
	"GET /v1/allocation/{id}/explain":                {allow: "rwm"},
	"GET /v1/allocation/{id}/services":               {allow: "rwm"},
	"GET /v1/evaluations":                            {allow: "rwm"},
	"DELETE /v1/evaluations":                         {allow: "m", body: `{"EvalIDs": ["$eval"]}`},
	"GET /v1/evaluations/count":                      {allow: "rwm"},
	"GET /v1/evaluation/{id}":                        {allow: "rwm"},
	"GET /v1/evaluation/{id}/allocations":            {allow: everybody},
	"GET /v1/deployments":                            {allow: "rwm"},
	"GET /v1/deployment/{id}":                        {allow: "rwm"},
	"GET /v1/deployment/allocations/{id}":            {allow: everybody},
	"PUT POST /v1/deployment/pause/{id}":             {allow: "wm", body: `{"DeploymentID": "$deployment", "Pause": true}`},
	"PUT POST /v1/deployment/fail/{id}":              {allow: "wm"},
	"PUT POST /v1/deployment/promote/{id}":           {allow: "wm", body: `{"DeploymentID": "$deployment", "All": true}`},
	"PUT POST /v1/deployment/unblock/{id}":           {allow: "wm"},
	"PUT POST /v1/deployment/allocation-health/{id}": {allow: "wm", body: `{"DeploymentID": "$deployment", "HealthyAllocationIDs": ["$alloc"]}`},
	"GET /v1/scaling/policies":                       {allow: "rwm"},
	"GET /v1/scaling/policy/{id}":                    {allow: "rwm"},

	"GET /v1/nodes":                      {allow: "om"},
	"GET /v1/node/{id}":                  {allow: "om"},
	"GET /v1/node/{id}/allocations":      {allow: "om"},
	"PUT POST /v1/node/{id}/eligibility": {allow: "om", body: `{"Eligibility": "ineligible"}`},
	"PUT POST /v1/node/{id}/evaluate":    {allow: "om"},
	"PUT POST /v1/node/{id}/purge":       {allow: "om"},
	"PUT POST /v1/node/{id}/drain":       {allow: "om", body: `{"DrainSpec": null}`},
	"GET /v1/quotas":                     {allow: "om"},
	"GET /v1/quota-usages":               {allow: "om"},
	"GET /v1/quota/{id}":                 {allow: "om"},
	"GET /v1/quota/usage/{id}":           {allow: "om"},
	"PUT POST /v1/quota":                 {allow: "om", body: `{"Name": "x"}`},
	"PUT POST /v1/quota/{id}":            {allow: "om", body: `{"Description": "x"}`},
	"DELETE /v1/quota/{id}":              {allow: "om"},
	"GET /v1/node/pools":                 {allow: everybody}, // filtered
	"GET /v1/node/pool/{id}":             {allow: "om"},
	"GET /v1/node/pool/{id}/nodes":       {allow: "om"},
	"GET /v1/node/pool/{id}/jobs":        {allow: "m"}, // rights of two kinds
	"PUT POST /v1/node/pools":            {allow: "om", body: `{"Name": "x"}`},
	"PUT POST /v1/node/pool/{id}":        {allow: "om", body: `{"Description": "x"}`},
	"DELETE /v1/node/pool/{id}":          {allow: "om"}, // and then it is built in

	"PUT POST /v1/search":                            {allow: everybody, body: `{"Prefix": "", "Context": "all"}`}, // filtered
	"PUT POST /v1/search/fuzzy":                      {allow: everybody, body: `{"Text": "web", "Context": "all"}`},
	"GET /v1/namespaces":                             {allow: everybody},
	"GET /v1/namespace/{id}":                         {allow: "rwm"},
	"PUT POST /v1/namespaces":                        {allow: "m", body: `{"Name": "x"}`},
	"PUT POST /v1/namespace":                         {allow: "m", body: `{"Name": "x"}`},
	"PUT POST /v1/namespace/{id}":                    {allow: "m", body: `{"Description": "x"}`},
	"DELETE /v1/namespace/{id}":                      {allow: "m"}, // and then it is in use
	"GET /v1/status/leader":                          {allow: everybody},
	"GET /v1/status/peers":                           {allow: everybody},
	"GET /v1/regions":                                {allow: everybody},
	"GET /v1/agent/members":                          {allow: "om"},
	"GET /v1/operator/raft/configuration":            {allow: "m"},
	"DELETE /v1/operator/raft/peer":                  {allow: "m", query: "id=x"},
	"PUT POST /v1/operator/raft/transfer-leadership": {allow: "m", query: "id=s1"},
	"GET /v1/operator/scheduler/configuration":       {allow: "om"},
	"PUT POST /v1/operator/scheduler/configuration":  {allow: "om", body: `{"SchedulerAlgorithm": "spread"}`},
	"GET /v1/operator/keyring/keys":                  {allow: "om"},
	"PUT POST /v1/operator/keyring/rotate":           {allow: "om"},
	"DELETE /v1/operator/keyring/key/{id}":           {allow: "om"},
	"GET /.well-known/openid-configuration":          {allow: everybody}, // 404: no issuer is set
	"GET /v1/operator/autopilot/configuration":       {allow: "om"},
	"PUT /v1/operator/autopilot/configuration":       {allow: "om"}, // 501
	"GET /v1/operator/autopilot/health":              {allow: "om"},
	"GET /v1/operator/license":                       {allow: everybody},
	"GET /v1/operator/snapshot":                      {allow: "om"},
	"PUT POST /v1/operator/snapshot":                 {allow: "m"},
	"PUT POST /v1/system/gc":                         {allow: "m"},

	"PUT POST /v1/acl/identity/client-introduction-token": {allow: "om", body: `{}`},
	"PUT POST /v1/acl/bootstrap":                          {allow: everybody},
	"GET /v1/acl/policies":                                {allow: everybody}, // the own ones
	"GET /v1/acl/policy/self":                             {allow: everybody},
	"GET /v1/acl/policy/{id}":                             {allow: "m"}, // another's
	"PUT POST /v1/acl/policy/{id}":                        {allow: "m", body: `{"Rules": "node { policy = \"read\" }"}`},
	"DELETE /v1/acl/policy/{id}":                          {allow: "m"},
	"GET /v1/acl/tokens":                                  {allow: "m"},
	"PUT POST /v1/acl/token":                              {allow: "m", body: `{"Type": "management"}`},
	"GET /v1/acl/token/self":                              {allow: "rwom"},
	"GET /v1/acl/token/{id}":                              {allow: "m"}, // another's
	"PUT POST /v1/acl/token/{id}":                         {allow: "m", body: `{"Name": "x", "Type": "client", "Policies": ["other"]}`},
	"DELETE /v1/acl/token/{id}":                           {allow: "m"},
	"PUT POST /v1/acl/token/onetime":                      {allow: "rwom"},
	"PUT POST /v1/acl/token/onetime/exchange":             {allow: "", body: `{"OneTimeSecretID": "x"}`}, // a secret that is none
	"GET /v1/acl/roles":                                   {allow: everybody},
	"PUT POST /v1/acl/role":                               {allow: "m", body: `{"Name": "x", "Policies": [{"Name": "other"}]}`},
	"GET /v1/acl/role/{id}":                               {allow: "m"}, // another's
	"GET /v1/acl/role/name/{id}":                          {allow: "m"},
	"PUT POST /v1/acl/role/{id}":                          {allow: "m", body: `{"Name": "x", "Policies": [{"Name": "other"}]}`},
	"DELETE /v1/acl/role/{id}":                            {allow: "m"},
	"GET /v1/acl/auth-methods":                            {allow: everybody}, // for login pages
	"PUT POST /v1/acl/auth-method":                        {allow: "m", body: `{"Name": "x"}`},
	"GET /v1/acl/auth-method/{id}":                        {allow: "m"},
	"PUT POST /v1/acl/auth-method/{id}":                   {allow: "m", body: `{"Type": "JWT"}`},
	"DELETE /v1/acl/auth-method/{id}":                     {allow: "m"},
	"GET /v1/acl/binding-rules":                           {allow: "m"},
	"PUT POST /v1/acl/binding-rule":                       {allow: "m", body: `{"BindType": "management"}`},
	"GET /v1/acl/binding-rule/{id}":                       {allow: "m"},
	"PUT POST /v1/acl/binding-rule/{id}":                  {allow: "m", body: `{"BindType": "management"}`},
	"DELETE /v1/acl/binding-rule/{id}":                    {allow: "m"},
	"PUT POST /v1/acl/login":                              {allow: "", body: `{"AuthMethodName": "jwt", "LoginToken": "x"}`}, // a token that is none
	"PUT POST /v1/acl/oidc/auth-url":                      {allow: everybody, body: `{"RedirectURI": "x"}`},
	"PUT POST /v1/acl/oidc/complete-auth":                 {allow: everybody, body: `{"State": "x"}`},
	"PUT POST /v1/acl/explain":                            {allow: everybody, body: `{"Capability": "node:read"}`}, // about oneself

	"GET /v1/event/stream": {allow: "m"}, // of all topics

	"GET /v1/services":                       {allow: "rwm"},
	"GET /v1/service/{id}":                   {allow: "rwm"},
	"DELETE /v1/service/{id}/{registration}": {allow: "wm"},

	"GET /v1/volumes":            {allow: everybody}, // empty
	"GET /v1/plugins":            {allow: everybody},
	"GET /v1/vars":               {allow: everybody},
	"GET /.well-known/jwks.json": {allow: everybody},
}

// matrixWorld is a secured world with one object of each kind in a namespace.
type matrixWorld struct {
	*secured
	tokens map[string]string // by letter
	ids    map[string]string
}

const (
	matrixAlloc  = "aaaaaaaa-1111-2222-3333-444444444444"
	matrixEval   = "eeeeeeee-1111-2222-3333-444444444444"
	matrixDeploy = "dddddddd-1111-2222-3333-444444444444"
	matrixRole   = "11111111-2222-3333-4444-555555555555"
	matrixToken  = "22222222-2222-3333-4444-555555555555"
)

func newMatrixWorld(t *testing.T, namespace string) *matrixWorld {
	t.Helper()
	w := &matrixWorld{secured: newSecured(t), tokens: map[string]string{}}
	ctx := context.Background()
	root, _, err := w.server.BootstrapACL(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	w.root = root.SecretID
	w.tokens["m"] = root.SecretID
	for letter, rules := range matrixTokens {
		if letter == "n" || letter == "m" {
			continue
		}
		if _, _, err := w.server.UpsertACLPolicy(ctx, w.root, &api.ACLPolicy{Name: letter, Rules: rules}); err != nil {
			t.Fatal(err)
		}
		token, _, _, err := w.server.UpsertACLToken(ctx, w.root, &api.ACLToken{Name: letter, Type: "client", Policies: []string{letter}})
		if err != nil {
			t.Fatal(err)
		}
		w.tokens[letter] = token.SecretID
	}
	w.propose(&store.UpsertACLPolicy{Policy: &api.ACLPolicy{Name: "other", Rules: `node { policy = "read" }`}})
	w.propose(&store.UpsertACLRole{Role: &api.ACLRole{ID: matrixRole, Name: "other", Policies: []*api.ACLRolePolicyLink{{Name: "other"}}}})
	other := &api.ACLToken{AccessorID: matrixToken, SecretID: otherID, Name: "other", Type: "client", Policies: []string{"other"}}
	if _, _, _, err := w.server.UpsertACLToken(ctx, w.root, other); err != nil {
		t.Fatal(err)
	}

	now := w.now.UnixNano()
	job := &api.Job{
		ID: "web", Name: "web", Namespace: namespace, Type: api.JobTypeService, Datacenters: []string{"dc1"}, SubmitTime: now,
		TaskGroups: []*api.TaskGroup{{Name: "g", Count: new(1), Scaling: &api.ScalingPolicy{Max: new(int64(5))}, Tasks: []*api.Task{{Name: "t", Driver: "docker", Config: map[string]any{"image": "x"}}}}},
	}
	job.Canonicalize()
	eval := &api.Evaluation{ID: matrixEval, Namespace: namespace, JobID: "web", Type: job.Type, Status: api.EvalStatusPending, CreateTime: now, ModifyTime: now}
	w.propose(&store.UpsertAuthMethod{AuthMethod: &store.AuthMethod{Method: &api.ACLAuthMethod{Name: "jwt", Type: api.AuthMethodJWT, Config: &api.ACLAuthMethodConfig{BoundAudiences: []string{"x"}, JWTValidationPubKeys: []string{matrixPEM}}}}})
	w.propose(&store.UpsertBindingRule{Rule: &api.ACLBindingRule{ID: matrixRule, AuthMethod: "jwt", BindType: api.BindManagement}})
	w.propose(&store.UpsertNamespaces{Namespaces: []*api.Namespace{{Name: namespace}}})
	w.propose(&store.UpsertQuota{Quota: &api.QuotaSpec{Name: "q"}})
	w.propose(&store.RegisterJob{Job: job, Eval: eval, Submission: &api.JobSubmission{Source: "x", Format: "hcl2"}, Now: now})
	w.propose(&store.TagJobVersion{Namespace: namespace, JobID: "web", Tag: api.JobVersionTag{Name: "kept"}})
	done := *eval
	done.Status = api.EvalStatusComplete
	stored := w.store.Snapshot().Job(namespace, "web")
	w.propose(&store.ApplyPlan{Now: now, Plan: &api.Plan{
		EvalID: matrixEval, Job: stored, Eval: &done,
		Deployment: &api.Deployment{
			ID: matrixDeploy, Namespace: namespace, JobID: "web", Status: api.DeploymentRunning, JobVersion: stored.Version, JobCreateIndex: stored.CreateIndex,
			TaskGroups: map[string]*api.DeploymentState{"g": {DesiredTotal: 1}},
		},
		Placements: []*api.PlanGroup{{TaskGroup: "g", Resources: &api.AllocatedResources{}, Metrics: &api.AllocMetric{}, Allocs: []*api.Placement{{ID: matrixAlloc, NodeID: nodeID, NodeName: "n"}}}},
	}})
	registration := api.RegistrationID(matrixAlloc, "t", "web", "")
	w.propose(&store.UpdateAllocs{NodeID: nodeID, Now: now, Updates: []*api.AllocUpdate{{
		ID: matrixAlloc, ClientStatus: api.AllocClientRunning, Services: []*api.AllocService{{ID: registration, Name: "web", Address: "10.0.0.1"}},
	}}})
	policies, _, err := w.server.ScalingPolicies(ctx, api.ListOptions{Token: w.root, Namespace: api.AllNamespaces}, "", "")
	if err != nil || len(policies) != 1 {
		t.Fatal(policies, err)
	}
	w.ids = map[string]string{
		"job": "web", "alloc": matrixAlloc, "eval": matrixEval, "deployment": matrixDeploy, "node": nodeID, "pool": "default", "quota": "q", "scaling": policies[0].ID,
		"policy": "other", "role": matrixRole, "rolename": "other", "token": matrixToken, "namespace": namespace, "method": "jwt", "rule": matrixRule, "registration": registration,
		"jobspec": fmt.Sprintf(`{"ID": "web", "Namespace": %q, "Type": "service", "Datacenters": ["dc1"], "TaskGroups": [{"Name": "g", "Tasks": [{"Name": "t", "Driver": "docker", "Config": {"image": "x"}}]}]}`, namespace),
	}
	return w
}

// path fills the object into a pattern.
func (w *matrixWorld) path(pattern string) string {
	kind := ""
	for _, k := range []struct{ prefix, kind string }{
		{"/v1/job/", "job"}, {"/v1/evaluation/", "eval"}, {"/v1/deployment/", "deployment"}, {"/v1/quota/", "quota"}, {"/v1/node/pool/", "pool"}, {"/v1/node/", "node"},
		{"/v1/scaling/", "scaling"}, {"/v1/acl/policy/", "policy"}, {"/v1/acl/token/", "token"}, {"/v1/acl/role/name/", "rolename"}, {"/v1/acl/role/", "role"},
		{"/v1/acl/auth-method/", "method"}, {"/v1/acl/binding-rule/", "rule"}, {"/v1/namespace/", "namespace"}, {"/v1/service/", "job"},
	} {
		if kind == "" && strings.HasPrefix(pattern, k.prefix) {
			kind = k.kind
		}
	}
	if kind == "" {
		kind = "alloc"
	}
	return strings.NewReplacer("{id}", w.ids[kind], "{registration}", w.ids["registration"], "{tag}", "kept").Replace(pattern)
}

func (w *matrixWorld) fill(body string) string {
	for _, k := range slices.Backward(slices.Sorted(maps.Keys(w.ids))) {
		body = strings.ReplaceAll(body, "$"+k, w.ids[k])
	}
	return body
}

// routed leaves out what has no right to test: answers to mistyped paths.
func routed(r web.Route) bool {
	return !strings.Contains(r.Pattern, "{rest...}") && !strings.HasSuffix(r.Pattern, "/{$}") && !(strings.HasPrefix(r.Pattern, "/v1/client/fs/") && !strings.Contains(r.Pattern, "{id}"))
}

// Every route, for every token, in a namespace it may have a right in and in
// one that is hidden from it. A route without a row fails.
func TestMatrix(t *testing.T) {
	known := map[string]bool{}
	for _, r := range httpapi.Rows(newSecured(t).config) {
		if len(r.Needs) == 0 {
			t.Errorf("%s %s does not say what it needs", r.Methods, r.Pattern)
		}
		if !routed(r) {
			continue
		}
		name := r.Methods + " " + r.Pattern
		row, ok := matrix[name]
		if !ok {
			t.Errorf("%s has no row in the matrix: say who may use it", name)
			continue
		}
		known[name] = true
		t.Run(name, func(t *testing.T) {
			for _, namespace := range []string{api.DefaultNamespace, "hidden"} {
				var w *matrixWorld // kept until a request changes it
				for letter := range matrixTokens {
					if w == nil {
						w = newMatrixWorld(t, namespace)
					}
					if testMatrixCell(w, r, row, namespace, letter) {
						w = nil
					}
				}
			}
		})
	}
	for name := range matrix {
		if !known[name] {
			t.Errorf("the matrix has a row for %s, which is no route", name)
		}
	}
}

// testMatrixCell reports whether the request may have changed w.
func testMatrixCell(w *matrixWorld, r web.Route, row matrixRow, namespace, letter string) (changed bool) {
	t := w.t
	t.Helper()
	scoped := slices.ContainsFunc(r.Needs, func(n web.Right) bool { return n.Of == web.OfNamespace || n.Of == web.OfObject })
	if namespace != api.DefaultNamespace && !scoped {
		return false
	}
	want := strings.Contains(row.allow, letter)
	if namespace != api.DefaultNamespace {
		want = letter == "m" || row.allow == everybody
	}
	method, _, _ := strings.Cut(r.Methods, " ")
	if method == "*" {
		method = "GET"
	}
	target := w.path(r.Pattern) + "?namespace=" + namespace
	if row.query != "" {
		target += "&" + row.query
	}
	status, text := w.as(w.tokens[letter], method, target, w.fill(row.body))
	refused := status == 403 || status == 404 && (scoped || strings.HasPrefix(r.Pattern, "/v1/namespace/"))
	if refused == want {
		t.Errorf("%s with token %s in %s: %d %s; it should be allowed: %v", target, letter, namespace, status, text, want)
	}
	if status == 403 && !strings.HasSuffix(text, "Permission denied") {
		t.Errorf("%s with token %s: clients don't understand %q", target, letter, text)
	}
	if got := matrixNeeds(t, r, namespace, letter); got != want && row.allow != "" && !slices.ContainsFunc(r.Needs, func(n web.Right) bool { return n.Of == web.OfShown }) {
		t.Errorf("%s %s needs %v, which token %s has: %v; it is allowed: %v", r.Methods, r.Pattern, r.Needs, letter, got, want)
	}
	return method != "GET" && status < 300
}

// matrixNeeds decides by what a route says that it needs.
func matrixNeeds(t *testing.T, r web.Route, namespace, letter string) bool {
	t.Helper()
	rights := acl.Management
	if letter != "m" {
		var policies []*acl.Policy
		if rules := matrixTokens[letter]; rules != "" {
			p, err := acl.Parse(letter, rules)
			if err != nil {
				t.Fatal(err)
			}
			policies = append(policies, p)
		}
		rights = acl.Compile(policies)
	}
	for _, need := range r.Needs {
		object := namespace
		switch need.Of {
		case web.OfNobody, web.OfShown:
			continue
		case web.OfToken:
			if letter == "n" {
				return false
			}
			continue
		case web.OfPool:
			object = "default"
		}
		if !slices.ContainsFunc(need.Caps, func(c api.Capability) bool { return rights.Allow(c, object) }) {
			return false
		}
	}
	return true
}

// Lists over all namespaces leave out what is hidden.
func TestListsFilter(t *testing.T) {
	for _, target := range []string{
		"GET /v1/jobs", "GET /v1/jobs/statuses", "GET /v1/allocations", "GET /v1/evaluations", "GET /v1/deployments", "GET /v1/scaling/policies", "PUT /v1/search", "PUT /v1/search/fuzzy",
	} {
		method, path, _ := strings.Cut(target, " ")
		body := map[string]string{"/v1/search": `{"Prefix": "", "Context": "all"}`, "/v1/search/fuzzy": `{"Text": "web", "Context": "all"}`}[path]
		hidden := newMatrixWorld(t, "hidden")
		for letter, sees := range map[string]bool{"r": false, "w": false, "m": true} {
			status, text := hidden.as(hidden.tokens[letter], method, path+"?namespace=*", body)
			if status != 200 {
				t.Fatalf("%s with %s: %d %s", path, letter, status, text)
			}
			found := false
			for _, id := range []string{matrixAlloc, matrixEval, matrixDeploy, `"web"`} {
				found = found || strings.Contains(text, id)
			}
			if found != sees {
				t.Errorf("%s with %s shows what is hidden: %v\n%s", path, letter, found, text)
			}
		}
		open := newMatrixWorld(t, "default")
		if _, text := open.as(open.tokens["r"], method, path+"?namespace=*", body); !strings.Contains(text, "web") && !strings.Contains(text, matrixAlloc) {
			t.Errorf("%s hides what may be seen: %s", path, text)
		}
	}
}
