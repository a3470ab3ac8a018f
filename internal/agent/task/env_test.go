package task

import (
	"path/filepath"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/agent/allocdir"
)

func source(t *testing.T) envSource {
	t.Helper()
	tree, err := allocdir.NewTree(filepath.Join(t.TempDir(), "a"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tree.Close() })
	dir, err := tree.Dir("a8198d79-cfdb-6593-a999-1e9adabcba2e")
	if err != nil {
		t.Fatal(err)
	}
	spec := &api.Task{
		Name: "web", Meta: map[string]string{"tier": "task"},
		Env: map[string]string{"URL": "http://${NOMAD_ADDR_http}/${meta.rack}", "MY-KEY": "${attr.cpu.arch}", "PATH": "/own"},
	}
	group := &api.TaskGroup{Name: "g", Meta: map[string]string{"tier": "group", "zone": "z"}, Tasks: []*api.Task{spec}, Networks: []*api.NetworkResource{{Mode: "bridge"}}}
	return envSource{
		alloc: &api.Allocation{
			ID: "a8198d79-cfdb-6593-a999-1e9adabcba2e", Name: "job.g[3]", Namespace: "ns", TaskGroup: "g",
			Job: &api.Job{ID: "job", Name: "Job", ParentID: "parent", TaskGroups: []*api.TaskGroup{group}, Meta: map[string]string{"tier": "job", "the-owner": "me"}},
			AllocatedResources: &api.AllocatedResources{
				Tasks: map[string]*api.AllocatedTaskResources{
					"web": {Cpu: api.AllocatedCPU{CpuShares: 500, ReservedCores: []uint16{0, 1, 2, 7}}, Memory: api.AllocatedMemory{MemoryMB: 64, MemoryMaxMB: 128}},
					"db":  {Networks: []*api.NetworkResource{{IP: "10.0.0.1", DynamicPorts: []api.Port{{Label: "sql", Value: 25000}}}}},
				},
				Shared: api.AllocatedSharedResources{Ports: []api.PortMapping{{Label: "http", Value: 20001, To: 80, HostIP: "10.0.0.1"}, {Label: "my-admin", Value: 20002, HostIP: "10.0.0.1"}}},
			},
		},
		task:   spec,
		node:   &api.Node{ID: "n1", Name: "host", Datacenter: "dc1", Attributes: map[string]string{"cpu.arch": "amd64"}, Meta: map[string]string{"rack": "r1"}},
		region: "global", dir: dir, host: map[string]string{"PATH": "/bin", "LANG": "C"},
	}
}

// A task listens on the port inside, also when a driver's port_map names it.
func TestEnvOfPortMap(t *testing.T) {
	for name, portMap := range map[string]any{
		"block":  map[string]any{"sql": 5432.0},
		"blocks": []any{map[string]any{"other": "1"}, map[string]any{"sql": "5432"}},
	} {
		s := source(t)
		s.remaps = true
		s.task.Name = "db"
		s.task.Config = map[string]any{"port_map": portMap}
		env := newScope(s).env
		for k, want := range map[string]string{"NOMAD_PORT_sql": "5432", "NOMAD_HOST_PORT_sql": "25000", "NOMAD_ADDR_sql": "10.0.0.1:25000", "NOMAD_PORT_db_sql": "5432"} {
			if env[k] != want {
				t.Errorf("%s: %s = %q, want %q", name, k, env[k], want)
			}
		}
	}
}

func TestEnv(t *testing.T) {
	s := source(t)
	env := newScope(s).env
	for k, want := range map[string]string{
		"NOMAD_ALLOC_ID": s.alloc.ID, "NOMAD_SHORT_ALLOC_ID": "a8198d79", "NOMAD_ALLOC_NAME": "job.g[3]", "NOMAD_ALLOC_INDEX": "3",
		"NOMAD_TASK_NAME": "web", "NOMAD_GROUP_NAME": "g", "NOMAD_JOB_ID": "job", "NOMAD_JOB_NAME": "Job", "NOMAD_JOB_PARENT_ID": "parent",
		"NOMAD_DC": "dc1", "NOMAD_REGION": "global", "NOMAD_NAMESPACE": "ns", "NOMAD_ALLOC_DIR": s.dir.Shared(),
		"NOMAD_TASK_DIR": s.dir.Local("web"), "NOMAD_SECRETS_DIR": s.dir.Secrets("web"),
		"NOMAD_CPU_LIMIT": "500", "NOMAD_CPU_CORES": "0-2,7", "NOMAD_MEMORY_LIMIT": "64", "NOMAD_MEMORY_MAX_LIMIT": "128",
		"NOMAD_PORT_http": "80", "NOMAD_HOST_PORT_http": "20001", "NOMAD_IP_http": "10.0.0.1", "NOMAD_ADDR_http": "10.0.0.1:20001",
		"NOMAD_HOST_ADDR_http": "10.0.0.1:20001", "NOMAD_ALLOC_PORT_http": "80", "NOMAD_PORT_my_admin": "20002",
		"NOMAD_PORT_db_sql": "25000", "NOMAD_ADDR_db_sql": "10.0.0.1:25000",
		"NOMAD_META_tier": "task", "NOMAD_META_TIER": "task", "NOMAD_META_zone": "z", "NOMAD_META_the_owner": "me",
		"URL": "http://10.0.0.1:20001/r1", "MY_KEY": "amd64", "PATH": "/own", "LANG": "C",
	} {
		if got, ok := env[k]; !ok || got != want {
			t.Errorf("%s = %q, want %q", k, got, want)
		}
	}
	if _, ok := env["NOMAD_PORT_sql"]; ok {
		t.Error("the port of another task has no prefix")
	}
}

func TestExpand(t *testing.T) {
	sc := newScope(source(t))
	for in, want := range map[string]string{
		"plain": "plain", "${node.datacenter}": "dc1", "${env.LANG}": "C", `${env["LANG"]}`: "C", "a${LANG}b${LANG}c": "aCbCc",
		"${unknown}": "${unknown}", "${": "${", "${LANG": "${LANG", "${${LANG}}": "${C}", "$LANG": "$LANG", "${X:-${LANG}}": "${X:-C}",
	} {
		if got := sc.expand(in); got != want {
			t.Errorf("expand(%q) = %q, want %q", in, got, want)
		}
	}
}
