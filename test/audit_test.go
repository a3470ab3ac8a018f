package test

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// fieldReasons are the fields that stay empty in the history of TestFields,
// each with its reason. A field that is not always empty any more must go.
var fieldReasons = map[string]string{
	"Allocation.AllocStates":                                 "noted when a node is cut off, and this one is not",
	"Allocation.AllocatedResources.Tasks.*.Devices":          "the machine has no devices",
	"Allocation.AllocatedResources.TaskLifecycles.*.Sidecar": "no task is one",
	"Allocation.AllocatedResources.Tasks.*.Networks":         "the old form of a group's network; TestSamplesOfReads has one",
	"Allocation.DesiredTransition.MigrateDisablePlacement":   "only drains could ask for it",
	"Allocation.NetworkStatus.AddressIPv6":                   "of a network of the allocation's own",
	"Allocation.NetworkStatus.DNS":                           "of a network of the allocation's own",
	"Allocation.SigningKeyID":                                "identities are signed when a node asks for them, by the key that is active then",
	"Allocation.TaskStates.*.Events[].DiskLimit":             "of older clients: disks are not limited by task",
	"Allocation.TaskStates.*.Events[].DownloadError":         "nothing is downloaded here",
	"Allocation.TaskStates.*.Events[].DriverMessage":         "raw_exec has nothing to tell; docker has",
	"Allocation.TaskStates.*.Events[].GenericSource":         "of older clients: DriverMessage and Details say it",
	"Allocation.TaskStates.*.Events[].KillError":             "every task could be killed",
	"Allocation.TaskStates.*.Events[].Message":               "of older clients: Details say it",
	"Allocation.TaskStates.*.Events[].SetupError":            "every task could be set up",
	"Allocation.TaskStates.*.Events[].TaskSignalReason":      "people who send signals give no reason",
	"Allocation.TaskStates.*.Events[].ValidationError":       "servers let no job pass that nodes would refuse",
	"Allocation.TaskStates.*.Events[].VaultError":            "there is no Vault",
	"Allocation.TaskStates.*.Paused":                         "tasks have no schedules",
	"Deployment.IsMultiregion":                               "a job is of one region",
	"Evaluation.AnnotatePlan":                                "of dry runs, which are not kept",
	"Evaluation.PlanAnnotations":                             "of dry runs, which are not kept",
	"Evaluation.NextEval":                                    "of an evaluation that failed, and none does",
	"Evaluation.QuotaLimitReached":                           "there are no quotas",
	"Evaluation.Wait":                                        "of older clients: WaitUntil says it",
	"JobStub.JobSummary.Children":                            "of periodic and parameterized jobs",
	"JobStub.JobSummary.Summary.*.Lost":                      "no node was lost",
	"JobStub.JobSummary.Summary.*.Unknown":                   "no node was lost",
	"JobStub.Multiregion":                                    "a job is of one region",
	"JobStub.ParameterizedJob":                               "no job is parameterized",
	"JobStub.ParentID":                                       "no job is a child",
	"JobStub.Periodic":                                       "no job is periodic",
	"JobStub.StatusDescription":                              "of older clients: the status says it",
	"Metrics.QuotaExhausted":                                 "there are no quotas",
	"Network.CNI":                                            "of a network of the allocation's own",
	"Network.DNS":                                            "of a network of the allocation's own",
	"Network.Hostname":                                       "of a network of the allocation's own",
	"Node.SecretID":                                          "it leaves servers for nobody",
	"Resources.Devices":                                      "the machine has no devices",
	"Resources.IOPS":                                         "of older clients: it means nothing",
	"Resources.NUMA":                                         "no task asks for it",
	"Resources.SecretsMB":                                    "no task asks for it",
}

// environment are fields that hang on the machine or on its configuration.
var environment = strings.Fields(`Node.CSIControllerPlugins Node.CSINodePlugins Node.CgroupParent Node.Drain Node.DrainStrategy Node.LastDrain Node.Events[].Details
	Node.GCVolumesOnNodeGC Node.HostNetworks Node.HostVolumes Node.Links Node.NodeMaxAllocs Node.NodeResources.Devices Node.NodeResources.NodeNetworks
	Allocation.AllocatedResources.Tasks.*.Cpu.ReservedCores
	Node.ReservedResources Node.StatusDescription Node.TLSEnabled Node.Reserved`)

// named are the members whose own members are names, not fields.
var named = strings.Fields(`TaskStates Tasks TaskResources TaskLifecycles TaskGroups NodesAvailable ClassFiltered ConstraintFiltered ClassExhausted DimensionExhausted
	ResourcesExhausted Scores Details FailedTGAllocs QueuedAllocations ClassEligibility Attributes Meta Drivers HostVolumes HostNetworks Links Summary`)

