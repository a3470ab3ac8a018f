package jobspec_test

import (
	"strings"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/jobspec"
)

const withVariables = `
variable "image" {
  type    = string
  default = "default"
}
variable "count" { default = 1 }
variable "zones" {
  type    = list(string)
  default = ["x"]
}
variable "secret" {
  type = string
}
job "v" {
  datacenters = var.zones
  meta {
    image  = var.image
    secret = var.secret
    count  = var.count
  }
}`

func file(name, src string) jobspec.File { return jobspec.File{Name: name, Src: []byte(src)} }

func TestVariableSources(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts jobspec.Options
		want string // image, secret, count, zones
	}{
		{"environment", jobspec.Options{Env: []string{"NOMAD_VAR_secret=a=b", "NOMAD_VAR_image=env", "PATH=/bin", "NOMAD_VAR_other=x"}}, "env a=b 1 x"},
		{"file over environment", jobspec.Options{
			Env:      []string{"NOMAD_VAR_secret=e", "NOMAD_VAR_image=e"},
			VarFiles: []jobspec.File{file("a.hcl", "secret = \"f\"\nzones = [\"a\", \"b\"]\nshared = 1")},
		}, "e f 1 a,b"},
		{"later file wins", jobspec.Options{
			VarFiles: []jobspec.File{file("a.hcl", `secret = "1"`), file("b.json", `{"secret": "2", "count": 7, "zones": ["j"], "other": {}}`)},
		}, "default 2 7 j"},
		{"flags over files", jobspec.Options{
			Vars:     map[string]string{"secret": "flag", "zones": `["p", "q"]`, "image": "${x}", "count": "3"},
			VarFiles: []jobspec.File{file("a.hcl", "secret = \"f\"\nimage = \"f\"")},
		}, "${x} flag 3 p,q"},
	} {
		job, err := jobspec.Parse("v.hcl", []byte(withVariables), tt.opts)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got := strings.Join([]string{job.Meta["image"], job.Meta["secret"], job.Meta["count"], strings.Join(job.Datacenters, ",")}, " ")
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestVariableErrors(t *testing.T) {
	secret := map[string]string{"secret": "x"}
	with := func(name, value string) map[string]string { return map[string]string{"secret": "x", name: value} }
	for _, tt := range []struct {
		name string
		opts jobspec.Options
		want string
	}{
		{"none", jobspec.Options{}, `v.hcl:11:1: No value: Variable "secret"`},
		{"unknown", jobspec.Options{Vars: with("imgae", "x")}, `The job declares no variable "imgae". Did you mean "image"?`},
		{"type", jobspec.Options{Vars: with("zones", "{}[")}, "-var zones:1:"},
		{"number", jobspec.Options{Vars: with("count", "many")}, `-var count:1:1: Wrong type: Variable "count": a number is required`},
		{"file syntax", jobspec.Options{Vars: secret, VarFiles: []jobspec.File{file("a.hcl", "zones = [")}}, "a.hcl:1:"},
		{"file type", jobspec.Options{Vars: secret, VarFiles: []jobspec.File{file("a.hcl", "zones = 1")}}, "a.hcl:1:9: Wrong type"},
		{"file block", jobspec.Options{Vars: secret, VarFiles: []jobspec.File{file("a.hcl", "zones {}")}}, "a.hcl:1:1: Unexpected block"},
		{"file JSON", jobspec.Options{Vars: secret, VarFiles: []jobspec.File{file("a.json", "{")}}, "a.json:1:1: Bad JSON"},
		{"file calls", jobspec.Options{Vars: secret, VarFiles: []jobspec.File{file("a.hcl", `image = file("x")`)}}, "a.hcl:1:9"},
		{"bomb", jobspec.Options{Vars: with("zones", "["+strings.Repeat("[", 200)+"]")}, "nested more than"},
	} {
		_, err := jobspec.Parse("v.hcl", []byte(withVariables), tt.opts)
		if api.ErrorCode(err) != api.CodeInvalid || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}
