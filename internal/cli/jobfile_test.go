package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/drover-org/drover/api"
)

func TestJobFilesTakeVariablesFromEverywhere(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("message.txt", "from a file")
	vars := write("vars.hcl", "count = 2\nunknown = 1\n")
	file := write("web.hcl", `
variable "count" { type = number }
variable "image" { default = "none" }
job "web" {
  meta {
    message = file("message.txt")
  }
  group "web" {
    count = var.count
    task "web" {
      driver = "docker"
      config { image = var.image }
    }
  }
}`)
	f := newFake(t)
	var got api.JobRegisterRequest
	f.writes["PUT /v1/jobs"] = func(body []byte) any {
		if err := json.Unmarshal(body, &got); err != nil {
			t.Error(err)
		}
		return &api.JobRegisterResponse{EvalID: evalID}
	}
	f.run("run", "-detach", "-namespace", "apps", "-var-file", vars, "-var", "image=redis:7", file).want(t, exitOK)
	g := got.Job.TaskGroups[0]
	if *g.Count != 2 || g.Tasks[0].Config["image"] != "redis:7" || got.Job.Meta["message"] != "from a file" || got.Job.Namespace != "apps" {
		t.Errorf("registered %+v", got.Job)
	}
	if s := got.Submission; s.Format != "hcl2" || s.VariableFlags["image"] != "redis:7" || s.Variables == "" || s.Source == "" {
		t.Errorf("kept %+v", s)
	}

	r := f.run("validate", write("bad.hcl", "job \"x\" {\n  grup \"y\" {}\n}\n"))
	r.want(t, exitFailed)
	r.wantErr(t, "bad.hcl:2", "group")
	r = f.run("run", "-var", "nonsense", file)
	r.want(t, exitFailed)
	r.wantErr(t, "not NAME=VALUE")
	r = f.run("run", "-json", file)
	r.want(t, exitFailed)
	r.wantErr(t, "is no JSON")
}

func TestExamplesAreValidAndFormatted(t *testing.T) {
	f := newFake(t)
	f.writes["PUT /v1/validate/job"] = func(body []byte) any {
		var req api.JobRegisterRequest
		if err := json.Unmarshal(body, &req); err != nil {
			t.Error(err)
		}
		req.Job.Canonicalize()
		if _, err := req.Job.Validate(); err != nil {
			return &api.JobValidateResponse{ValidationErrors: []string{err.Error()}}
		}
		return &api.JobValidateResponse{}
	}
	files, err := filepath.Glob("../../examples/*.hcl")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, path := range append(files, "example.nomad.hcl", "example-short.nomad.hcl") {
		f.run("validate", path).want(t, exitOK, "is valid")
		f.run("fmt", "-check", path).want(t, exitOK)
	}
}

func TestInitWritesAJobOnce(t *testing.T) {
	f := newFake(t)
	path := filepath.Join(t.TempDir(), "x.hcl")
	f.run("init", path).want(t, exitOK, path)
	r := f.run("init", "-short", path)
	r.want(t, exitFailed)
	r.wantErr(t, "exists already")
}
