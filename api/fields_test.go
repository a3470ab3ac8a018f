package api

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

const fieldDocs = "../docs/jobspec-fields.md"

// jobPaths returns the path of every field reachable from Job, in the order
// of the declarations.
func jobPaths() []string {
	var paths []string
	var walk func(t reflect.Type, path string)
	walk = func(t reflect.Type, path string) {
		if t = elemType(t); t.Kind() != reflect.Struct {
			return
		}
		for f := range fieldsOf(t) {
			paths = append(paths, path+"."+f.Name)
			walk(f.Type, path+"."+f.Name)
		}
	}
	walk(reflect.TypeFor[Job](), "Job")
	return paths
}

func TestEveryFieldHasARow(t *testing.T) {
	support := FieldSupport()
	for _, p := range jobPaths() {
		s, ok := support[p]
		switch {
		case !ok:
			t.Errorf("%s has no row: add it to fieldRules", p)
		case s.Level != SupportWorks && s.Level != SupportWarns && s.Level != SupportRefused:
			t.Errorf("%s has the level %q", p, s.Level)
		}
	}
	if got, want := len(support), len(jobPaths()); got != want {
		t.Errorf("%d rows for %d fields", got, want)
	}
}

func TestEveryRuleHasAField(t *testing.T) {
	fields := make(map[string]bool)
	var walk func(t reflect.Type)
	walk = func(t reflect.Type) {
		if t = elemType(t); t.Kind() != reflect.Struct {
			return
		}
		for f := range fieldsOf(t) {
			fields[t.Name()+"."+f.Name] = true
			walk(f.Type)
		}
	}
	walk(reflect.TypeFor[Job]())
	seen := make(map[string]bool)
	for _, r := range fieldRules() {
		for _, f := range strings.Fields(r.fields) {
			name := r.noun + "." + f
			if !fields[name] {
				t.Errorf("rule for %s, which is no field", name)
			}
			if seen[name] {
				t.Errorf("two rules for %s", name)
			}
			seen[name] = true
		}
	}
}