// object kinds that occur in several places count as one.
func kind(path string) string {
	switch path {
	case "Evaluation.FailedTGAllocs.*", "Allocation.Metrics":
		return "Metrics"
	case "Allocation.Resources", "Allocation.SharedResources", "Allocation.TaskResources.*", "Metrics.ResourcesExhausted.*", "Node.Resources":
		return "Resources"
	}
	switch path[strings.LastIndex(path, ".")+1:] {
	case "Networks[]":
		return "Network"
	case "DynamicPorts[]", "ReservedPorts[]", "Ports[]":
		return "Port"
	}
	return path
}

// fields remembers which fields have been seen with a value.
type fields map[string]bool

func (f fields) add(path string, v any) {
	path = kind(path)
	switch v := v.(type) {
	case map[string]any:
		f[path] = f[path] || len(v) > 0
		for key, value := range v {
			name := path[strings.LastIndex(path, ".")+1:]
			if strings.TrimSuffix(name, "[]") == "Job" && strings.Contains(path, ".") {
				return // what the user wrote
			}
			if slices.Contains(named, name) {
				key = "*"
			}
			f.add(path+"."+key, value)
		}
	case []any:
		f[path] = f[path] || len(v) > 0
		for _, value := range v {
			f.add(path+"[]", value)
		}
	case string:
		f[path] = f[path] || v != "" && v != "0001-01-01T00:00:00Z"
	case float64:
		f[path] = f[path] || v != 0
	case bool:
		f[path] = f[path] || v
	default:
		f[path] = f[path] || v != nil
	}
}

// history is an agent with what became of some jobs on it.
type history struct {
	t    *testing.T
	seen fields
}

func (h *history) get(target string, out any) {
	h.t.Helper()
	status, body := ask(h.t, "GET", target, "")
	if status != 200 {
		h.t.Fatalf("%s: %d %s", target, status, body)
	}
	if err := json.Unmarshal([]byte(body), out); err != nil {
		h.t.Fatal(err)
	}
}

func (h *history) put(target string, body any) {
	h.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		h.t.Fatal(err)
	}
	if status, text := ask(h.t, "PUT", target, string(b)); status != 200 {
		h.t.Fatalf("%s: %d %s", target, status, text)
	}
}

// note takes over what there is now.
func (h *history) note() {
	h.t.Helper()
	for name, target := range map[string]string{"Evaluation": "/v1/evaluations", "Deployment": "/v1/deployments", "Allocation": "/v1/allocations?resources=true", "JobStub": "/v1/jobs"} {
		var list []any
		h.get(target, &list)
		for _, v := range list {
			h.seen.add(name, v)
			if name == "Allocation" {
				var full any
				h.get("/v1/allocation/"+v.(map[string]any)["ID"].(string), &full)
				h.seen.add("Allocation", full)
			}
		}
	}
}

type object = map[string]any

func (h *history) register(id string, priority int, groups []object, more object) {
	h.t.Helper()
	job := object{"ID": id, "Type": "service", "Priority": priority, "Datacenters": []string{"*"}, "TaskGroups": groups}
	maps.Copy(job, more)
	h.put("/v1/jobs", object{"Job": job})
}

func group(name string, more object, tasks ...object) object {
	g := object{"Name": name, "Tasks": tasks, "RestartPolicy": object{"Attempts": 1, "Interval": 1800e9, "Delay": 1e8, "Mode": "fail"},
		"ReschedulePolicy": object{"Unlimited": true, "Delay": 5e9, "DelayFunction": "constant"}}
	maps.Copy(g, more)
	return g
}

func script(name, text string, memory int) object {
	return object{"Name": name, "Driver": "raw_exec", "Config": object{"command": "/bin/sh", "args": []string{"-c", text}}, "KillTimeout": 1e9,
		"Resources": object{"CPU": 20, "MemoryMB": memory}}
}

// alloc waits for an allocation of a job of which ok holds, and returns it.
func (h *history) alloc(job, what string, ok func(a object) bool) (found object) {
	h.t.Helper()
	until(h.t, what+" of "+job, func() bool {
		var list []object
		h.get("/v1/job/"+job+"/allocations", &list)
		for _, stub := range list {
			var a object
			h.get("/v1/allocation/"+stub["ID"].(string), &a)
			if ok(a) {
				found = a
				return true
			}
		}
		return false
	})
	h.note()
	return found
}

func running(a object) bool {
	if a["ClientStatus"] != "running" || a["DesiredStatus"] != "run" {
		return false
	}
	for _, s := range a["TaskStates"].(object) {
		if s.(object)["State"] != "running" {
			return false
		}
	}
	return true
}

