package api

import (
	"strings"
	"testing"
	"time"
)

func TestValidateNamesPlaceValueAndRemedy(t *testing.T) {
	for _, tt := range []struct {
		change func(*Job)
		want   string
	}{
		{func(j *Job) { j.ID = "" }, "ID: is missing"},
		{func(j *Job) { j.ID = "a b" }, `ID: "a b" holds a space`},
		{func(j *Job) { j.ID = "a\x00b" }, "ID: \"a\\x00b\" holds a space or a byte that is no text"},
		{func(j *Job) { j.ID = strings.Repeat("x", 2000) }, "is 2000 bytes long: 1024 is the most"},
		{func(j *Job) { j.Name = "a\x00" }, "Name:"},
		{func(j *Job) { j.Namespace = "a/b" }, `Namespace: "a/b" is not a namespace name`},
		{func(j *Job) { j.Type = "cron" }, `Type: "cron" is not a job type`},
		{func(j *Job) { j.Priority = 101 }, "Priority: 101 is above the maximum of 100"},
		{func(j *Job) { j.Priority = -1 }, "Priority: -1 is below the minimum of 1"},
		{func(j *Job) { j.NodePool = "\x00" }, "NodePool:"},
		{func(j *Job) { j.Datacenters = []string{""} }, "Datacenters[0]: is empty"},
		{func(j *Job) { j.TaskGroups = nil }, "TaskGroups: is empty"},
		{func(j *Job) { j.TaskGroups = append(j.TaskGroups, j.TaskGroups[0].Copy()) }, `TaskGroups: has two groups named "cache"`},
		{func(j *Job) { group(j).Name = "" }, "Name: is missing"},
		{func(j *Job) { group(j).Count = ptr(-1) }, `group "cache" > Count: -1 is below the minimum of 0`},
		{func(j *Job) { group(j).Count = ptr(50001) }, "Count: 50001 is above the maximum of 50000"},
		{func(j *Job) { j.Type = "system"; group(j).Count = ptr(2) }, "Count: 2 in a system job"},
		{func(j *Job) { j.Type = "system"; j.Affinities = []*Affinity{{LTarget: "a", RTarget: "b"}} }, "Affinities: a system job"},
		{func(j *Job) { j.Type = "sysbatch"; j.Spreads = []*Spread{{Attribute: "a"}} }, "Spreads: a sysbatch job"},
		{func(j *Job) { group(j).Tasks = nil }, `group "cache" > Tasks: is empty`},
		{func(j *Job) { group(j).Tasks = append(group(j).Tasks, task(j).Copy()) }, `Tasks: has two tasks named "redis"`},
		{func(j *Job) { task(j).Name = "alloc" }, `task "alloc" > Name: "alloc" is taken`},
		{func(j *Job) { task(j).Name = "a/b" }, "path separator"},
		{func(j *Job) { task(j).Name = ".." }, `".." is taken`},
		{func(j *Job) { task(j).Driver = "" }, `task "redis" > Driver: is missing`},
		{func(j *Job) { task(j).KillSignal = "SIGFOO" }, `KillSignal: "SIGFOO" is not a signal`},
		{func(j *Job) { task(j).KillTimeout = ptr(Duration(-1)) }, "KillTimeout: -1ns is negative"},
		{func(j *Job) { task(j).Meta = map[string]string{"": "x"} }, "Meta: the key"},
		{func(j *Job) { task(j).Env = map[string]string{"A": "\x00"} }, "Env[A]: the value holds NUL"},
		{func(j *Job) { task(j).Resources = &Resources{MemoryMB: 5} },
			`group "cache" > task "redis" > Resources > MemoryMB: 5 is below the minimum of 10`},
		{func(j *Job) { task(j).Resources = &Resources{CPU: -1} }, "CPU: -1 is below the minimum of 1"},
		{func(j *Job) { task(j).Resources = &Resources{CPU: 5, Cores: 1} }, "exclude each other"},
		{func(j *Job) { task(j).Resources = &Resources{MemoryMB: 100, MemoryMaxMB: 50} }, "MemoryMaxMB: 50 is below the minimum of 100"},
		{func(j *Job) { task(j).Resources = &Resources{MemoryMB: 1 << 40} }, "is above the maximum"},
		{func(j *Job) { group(j).EphemeralDisk = &EphemeralDisk{SizeMB: ptr(5)} }, "EphemeralDisk > SizeMB: 5 is below the minimum of 10"},
		{func(j *Job) { task(j).LogConfig = &LogConfig{MaxFiles: ptr(30)} }, `task "redis" > LogConfig: 30 files of 10 MB don't fit`},
		{func(j *Job) { task(j).LogConfig = &LogConfig{MaxFiles: ptr(0)} }, "MaxFiles: 0 is below the minimum of 1"},
		{func(j *Job) { task(j).LogConfig = &LogConfig{Enabled: ptr(true), Disabled: ptr(true)} }, "Enabled: contradicts Disabled"},
		{func(j *Job) { task(j).Lifecycle = &TaskLifecycle{Hook: "start"} }, `Hook: "start" is unknown`},
		{func(j *Job) { task(j).Lifecycle = &TaskLifecycle{} }, "Hook: is missing"},
		{func(j *Job) { task(j).Lifecycle = &TaskLifecycle{Hook: "prestart"} }, "lifecycle tasks only"},
		{func(j *Job) { task(j).Lifecycle = &TaskLifecycle{Hook: "prestart"}; task(j).Leader = true }, "can't lead"},
		{func(j *Job) {
			task(j).Leader = true
			other := task(j).Copy()
			other.Name = "other"
			group(j).Tasks = append(group(j).Tasks, other)
		}, "has 2 tasks with Leader set"},
		{func(j *Job) { group(j).RestartPolicy = &RestartPolicy{Mode: "never"} }, `RestartPolicy > Mode: "never" is unknown`},
		{func(j *Job) { group(j).RestartPolicy = &RestartPolicy{Attempts: ptr(100), Interval: ptr(seconds(60))} }, "100 restarts with a delay of 15s take longer"},
		{func(j *Job) { group(j).ReschedulePolicy = &ReschedulePolicy{Delay: ptr(seconds(1))} }, "Delay: 1s is below the minimum of 5s"},
		{func(j *Job) { group(j).ReschedulePolicy = &ReschedulePolicy{Unlimited: ptr(false), Attempts: ptr(2)} }, "Interval: 0s is below the minimum of 15s"},
		{func(j *Job) { group(j).ReschedulePolicy = &ReschedulePolicy{DelayFunction: "linear"} }, `DelayFunction: "linear" is unknown`},
		{func(j *Job) { group(j).Update = &UpdateStrategy{MaxParallel: ptr(-1)} }, "MaxParallel: -1 is below"},
		{func(j *Job) { group(j).Update = &UpdateStrategy{Canary: ptr(2)} }, "Canary: 2 is more than the group's Count of 1"},
		{func(j *Job) { group(j).Update = &UpdateStrategy{AutoPromote: ptr(true)} }, "AutoPromote: is set without canaries"},
		{func(j *Job) { group(j).Update = &UpdateStrategy{MinHealthyTime: ptr(seconds(600))} }, "HealthyDeadline: 5m0s must be longer than MinHealthyTime, which is 10m0s"},
		{func(j *Job) { group(j).Update = &UpdateStrategy{ProgressDeadline: ptr(seconds(10))} }, "ProgressDeadline: 10s must be longer than HealthyDeadline"},
		{func(j *Job) { j.Constraints = []*Constraint{{LTarget: "a", RTarget: "b", Operand: "~"}} }, `Constraints[0] > Operand: "~" is unknown`},
		{func(j *Job) { j.Constraints = []*Constraint{{RTarget: "b"}} }, "LTarget: is missing"},
		{func(j *Job) { j.Constraints = []*Constraint{{LTarget: "a", RTarget: "[", Operand: "regexp"}} }, "is not a regular expression: missing closing ]"},
		{func(j *Job) { j.Constraints = []*Constraint{{LTarget: "a", RTarget: ">> 1", Operand: "version"}} }, "is not a version constraint"},
		{func(j *Job) {
			j.Constraints = []*Constraint{{LTarget: "a", RTarget: "x", Operand: "distinct_property"}}
		}, "is not a number of allocations"},
		{func(j *Job) { j.Affinities = []*Affinity{{LTarget: "a", RTarget: "b", Weight: ptr(int8(0))}} }, "Weight: 0 has no effect"},
		{func(j *Job) { j.Affinities = []*Affinity{{LTarget: "a", Operand: "distinct_hosts"}} }, `Operand: "distinct_hosts" is unknown here`},
		{func(j *Job) { j.Spreads = []*Spread{{}} }, "Attribute: is missing"},
		{func(j *Job) {
			j.Spreads = []*Spread{{Attribute: "a", SpreadTarget: []*SpreadTarget{{Value: "x", Percent: 60}, {Value: "y", Percent: 60}}}}
		}, "add up to 120"},
		{func(j *Job) { ports(j, []Port{{Label: "a", Value: 80}, {Label: "b", Value: 80}}, nil) }, `port "b" > Value: 80 is taken by another static port`},
		{func(j *Job) { ports(j, []Port{{Label: "a", Value: 80}}, []Port{{Label: "a"}}) }, `Label: "a" is used twice`},
		{func(j *Job) { ports(j, []Port{{Label: "a"}}, nil) }, "Value: 0 is not a port"},
		{func(j *Job) { ports(j, nil, []Port{{Label: "a", To: 70000}}) }, "To: 70000 is above the maximum of 65535"},
		{func(j *Job) { ports(j, nil, []Port{{Label: "a b"}}) }, `Label: "a b" is not a port name`},
		{func(j *Job) {
			ports(j, []Port{{Label: "a", Value: 80}}, nil)
			task(j).Resources = &Resources{Networks: []*NetworkResource{{ReservedPorts: []Port{{Label: "x", Value: 80}}}}}
		}, `task "redis" > Resources > network > port "x" > Value: 80 is taken`},
		{func(j *Job) {
			group(j).Networks = []*NetworkResource{{DNS: &DNSConfig{Servers: []string{"1.1.1.1"}}}}
			task(j).Driver = "raw_exec"
		}, `network > DNS: task "redis" runs under raw_exec`},
		{func(j *Job) { task(j).Services = []*Service{{PortLabel: "web"}} }, `PortLabel: "web" is not a port of the group`},
		{func(j *Job) { task(j).Services = []*Service{{Provider: "etcd"}} }, `Provider: "etcd" is unknown`},
		{func(j *Job) {
			task(j).Services = []*Service{{Name: "s", Checks: []*ServiceCheck{{Type: "http", Interval: seconds(10), Timeout: seconds(1)}}}}
		}, "Path: is missing"},
		{func(j *Job) { task(j).VolumeMounts = []*VolumeMount{{Volume: "data", Destination: "/x"}} }, `volume_mount[0] > Volume: "data" is not a volume of the group`},
		{func(j *Job) { group(j).Volumes = map[string]*VolumeRequest{"data": {Type: "host"}} }, `volume "data" > Source: is missing`},
		{func(j *Job) { group(j).Scaling = &ScalingPolicy{Min: ptr(int64(2)), Max: ptr(int64(1))} }, "Scaling > Max: 1 is below Min"},
		{func(j *Job) { group(j).Scaling = &ScalingPolicy{Min: ptr(int64(2)), Max: ptr(int64(9))} }, "Count of 1 is outside 2 to 9"},
		{func(j *Job) {
			group(j).MaxClientDisconnect = ptr(seconds(5))
			group(j).Disconnect = &DisconnectStrategy{LostAfter: ptr(seconds(6))}
		}, "MaxClientDisconnect: contradicts"},
		{func(j *Job) { j.Type = "service"; j.Periodic = &PeriodicConfig{Spec: "@daily"} }, "can't be periodic"},
		{func(j *Job) { j.UI = &JobUI{Links: []*JobUILink{{Label: "x"}}} }, "UI > Links[0]: needs both"},
	} {
		_, err := canonicalJob(tt.change).Validate()
		if ErrorCode(err) != CodeInvalid || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got  %v\nwant %s", err, tt.want)
		}
	}
}

