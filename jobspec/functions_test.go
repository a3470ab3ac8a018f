package jobspec_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/drover-org/drover/jobspec"
)

// evalText returns the value of an expression as text.
func evalText(t *testing.T, expr string, opts jobspec.Options) (string, error) {
	t.Helper()
	src := "job \"x\" {\n meta {\n  v = " + expr + "\n }\n}\n"
	job, err := jobspec.Parse("x.hcl", []byte(src), opts)
	if err != nil {
		return "", err
	}
	return job.Meta["v"], nil
}

var functionCases = []struct{ expr, want string }{
	{`abs(-3)`, "3"}, {`base64decode("aGk=")`, "hi"}, {`base64encode("hi")`, "aGk="},
	{`can(var.nope)`, "false"}, {`ceil(1.2)`, "2"}, {`chomp("a\n")`, "a"},
	{`jsonencode(chunklist(["a", "b", "c"], 2))`, `[["a","b"],["c"]]`},
	{`cidrhost("10.12.112.0/20", 16)`, "10.12.112.16"}, {`cidrhost("10.0.0.0/24", -1)`, "10.0.0.255"}, {`cidrhost("fd00::/64", 5)`, "fd00::5"},
	{`cidrnetmask("172.16.0.0/12")`, "255.240.0.0"}, {`cidrsubnet("172.16.0.0/12", 4, 2)`, "172.18.0.0/16"},
	{`join(" ", cidrsubnets("10.1.0.0/16", 4, 4, 8, 4))`, "10.1.0.0/20 10.1.16.0/20 10.1.32.0/24 10.1.48.0/20"},
	{`coalesce(null, "a")`, "a"}, {`jsonencode(coalescelist([], ["b"]))`, `["b"]`}, {`jsonencode(compact(["a", "", "b"]))`, `["a","b"]`},
	{`jsonencode(concat(["a"], ["b"]))`, `["a","b"]`}, {`contains(["a"], "a")`, "true"}, {`convert("3", number) + 1`, "4"},
	{`csvdecode("a,b\n1,2")[0].b`, "2"}, {`jsonencode(distinct(["a", "a"]))`, `["a"]`}, {`element(["a", "b"], 3)`, "b"},
	{`jsonencode(flatten([["a"], ["b", ["c"]]]))`, `["a","b","c"]`}, {`floor(1.9)`, "1"}, {`format("%s-%03d", "a", 7)`, "a-007"},
	{`formatdate("YYYY", "2020-01-02T00:00:00Z")`, "2020"}, {`jsonencode(formatlist("x%s", ["a", "b"]))`, `["xa","xb"]`},
	{`indent(2, "a\nb")`, "a\n  b"}, {`index(["a", "b"], "b")`, "1"}, {`join(",", ["a", "b"])`, "a,b"},
	{`jsondecode("{\"a\": 5}").a`, "5"}, {`jsonencode({ a = true })`, `{"a":true}`}, {`jsonencode(keys({ b = 1, a = 2 }))`, `["a","b"]`},
	{`length([1, 2])`, "2"}, {`length("größe")`, "5"}, {`length({ a = 1 })`, "1"}, {`log(8, 2)`, "3"}, {`lookup({ a = 1 }, "b", 2)`, "2"}, {`lower("A")`, "a"},
	{`max(1, 3)`, "3"}, {`jsonencode(merge({ a = 1 }, { b = 2 }))`, `{"a":1,"b":2}`}, {`min(1, 3)`, "1"}, {`parseint("ff", 16)`, "255"},
	{`pow(2, 5)`, "32"}, {`jsonencode(range(3))`, `[0,1,2]`}, {`regex_replace("abc", "b+", "x")`, "axc"}, {`replace("a.b", ".", "-")`, "a-b"},
	{`jsonencode(reverse([1, 2]))`, `[2,1]`}, {`jsonencode(setintersection(["a", "b"], ["b"]))`, `["b"]`},
	{`jsonencode(setproduct(["a"], ["b", "c"]))`, `[["a","b"],["a","c"]]`}, {`jsonencode(setunion(["a"], ["b"]))`, `["a","b"]`},
	{`sha256("")`, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}, {`substr(sha512(""), 0, 8)`, "cf83e135"},
	{`signum(-4)`, "-1"}, {`jsonencode(slice(["a", "b", "c"], 1, 2))`, `["b"]`}, {`jsonencode(sort(["b", "a"]))`, `["a","b"]`},
	{`jsonencode(split(",", "a,b"))`, `["a","b"]`}, {`strlen("ab")`, "2"}, {`strrev("ab")`, "ba"}, {`substr("abc", 1, 1)`, "b"},
	{`timeadd("2020-01-01T00:00:00Z", "1h")`, "2020-01-01T01:00:00Z"}, {`title("ab cd")`, "Ab Cd"}, {`trim("xax", "x")`, "a"},
	{`trimprefix("xa", "x")`, "a"}, {`trimspace(" a ")`, "a"}, {`trimsuffix("ax", "x")`, "a"}, {`try(var.nope, "b")`, "b"}, {`upper("a")`, "A"},
	{`urlencode("a b&")`, "a+b%26"}, {`uuidv5("dns", "example.com")`, "cfbff0d1-9375-5685-968c-48ce8b15ae17"},
	{`jsonencode(values({ a = 1, b = 2 }))`, `[1,2]`}, {`yamldecode("a: [1, 2]").a[1]`, "2"}, {`yamlencode({ a = 1 })`, "\"a\": 1\n"},
	{`jsonencode(zipmap(["a"], [1]))`, `{"a":1}`}, {`length(uuidv4())`, "36"}, {`length(bcrypt("x", 4))`, "60"},
}