func (h *history) deployed(version int) {
	h.t.Helper()
	until(h.t, "deployment of version "+strconv.Itoa(version), func() bool {
		var d object
		h.get("/v1/job/audit/deployment", &d)
		return d["JobVersion"] == float64(version) && d["Status"] == "successful"
	})
	h.note()
}

// Every field of allocations, jobs, evaluations, deployments and nodes is real
// data: over a rich history on a real agent each has a value at some time, or
// a reason why not.
func TestFields(t *testing.T) {
	devAgentWith(t, "client {\n  node_class = \"audit\"\n  meta {\n    rack = \"r1\"\n  }\n}\n")
	h := &history{t: t, seen: fields{}}
	h.put("/v1/operator/scheduler/configuration", object{"SchedulerAlgorithm": "binpack", "MemoryOversubscriptionEnabled": true, "PreemptionConfig": object{"ServiceSchedulerEnabled": true, "SystemSchedulerEnabled": true}})

	audit := func(meta string) {
		main := script("main", "trap 'exit 3' USR1; trap : HUP; echo up; while :; do sleep 0.05; done", 32)
		h.register("audit", 50, []object{group("g", object{
			"Networks": []object{{"DynamicPorts": []object{{"Label": "http", "To": 8080}}, "ReservedPorts": []object{{"Label": "fixed", "Value": 21998, "IgnoreCollision": true}}}}, "EphemeralDisk": object{"SizeMB": 150},
			"Update": object{"MaxParallel": 1, "Canary": 1, "AutoRevert": true, "MinHealthyTime": 1e7, "HealthyDeadline": 60e9, "ProgressDeadline": 120e9, "HealthCheck": "task_states"},
		}, main)}, object{"Meta": object{"version": meta},
			"Affinities": []object{{"LTarget": "${meta.rack}", "RTarget": "r1", "Operand": "=", "Weight": 50}},
			"Spreads":    []object{{"Attribute": "${node.datacenter}", "Weight": 50}}})
	}
	audit("0")
	first := h.alloc("audit", "running allocation", running)
	id := first["ID"].(string)
	h.deployed(0)
	h.put("/v1/client/allocation/"+id+"/signal", object{"Signal": "SIGHUP", "Task": "main"})
	h.put("/v1/client/allocation/"+id+"/restart", object{"Task": "main"})
	restarts := func(n float64) func(a object) bool {
		return func(a object) bool {
			return a["ID"] == id && running(a) && a["TaskStates"].(object)["main"].(object)["Restarts"].(float64) >= n
		}
	}
	h.alloc("audit", "restarted task", restarts(1))
	h.put("/v1/client/allocation/"+id+"/signal", object{"Signal": "SIGUSR1", "Task": "main"})
	h.alloc("audit", "task that was restarted by its policy", restarts(2))
	h.put("/v1/client/allocation/"+id+"/signal", object{"Signal": "SIGUSR1", "Task": "main"})
	h.alloc("audit", "failed allocation with a follow-up", func(a object) bool { return a["ClientStatus"] == "failed" && a["FollowupEvalID"] != "" })
	second := h.alloc("audit", "replacement", func(a object) bool { return running(a) && a["PreviousAllocation"] == id })
	id = second["ID"].(string)
	h.put("/v1/client/allocation/"+id+"/signal", object{"Signal": "SIGUSR1", "Task": "main"})
	h.alloc("audit", "replacement that was restarted by its policy", restarts(1))
	h.put("/v1/client/allocation/"+id+"/signal", object{"Signal": "SIGUSR1", "Task": "main"})
	third := h.alloc("audit", "second replacement", func(a object) bool { return running(a) && a["PreviousAllocation"] == id })

	audit("1")
	h.alloc("audit", "healthy canary", func(a object) bool {
		s, _ := a["DeploymentStatus"].(object)
		return running(a) && s["Canary"] == true && s["Healthy"] == true
	})
	var d object
	h.get("/v1/job/audit/deployment", &d)
	h.put("/v1/deployment/promote/"+d["ID"].(string), object{"All": true})
	h.deployed(1)
	h.alloc("audit", "stopped allocation", func(a object) bool { return a["ID"] == third["ID"] && a["ClientStatus"] == "complete" })
	last := h.alloc("audit", "running allocation of version 1", running)
	h.put("/v1/allocation/"+last["ID"].(string)+"/stop?no_shutdown_delay=true", object{})
	h.alloc("audit", "allocation that was stopped by hand", func(a object) bool { return a["ID"] == last["ID"] && a["ClientStatus"] == "complete" })

	bad := script("bad", "exit 0", 32)
	bad["Config"] = object{"command": "/no/such/program"}
	once := object{"RestartPolicy": object{"Attempts": 0, "Interval": 1800e9, "Delay": 1e8, "Mode": "fail"}, "ReschedulePolicy": object{"Attempts": 0, "Unlimited": false}}
	before := script("init", "true", 32)
	before["Lifecycle"] = object{"Hook": "prestart"}
	h.register("bad", 50, []object{group("g", once, script("good", "sleep 1000", 32), bad, before)}, nil)
	failed := h.alloc("bad", "failed allocation", func(a object) bool { return a["ClientStatus"] == "failed" })
	h.put("/v1/job/bad/evaluate", object{"JobID": "bad", "EvalOptions": object{"ForceReschedule": true}})
	h.alloc("bad", "allocation that was rescheduled by hand", func(a object) bool { return a["ID"] == failed["ID"] && a["NextAllocation"] != "" })
	cores := script("main", "sleep 1000", 32)
	cores["Resources"] = object{"Cores": 1, "MemoryMB": 32, "MemoryMaxMB": 64}
	h.register("limited", 50, []object{group("g", object{"MaxRunDuration": 3e8}, cores)}, object{"Type": "batch"})
	h.alloc("limited", "allocation that ran too long", func(a object) bool { return a["ClientStatus"] == "complete" || a["ClientStatus"] == "failed" })

	var nodes []object
	h.get("/v1/nodes", &nodes)
	node := nodes[0]["ID"].(string)
	var n object
	h.get("/v1/node/"+node, &n)
	memory := int(n["NodeResources"].(object)["Memory"].(object)["MemoryMB"].(float64))
	h.register("low", 10, []object{group("g", nil, script("main", "sleep 1000", memory*6/10))}, nil)
	h.alloc("low", "running allocation", running)
	h.register("high", 90, []object{group("g", nil, script("main", "sleep 1000", memory*7/10))}, object{"Update": object{"MaxParallel": 1, "Canary": 1, "AutoPromote": true, "MinHealthyTime": 1e7, "HealthyDeadline": 60e9, "ProgressDeadline": 120e9}})
	h.alloc("high", "running allocation that displaced another", running)
	h.alloc("low", "displaced allocation", func(a object) bool { return a["DesiredStatus"] == "evict" && a["ClientStatus"] == "complete" })
	h.register("blocked", 50, []object{
		group("nowhere", object{"Constraints": []object{{"LTarget": "${attr.kernel.name}", "RTarget": "plan9", "Operand": "="}, {"LTarget": "${attr.unique.hostname}", "RTarget": "nowhere", "Operand": "="}}}, script("main", "sleep 1", 32)),
		group("large", object{"Count": 2}, script("main", "sleep 1", memory*2)),
	}, nil)
	until(t, "blocked evaluation", func() bool {
		var evals []object
		h.get("/v1/job/blocked/evaluations", &evals)
		return slices.ContainsFunc(evals, func(e object) bool { return e["Status"] == "blocked" })
	})
	h.put("/v1/node/"+node+"/evaluate", object{})
	if status, body := ask(t, "DELETE", "/v1/job/bad", ""); status != 200 {
		t.Fatalf("stop: %d %s", status, body)
	}
	h.put("/v1/node/"+node+"/eligibility", object{"Eligibility": "ineligible"})
	h.note()
	h.get("/v1/node/"+node, &n)
	h.seen.add("Node", n)
	h.get("/v1/nodes?resources=true&os=true", &nodes)
	h.seen.add("Node", nodes[0])
	for _, target := range []string{"/v1/job/audit", "/v1/job/high"} {
		var j object
		h.get(target, &j)
		for _, name := range strings.Fields("Status Version Stable SubmitTime CreateIndex ModifyIndex JobModifyIndex") {
			h.seen.add("Job."+name, j[name])
		}
	}

	var empty, stale []string
	for _, path := range slices.Sorted(maps.Keys(h.seen)) {
		_, excused := fieldReasons[path]
		under := slices.ContainsFunc(environment, func(e string) bool {
			return path == e || strings.HasPrefix(path, e+".") || strings.HasPrefix(path, e+"[]")
		})
		switch {
		case !h.seen[path] && !excused && !under:
			empty = append(empty, path)
		case h.seen[path] && excused:
			stale = append(stale, path)
		}
	}
	for path := range fieldReasons {
		if _, ok := h.seen[path]; !ok {
			stale = append(stale, path+" (unknown)")
		}
	}
	if len(empty) > 0 {
		t.Errorf("always empty, and no reason is given:\n%s", strings.Join(empty, "\n"))
	}
	if len(stale) > 0 {
		t.Errorf("not always empty, and a reason for it is given:\n%s", strings.Join(stale, "\n"))
	}
	if len(h.seen) < 350 {
		t.Errorf("only %d fields have been looked at", len(h.seen))
	}
}