// renderFieldDocs writes the page that users read.
func renderFieldDocs() string {
	var b strings.Builder
	b.WriteString(`# Fields of a job

What this release does with every field of a job, by its name in the JSON API. Job files write most of them in lower
case with underscores (` + "`KillTimeout`, `kill_timeout`" + `), and blocks in the singular (` + "`TaskGroups`, `group`" + `).

- **works**: the field has its effect.
- **warns**: the field is kept and shown, but has no effect; registering, planning and validating the job say so.
- **refused**: a job that sets the field is refused, because without the effect it would run wrongly or unsafely.

The values after "except" work although others don't. This page is written from the table that the server uses:
` + "`go test ./api -run FieldDocs -update`" + `.
`)
	support := FieldSupport()
	count := make(map[SupportLevel]int)
	for _, s := range support {
		count[s.Level]++
	}
	fmt.Fprintf(&b, "%d fields work, %d warn, %d are refused.\n", count[SupportWorks], count[SupportWarns], count[SupportRefused])
	section := ""
	for _, p := range jobPaths() {
		if s := sectionOf(p); s != section {
			section = s
			fmt.Fprintf(&b, "\n## %s\n\n| field | support | note |\n|---|---|---|\n", section)
		}
		s := support[p]
		level := string(s.Level)
		if len(s.Values) > 0 {
			level += " except `" + strings.Join(s.Values, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", p, level, s.Note)
	}
	return b.String()
}

// sectionOf names the part of the page where a field belongs.
func sectionOf(path string) string {
	switch {
	case strings.HasPrefix(path, "Job.TaskGroups.Tasks.Services"):
		return "Services of a task"
	case strings.HasPrefix(path, "Job.TaskGroups.Services"):
		return "Services of a group"
	case strings.HasPrefix(path, "Job.TaskGroups.Tasks."):
		return "Task"
	case strings.HasPrefix(path, "Job.TaskGroups."):
		return "Group"
	}
	return "Job"
}

func TestFieldDocs(t *testing.T) {
	want := renderFieldDocs()
	if *update {
		if err := os.WriteFile(fieldDocs, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(fieldDocs)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s differs from the table: go test ./api -run FieldDocs -update", fieldDocs)
	}
}

func TestUnsupported(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Job)
		warn   string // part of the only warning
		refuse string // part of the error
	}{
		{"nothing", nil, "", ""},
		{"all at once", func(j *Job) { j.AllAtOnce = true }, "AllAtOnce: has no effect in this release", ""},
		{"periodic", func(j *Job) { j.Periodic = &PeriodicConfig{Spec: "@daily"} }, "", ""},
		{"parameterized", func(j *Job) { j.ParameterizedJob = &ParameterizedConfig{} }, "", ""},
		{"template", func(j *Job) { task(j).Templates = []*Template{{EmbeddedTmpl: "x", DestPath: "y"}} }, "",
			`group "cache" > task "redis" > Templates: is not supported`},
		{"bridge", func(j *Job) { j.TaskGroups[0].Networks = []*NetworkResource{{Mode: "bridge"}} }, "",
			`group "cache" > Networks[0] > Mode: "bridge" is not supported in this release: tasks share the network of their node; supported: host`},
		{"host", func(j *Job) { j.TaskGroups[0].Networks = []*NetworkResource{{Mode: "host"}} }, "", ""},
		{"driver", func(j *Job) { task(j).Driver = "dokcer" }, "", `Driver: "dokcer" is not supported`},
		{"service", func(j *Job) { task(j).Services = []*Service{{Name: "db", Provider: "nomad"}} },
			"", ""},
		{"meta of a service", func(j *Job) {
			task(j).Services = []*Service{{Name: "db", Provider: "nomad", Meta: map[string]string{"a": "b"}}}
		},
			`service "db" > Meta: has no effect`, ""},
		{"connect", func(j *Job) {
			task(j).Services = []*Service{{Name: "db", Connect: &ConsulConnect{Native: true}}}
		}, "", `service "db" > Connect: is not supported`},
		{"identity in the environment", func(j *Job) { task(j).Identity = &WorkloadIdentity{Env: true} }, "", ""},
		{"identity of a service", func(j *Job) {
			task(j).Identities = []*WorkloadIdentity{{Name: "x", ServiceName: "db"}}
		}, `identity "x" > ServiceName: has no effect`, ""},
		{"csi volume", func(j *Job) {
			j.TaskGroups[0].Volumes = map[string]*VolumeRequest{"data": {Type: "csi", Source: "x"}}
		}, "", `group "cache" > volume "data" > Type: "csi" is not supported`},
		{"host volume", func(j *Job) {
			j.TaskGroups[0].Volumes = map[string]*VolumeRequest{"data": {Type: "host", Source: "x"}}
		}, "", ""},
		{"migrate", func(j *Job) { j.TaskGroups[0].Migrate = &MigrateStrategy{MinHealthyTime: ptr(Duration(1e9))} },
			"", ""},
	} {
		warnings, err := canonicalJob(tt.change).Unsupported()
		if tt.warn == "" && len(warnings) > 0 || tt.warn != "" && (len(warnings) != 1 || !strings.Contains(warnings[0], tt.warn)) {
			t.Errorf("%s: warnings %q, want %q", tt.name, warnings, tt.warn)
		}
		if (err == nil) != (tt.refuse == "") || err != nil && !strings.Contains(err.Error(), tt.refuse) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.refuse)
		}
	}
}

func task(j *Job) *Task { return j.TaskGroups[0].Tasks[0] }

// Whatever field is set, the table says what becomes of it: nothing that is
// set and does not work passes in silence.
func TestNoFieldIsIgnoredInSilence(t *testing.T) {
	j := sampleJob(t)
	j.Canonicalize()
	clean, err := canonicalJob(nil).Unsupported()
	if err != nil || len(clean) > 0 {
		t.Fatalf("a minimal job: %q, %v", clean, err)
	}
	support := FieldSupport()
	for _, p := range slices.Sorted(maps.Keys(support)) {
		s := support[p]
		if s.Level == SupportWorks || len(s.Values) > 0 {
			continue
		}
		j := minimalJob()
		j.Canonicalize()
		if !setPath(reflect.ValueOf(j), strings.Split(p, ".")[1:]) {
			t.Errorf("can't set %s", p)
			continue
		}
		warnings, err := j.Unsupported()
		if s.Level == SupportRefused && err == nil || s.Level == SupportWarns && len(warnings) == 0 && err == nil {
			t.Errorf("%s is set: warnings %q, error %v", p, warnings, err)
		}
	}
}

// setPath sets the field at path to something that is not its zero value,
// making what leads there.
func setPath(v reflect.Value, path []string) bool {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		return setPath(v.Elem(), path)
	case reflect.Slice:
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		return setPath(v.Index(0), path)
	case reflect.Map:
		e := reflect.New(v.Type().Elem()).Elem()
		ok := e.Kind() == reflect.Interface || setPath(e, path)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("x"), e)
		return ok
	case reflect.Struct:
		if len(path) > 0 {
			return setPath(v.FieldByName(path[0]), path[1:])
		}
		if v.NumField() == 0 {
			return true
		}
		return setPath(v.Field(0), nil)
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int64:
		v.SetInt(3)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(3)
	default:
		return false
	}
	return true
}