func TestFunctions(t *testing.T) {
	tested := make(map[string]bool)
	for _, tt := range functionCases {
		got, err := evalText(t, tt.expr, jobspec.Options{})
		if err != nil || got != tt.want {
			t.Errorf("%s = %q, want %q; error %v", tt.expr, got, tt.want, err)
		}
		for _, call := range regexp.MustCompile(`[a-z0-9_]+\(`).FindAllString(tt.expr, -1) {
			tested[strings.TrimSuffix(call, "(")] = true
		}
	}
	apart := []string{"abspath", "basename", "dirname", "file", "filebase64", "fileexists", "fileset", "pathexpand", "rsadecrypt"}
	for _, name := range jobspec.FunctionNames() {
		if !tested[name] && !slices.Contains(apart, name) {
			t.Errorf("%s has no test", name)
		}
	}
}

func TestFileFunctions(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.txt": "hello", "sub/b.txt": "b", "sub/deep/c.txt": "c", "d.bin": "\xff"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ expr, want string }{
		{`file("a.txt")`, "hello"}, {`filebase64("d.bin")`, "/w=="}, {`fileexists("a.txt")`, "true"}, {`fileexists("sub")`, "false"},
		{`jsonencode(fileset(".", "**/*.txt"))`, `["a.txt","sub/b.txt","sub/deep/c.txt"]`}, {`jsonencode(fileset("sub", "*.txt"))`, `["b.txt"]`},
		{`abspath("a.txt")`, filepath.Join(dir, "a.txt")}, {`basename("/x/y")`, "y"}, {`dirname("/x/y")`, "/x"}, {`pathexpand("/x")`, "/x"},
	} {
		got, err := evalText(t, tt.expr, jobspec.Options{AllowFS: true, BaseDir: dir})
		if err != nil || got != tt.want {
			t.Errorf("%s = %q, want %q; error %v", tt.expr, got, tt.want, err)
		}
		if _, err := evalText(t, tt.expr, jobspec.Options{BaseDir: dir}); err == nil || !strings.Contains(err.Error(), "only in the command line") {
			t.Errorf("%s without AllowFS: %v", tt.expr, err)
		}
	}
	for _, expr := range []string{`file("nope")`, `file("sub")`, `file("d.bin")`, `file("/dev/zero")`} {
		if _, err := evalText(t, expr, jobspec.Options{AllowFS: true, BaseDir: dir}); err == nil {
			t.Errorf("%s: no error", expr)
		}
	}
}

func TestExpensiveCallsFail(t *testing.T) {
	for _, expr := range []string{
		`bcrypt("x", 31)`, `join("", [for x in range(100) : bcrypt("x", 12)])`, `length(distinct(flatten([for a in range(30) : range(a * 1000, a * 1000 + 1000)])))`,
		`length([for a in range(1000) : [for b in range(1000) : [for c in range(1000) : 1]]])`,
		`jsondecode(join("", [for x in range(1001) : "["]))`, `yamldecode(join("", [for x in range(300) : join("", [for y in range(300) : "- "])]))`,
		`indent(1000000, "a\nb")`, `format("%9999999s", "x")`, `pow(10, 100000000)`,
		`join(join("", formatlist("%0999d", range(1000))), formatlist("%0999d", range(1000)))`,
		`replace(join("", formatlist("%0999d", range(1000))), "0", join("", formatlist("%0999d", range(1000))))`,
		`yamldecode("a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f]\nh: [*g,*g,*g,*g,*g,*g,*g,*g]").a[0]`,
	} {
		if got, err := evalText(t, expr, jobspec.Options{}); err == nil {
			t.Errorf("%s: %d bytes, no error", expr, len(got))
		}
	}
}

func TestRuntimeReferences(t *testing.T) {
	for _, tt := range []struct{ expr, want string }{
		{`"${attr.unique.network.ip-address}:${NOMAD_PORT_http}"`, "${attr.unique.network.ip-address}:${NOMAD_PORT_http}"},
		{`"${ node.unique.id }"`, "${node.unique.id}"}, {`"a${meta.x}${env["A B"]}"`, `a${meta.x}${env["A B"]}`},
		{`"${device.attr.memory}${volume.name}"`, "${device.attr.memory}${volume.name}"},
		{`attr.kernel.name`, "${attr.kernel.name}"}, {`"${JOB}-${TASKGROUP}-${TASK}"`, "${JOB}-${TASKGROUP}-${TASK}"},
		{`true ? "${meta.a}" : "b"`, "${meta.a}"}, {`upper("x-${NOMAD_DC}")`, "X-${NOMAD_DC}"},
		{`join(",", [for env in ["a"] : env])`, "a"}, {`join(",", [for meta in [{ n = "b" }] : "${meta.n}"])`, "b"},
		{`"$${literal} %%{ x }"`, "${literal} %{ x }"},
	} {
		got, err := evalText(t, tt.expr, jobspec.Options{})
		if err != nil || got != tt.want {
			t.Errorf("%s = %q, want %q; error %v", tt.expr, got, tt.want, err)
		}
	}
}