func TestValidateListsEverythingUpToABound(t *testing.T) {
	_, err := canonicalJob(func(j *Job) {
		j.Priority = 1000
		task(j).Resources = &Resources{MemoryMB: 1}
	}).Validate()
	want := `2 problems with the job:
  * Priority: 1000 is above the maximum of 100
  * group "cache" > task "redis" > Resources > MemoryMB: 1 is below the minimum of 10`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	_, err = canonicalJob(func(j *Job) {
		for range 500 {
			j.TaskGroups = append(j.TaskGroups, &TaskGroup{Name: strings.Repeat("long", 1000)})
		}
	}).Validate()
	if n := len(err.Error()); n > 20_000 {
		t.Errorf("an error of %d bytes", n)
	}
	if !strings.HasSuffix(err.Error(), "more") {
		t.Errorf("the rest is not counted: %s", err)
	}
	if _, err := (*Job)(nil).Validate(); ErrorCode(err) != CodeInvalid {
		t.Errorf("nil job: %v", err)
	}
}

func TestValidateAccepts(t *testing.T) {
	for name, change := range map[string]func(*Job){
		"slashes":        func(j *Job) { j.ID = "team/app/1" },
		"unicode":        func(j *Job) { j.ID = "größe" },
		"no parallelism": func(j *Job) { j.Update = &UpdateStrategy{MaxParallel: ptr(0)} },
		"no deadline":    func(j *Job) { j.Update = &UpdateStrategy{ProgressDeadline: ptr(Duration(0))} },
		"count zero":     func(j *Job) { group(j).Count = ptr(0) },
		"operands": func(j *Job) {
			for _, op := range []string{"", "==", "is", "not", "<", ">="} {
				j.Constraints = append(j.Constraints, &Constraint{LTarget: "${attr.cpu.arch}", RTarget: "amd64", Operand: op})
			}
		},
		"short constraints": func(j *Job) {
			j.Constraints = []*Constraint{
				{Operand: "distinct_hosts", RTarget: "true"}, {Operand: "distinct_property", LTarget: "${meta.rack}", RTarget: "2"},
				{Operand: "version", LTarget: "${attr.kernel.version}", RTarget: ">= 1.2, < 2.0-beta1"},
				{Operand: "semver", LTarget: "${attr.x}", RTarget: "~> 1.2.3"}, {Operand: "is_set", LTarget: "${meta.x}"},
				{Operand: "regexp", LTarget: "${attr.x}", RTarget: "${meta.pattern}"},
			}
		},
		"same port twice on purpose": func(j *Job) {
			ports(j, []Port{{Label: "a", Value: 80, IgnoreCollision: true}, {Label: "b", Value: 80, IgnoreCollision: true}}, nil)
		},
		"same port on two addresses": func(j *Job) {
			ports(j, []Port{{Label: "a", Value: 80, HostNetwork: "public"}, {Label: "b", Value: 80}}, nil)
		},
		"resolvers": func(j *Job) {
			group(j).Networks = []*NetworkResource{{DNS: &DNSConfig{Servers: []string{"1.1.1.1"}}}}
		},
		"stagger of a system job": func(j *Job) { j.Type = "system"; j.Update = &UpdateStrategy{Stagger: ptr(seconds(5))} },
		"signals":                 func(j *Job) { task(j).KillSignal = "sigint" },
		"prestart beside":         func(j *Job) { withHook(j, "prestart", true) },
		"system with update":      func(j *Job) { j.Type = "system" },
		"cores":                   func(j *Job) { task(j).Resources = &Resources{Cores: 2} },
	} {
		j := canonicalJob(change)
		if warnings, err := j.Validate(); err != nil || len(warnings) > 0 {
			t.Errorf("%s: warnings %q, error %v", name, warnings, err)
		}
	}
}

