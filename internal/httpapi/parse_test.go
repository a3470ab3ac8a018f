package httpapi_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/drover-org/drover/api"
)

const jobFile = `variable "n" { default = 1 }
job "web" {
  group "cache" {
    count = var.n
    task "redis" {
      driver = "raw_exec"
      config { command = "/bin/sleep" }
    }
  }
}
`

func TestParse(t *testing.T) {
	w := newWorld(t)
	parse := func(req api.JobsParseRequest) (int, string) {
		body, err := json.Marshal(req)
		if err != nil {
			t.Fatal(err)
		}
		status, text, _ := w.call("POST", "/v1/jobs/parse", string(body))
		return status, text
	}
	var job api.Job
	status, text := parse(api.JobsParseRequest{JobHCL: jobFile, Variables: "n = 4", Canonicalize: true})
	if err := json.Unmarshal([]byte(text), &job); status != 200 || err != nil || job.ID != "web" || *job.TaskGroups[0].Count != 4 || job.Priority != 50 {
		t.Fatalf("%d %s %v", status, text, err)
	}
	for name, tt := range map[string]struct {
		req  api.JobsParseRequest
		part string
	}{
		"empty":    {api.JobsParseRequest{}, "JobHCL"},
		"old HCL":  {api.JobsParseRequest{JobHCL: jobFile, HCLv1: true}, "HCLv1"},
		"syntax":   {api.JobsParseRequest{JobHCL: "job \"x\" {\n  group {\n"}, "job.hcl:"},
		"reads":    {api.JobsParseRequest{JobHCL: strings.Replace(jobFile, "var.n", `length(file("/etc/passwd"))`, 1)}, "job.hcl:4"},
		"mistyped": {api.JobsParseRequest{JobHCL: strings.Replace(jobFile, "count", "cuont", 1)}, "job.hcl:4"},
	} {
		if status, text := parse(tt.req); status != 400 || !strings.Contains(text, tt.part) {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
	if _, text := parse(api.JobsParseRequest{JobHCL: strings.Replace(jobFile, "var.n", `length(file("/etc/passwd"))`, 1)}); strings.Contains(text, "root:") {
		t.Error("a file of the server was shown")
	}
	if n := countJobs(w); n != 0 {
		t.Errorf("parsing registered %d jobs", n)
	}
}
