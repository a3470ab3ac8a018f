package jobspec_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/jobspec"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with a file, or writes it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

func TestGoodFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/good/*.hcl")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		job, err := jobspec.Parse(filepath.Base(f), src, jobspec.Options{})
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		golden(t, f+".json", compact(t, job))

		// Its JSON is the same job again.
		b, _ := json.Marshal(job)
		again, err := jobspec.Parse("x.json", b, jobspec.Options{})
		if err != nil {
			t.Errorf("%s as JSON: %v", f, err)
			continue
		}
		job.Canonicalize()
		again.Canonicalize()
		if d := api.DiffJobs(job, again); d.Type != api.DiffNone {
			t.Errorf("%s: its JSON is another job: %s", f, compact(t, d))
		}
	}
}

// compact prints v as JSON without what is not set.
func compact(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(b, &tree); err != nil {
		t.Fatal(err)
	}
	b, err = json.MarshalIndent(prune(tree), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b) + "\n"
}

func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if e = prune(e); e == nil || e == "" || e == false || e == 0.0 {
				delete(v, k)
			} else {
				v[k] = e
			}
		}
	case []any:
		for i := range v {
			v[i] = prune(v[i])
		}
	}
	return v
}

func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasSuffix(f, ".err") {
			continue
		}
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		job, err := jobspec.Parse(filepath.Base(f), src, jobspec.Options{})
		if err == nil {
			t.Errorf("%s: no error; job %s", f, compact(t, job))
			continue
		}
		if api.ErrorCode(err) != api.CodeInvalid {
			t.Errorf("%s: code %s", f, api.ErrorCode(err))
		}
		golden(t, f+".err", err.Error()+"\n")
	}
}