func TestValidateWarnsOfPoliciesWithoutEffect(t *testing.T) {
	for name, change := range map[string]func(*Job){
		"has no effect in a batch job":               func(j *Job) { j.Type = "batch"; j.Update = &UpdateStrategy{} },
		"Stagger: 5s has no effect in a service job": func(j *Job) { group(j).Update = &UpdateStrategy{Stagger: ptr(seconds(5))} },
		"has no effect because Unlimited is true":    func(j *Job) { group(j).ReschedulePolicy = &ReschedulePolicy{Attempts: ptr(3)} },
		"system job, which is never rescheduled":     func(j *Job) { j.Type = "system"; group(j).ReschedulePolicy = &ReschedulePolicy{Attempts: ptr(3)} },
		"Migrate: has no effect in a sysbatch job":   func(j *Job) { j.Type = "sysbatch"; group(j).Migrate = &MigrateStrategy{} },
	} {
		warnings, err := canonicalJob(change).Validate()
		if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], name) {
			t.Errorf("want %s: got %q, %v", name, warnings, err)
		}
	}
}

func group(j *Job) *TaskGroup { return j.TaskGroups[0] }

func seconds(n int) Duration { return Duration(n) * Duration(time.Second) }

func ports(j *Job, reserved, dynamic []Port) {
	group(j).Networks = []*NetworkResource{{ReservedPorts: reserved, DynamicPorts: dynamic}}
}

func withHook(j *Job, hook string, sidecar bool) {
	group(j).Tasks = append(group(j).Tasks, &Task{
		Name: "helper", Driver: "docker", Lifecycle: &TaskLifecycle{Hook: hook, Sidecar: sidecar},
		LogConfig: &LogConfig{MaxFiles: ptr(1)},
	})
}
