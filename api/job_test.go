package api

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// minimalJob is the least a user has to write.
func minimalJob() *Job {
	return &Job{
		ID: "example",
		TaskGroups: []*TaskGroup{{
			Name:  "cache",
			Tasks: []*Task{{Name: "redis", Driver: "docker", Config: map[string]any{"image": "redis:7"}}},
		}},
	}
}

func canonicalJob(change func(*Job)) *Job {
	j := minimalJob()
	if change != nil {
		change(j)
	}
	j.Canonicalize()
	return j
}

// drawJob fills every field of a job by chance, null entries of lists
// included.
func drawJob(t *rapid.T) *Job {
	j := new(Job)
	d := drawing{rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))}
	for i := range reflect.ValueOf(j).Elem().NumField() {
		d.fill(reflect.ValueOf(j).Elem().Field(i), 0)
	}
	return j
}

type drawing struct{ *rand.Rand }

func pick[T any](d drawing, from ...T) T { return from[d.IntN(len(from))] }

func (d drawing) fill(v reflect.Value, depth int) {
	if d.IntN(20) < 4+depth {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.fill(v.Elem(), depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			d.fill(v.Field(i), depth+1)
		}
	case reflect.Slice:
		n := d.IntN(3)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			d.fill(v.Index(i), depth)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		e := reflect.New(v.Type().Elem()).Elem()
		if e.Kind() == reflect.Interface {
			e.Set(reflect.ValueOf([]any{map[string]any{"a": 1.5}, "b"}))
		} else {
			d.fill(e, depth+1)
		}
		v.SetMapIndex(reflect.ValueOf(pick(d, "a", "b", "cache")), e)
	case reflect.String:
		v.SetString(pick(d, "a", "b", "service", "batch", "system", "==", "fail", "${meta.x}", "7"))
	case reflect.Bool:
		v.SetBool(d.IntN(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int64:
		v.SetInt(pick[int64](d, -1, 0, 1, 2, 50, 100))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(d.Uint64N(4))
	default:
		panic("no way to draw a " + v.Type().String())
	}
}

func TestCanonicalizeTwiceChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j := drawJob(t)
		j.Canonicalize()
		again := j.Copy()
		again.Canonicalize()
		if d := cmp.Diff(j, again); d != "" {
			t.Fatal(d)
		}
		for _, g := range j.TaskGroups {
			blocks := []any{g.RestartPolicy, g.ReschedulePolicy}
			if j.Type == JobTypeService {
				blocks = append(blocks, g.Update, g.Migrate)
			}
			for _, task := range g.Tasks {
				blocks = append(blocks, task.RestartPolicy)
			}
			for _, b := range blocks {
				v := reflect.ValueOf(b).Elem()
				for i := range v.NumField() {
					if f := v.Field(i); f.Kind() == reflect.Pointer && f.IsNil() {
						t.Fatalf("%T.%s is nil", b, v.Type().Field(i).Name)
					}
				}
			}
		}
	})
}

func TestAnyJobIsCheckedWithoutPanic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j := drawJob(t)
		if rapid.Bool().Draw(t, "canonical") {
			j.Canonicalize()
		}
		_, err := j.Validate()
		if err != nil && ErrorCode(err) != CodeInvalid {
			t.Fatalf("code %s", ErrorCode(err))
		}
	})
}

func TestCopySharesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j := drawJob(t)
		before, _ := json.Marshal(j)
		c := j.Copy()
		if d := cmp.Diff(j, c); d != "" {
			t.Fatal(d)
		}
		scribble(reflect.ValueOf(c))
		after, _ := json.Marshal(j)
		if string(before) != string(after) {
			t.Fatalf("changing the copy changed the original:\n%s", cmp.Diff(string(before), string(after)))
		}
	})
}

// scribble changes everything that v reaches.
func scribble(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			scribble(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			scribble(v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			scribble(v.Index(i))
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			scribble(v.MapIndex(k))
			v.SetMapIndex(k, reflect.Value{})
		}
	case reflect.Interface:
		if !v.IsNil() {
			scribble(v.Elem())
		}
	case reflect.String:
		if v.CanSet() {
			v.SetString("scribbled")
		}
	case reflect.Int, reflect.Int8, reflect.Int64:
		if v.CanSet() {
			v.SetInt(77)
		}
	}
}

