package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

// listed is what "go list -json" says of a package.
type listed struct {
	ImportPath   string
	Name         string
	Dir          string
	Doc          string
	GoFiles      []string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Name,Dir,Doc,GoFiles,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func (p *listed) name() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

func TestImportsAreThoseOfTheTable(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := parseTable(string(text))
	if err != nil {
		t.Fatalf("ARCHITECTURE.md: %v", err)
	}
	var pkgs []pkg
	for _, p := range list(t) {
		if len(p.GoFiles) > 0 {
			pkgs = append(pkgs, pkg{name: p.name(), imports: p.Imports})
		}
	}
	for _, problem := range check(rules, pkgs) {
		t.Errorf("ARCHITECTURE.md: %s", problem)
	}
}

// Walls that hold for tests as well, and whatever the table says.
func TestWalls(t *testing.T) {
	node := []string{"internal/agent", "driver", "internal/shim"}
	server := []string{"internal/store", "internal/sched", "internal/control", "internal/server", "internal/cluster", "internal/httpapi"}
	under := func(name string, of []string) bool {
		for _, p := range of {
			if name == p || strings.HasPrefix(name, p+"/") {
				return true
			}
		}
		return false
	}
	for _, p := range list(t) {
		for _, imp := range p.Imports {
			to := strings.TrimPrefix(imp, module+"/")
			if under(p.name(), node) && under(to, server) {
				t.Errorf("%s imports %s: the node side never imports the server side", p.name(), to)
			}
		}
		if !under(p.name(), []string{"internal/sched", "internal/store"}) {
			continue
		}
		for _, imp := range append(append([]string(nil), p.TestImports...), p.XTestImports...) {
			if to := strings.TrimPrefix(imp, module+"/"); under(to, []string{"internal/server", "internal/daemon", "internal/cluster"}) {
				t.Errorf("the tests of %s import %s: they must do without what stands above", p.name(), to)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range list(t) {
		if len(p.GoFiles) == 0 {
			continue
		}
		want := "Package " + p.Name + " "
		if p.Name == "main" {
			want = "Command " + filepath.Base(p.ImportPath) + " "
		}
		if !strings.HasPrefix(p.Doc, want) {
			t.Errorf("%s: its package comment must begin with %q; it is %q", p.name(), want, p.Doc)
		}
	}
}

func TestRootHoldsNoCode(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) > 0 {
		t.Errorf("Go files in the root: %v", files)
	}
}

// Names that tell nothing, and doubles made by generators.
func TestNamesAndDoubles(t *testing.T) {
	vague := map[string]bool{"util": true, "utils": true, "helper": true, "helpers": true, "common": true, "base": true, "structs": true, "misc": true}
	mocks := []string{"github.com/golang/mock", "go.uber.org/mock", "github.com/vektra/mockery", "github.com/stretchr/testify/mock", "github.com/matryer/moq"}
	for _, p := range list(t) {
		if vague[p.Name] {
			t.Errorf("%s: the name tells nothing", p.name())
		}
		for _, imp := range append(append(append([]string(nil), p.Imports...), p.TestImports...), p.XTestImports...) {
			for _, m := range mocks {
				if strings.HasPrefix(imp, m) {
					t.Errorf("%s imports %s: doubles are fakes written by hand", p.name(), imp)
				}
			}
		}
	}
}

func TestParseTable(t *testing.T) {
	good := "text\n```imports\n# comment\n\napi → std # nouns\na/* -> api, b? !x.org/y # below\nd → * # all\n```\n"
	rules, err := parseTable(good)
	if err != nil || len(rules) != 3 {
		t.Fatalf("%d rules, %v", len(rules), err)
	}
	if r := rules[1]; r.pattern != "a/*" || r.reason != "below" || r.forbid[0] != "x.org/y" || !r.allowed["api"] || r.allowed["b"] {
		t.Errorf("rule %+v", r)
	}
	for _, bad := range []string{"no block", "```imports\napi → std\n```", "```imports\napi std # x\n```", "```imports\napi → std # x\n"} {
		if _, err := parseTable(bad); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
}

func TestCheck(t *testing.T) {
	const table = "```imports\napi → std # nouns\na/* → api # below\na/b → api c? # exact\nd → * # all\ns → api !x.org/raft # wall\n```"
	rules, err := parseTable(table)
	if err != nil {
		t.Fatal(err)
	}
	ok := []pkg{
		{"api", []string{"fmt"}}, {"a/b", []string{module + "/api", module + "/c", "x.org/raft"}}, {"a/z", []string{module + "/api"}},
		{"d", []string{module + "/s"}}, {"s", []string{module + "/api"}},
	}
	if bad := check(rules, ok); len(bad) > 0 {
		t.Errorf("complaints about what is right: %v", bad)
	}
	for name, c := range map[string]struct {
		change pkg
		want   string
	}{
		"third party":  {pkg{"api", []string{"x.org/y"}}, "only the standard library"},
		"not allowed":  {pkg{"a/z", []string{module + "/s", module + "/api"}}, "a/z imports " + module + "/s: not in its line"},
		"forbidden":    {pkg{"s", []string{module + "/api", "x.org/raft-wal"}}, "x.org/raft is forbidden"},
		"no line":      {pkg{"new", nil}, "new has no line"},
		"never used":   {pkg{"s", nil}, "s does not import api"},
		"gone package": {pkg{"s", nil}, "there is no package d"},
	} {
		t.Run(name, func(t *testing.T) {
			pkgs := []pkg{c.change}
			for _, p := range ok {
				if p.name != c.change.name && (name != "gone package" || p.name != "d") {
					pkgs = append(pkgs, p)
				}
			}
			if got := strings.Join(check(rules, pkgs), "\n"); !strings.Contains(got, c.want) {
				t.Errorf("no %q in %q", c.want, got)
			}
		})
	}
}