func TestDefaults(t *testing.T) {
	j := canonicalJob(nil)
	g := j.TaskGroups[0]
	task := g.Tasks[0]
	got := map[string]any{
		"region": j.Region, "namespace": j.Namespace, "name": j.Name, "type": j.Type, "priority": j.Priority,
		"datacenters": j.Datacenters[0], "pool": j.NodePool, "count": *g.Count, "disk": *g.EphemeralDisk.SizeMB,
		"cpu": task.Resources.CPU, "memory": task.Resources.MemoryMB, "logs": *task.LogConfig.MaxFiles * *task.LogConfig.MaxFileSizeMB,
		"kill timeout": task.KillTimeout.D(), "attempts": *task.RestartPolicy.Attempts, "mode": task.RestartPolicy.Mode,
		"unlimited": *g.ReschedulePolicy.Unlimited, "parallel": *g.Update.MaxParallel, "progress": g.Update.ProgressDeadline.D(),
	}
	want := map[string]any{
		"region": "global", "namespace": "default", "name": "example", "type": "service", "priority": 50,
		"datacenters": "*", "pool": "default", "count": 1, "disk": 300, "cpu": 100, "memory": 300, "logs": 100,
		"kill timeout": 5 * time.Second, "attempts": 2, "mode": "fail", "unlimited": true, "parallel": 1, "progress": 10 * time.Minute,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if warnings, err := j.Validate(); err != nil || len(warnings) > 0 {
		t.Errorf("warnings %q, error %v", warnings, err)
	}
}

func TestGroupInheritsFieldByField(t *testing.T) {
	j := canonicalJob(func(j *Job) {
		j.Update = &UpdateStrategy{MaxParallel: ptr(3), Canary: ptr(1)}
		j.Reschedule = &ReschedulePolicy{Delay: ptr(Duration(time.Minute)), Unlimited: ptr(false), Attempts: ptr(4), Interval: ptr(Duration(time.Hour))}
		j.TaskGroups[0].Update = &UpdateStrategy{Canary: ptr(0)}
		j.TaskGroups[0].ReschedulePolicy = &ReschedulePolicy{Attempts: ptr(9)}
		j.TaskGroups[0].RestartPolicy = &RestartPolicy{Attempts: ptr(7)}
		j.TaskGroups[0].Tasks[0].RestartPolicy = &RestartPolicy{Mode: "delay"}
	})
	g := j.TaskGroups[0]
	if *g.Update.MaxParallel != 3 || *g.Update.Canary != 0 || g.Update.HealthyDeadline.D() != 5*time.Minute {
		t.Errorf("update: %+v", g.Update)
	}
	if p := g.ReschedulePolicy; *p.Attempts != 9 || p.Delay.D() != time.Minute || *p.Unlimited || p.DelayFunction != "exponential" {
		t.Errorf("reschedule: %+v", p)
	}
	if p := g.Tasks[0].RestartPolicy; *p.Attempts != 7 || p.Mode != "delay" {
		t.Errorf("restart: %+v", p)
	}
	*g.Update.MaxParallel = 8
	if *j.Update.MaxParallel != 3 {
		t.Error("group and job share a value")
	}
}

func TestTypesHaveTheirPolicies(t *testing.T) {
	for _, tt := range []struct {
		kind                   string
		attempts, reschedules  int
		unlimited, update, mig bool
	}{
		{"service", 2, 0, true, true, true},
		{"batch", 3, 1, false, false, false},
		{"system", 2, 0, false, true, false},
		{"sysbatch", 3, 0, false, false, false},
	} {
		g := canonicalJob(func(j *Job) { j.Type = tt.kind }).TaskGroups[0]
		if *g.RestartPolicy.Attempts != tt.attempts || *g.ReschedulePolicy.Attempts != tt.reschedules ||
			*g.ReschedulePolicy.Unlimited != tt.unlimited || (g.Update != nil) != tt.update || (g.Migrate != nil) != tt.mig {
			b, _ := json.Marshal(g)
			t.Errorf("%s: %s", tt.kind, b)
		}
	}
}

// sampleJob is the job of the sample answers in the API's documentation.
func sampleJob(t *testing.T) *Job {
	t.Helper()
	b, err := os.ReadFile("testdata/sample-job.json")
	if err != nil {
		t.Fatal(err)
	}
	j := new(Job)
	if err := json.Unmarshal(b, j); err != nil {
		t.Fatal(err)
	}
	return j
}

func TestSampleJobRunsWithWarnings(t *testing.T) {
	j := sampleJob(t)
	j.Canonicalize()
	warnings, err := j.Validate()
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(warnings, "\n")
	for _, want := range []string{"Provider", "MBits", "Stagger"} {
		if !strings.Contains(all, want) {
			t.Errorf("no warning of %s in:\n%s", want, all)
		}
	}
	g := j.TaskGroups[0]
	if g.Update.Rolling() {
		t.Error("MaxParallel 0 must not roll")
	}
	if p := g.Tasks[0].Resources.Networks[0].DynamicPorts[0]; p.Label != "db" || p.HostNetwork != "default" {
		t.Errorf("port: %+v", p)
	}
}
