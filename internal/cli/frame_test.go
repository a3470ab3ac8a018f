package cli

import (
	"flag"
	"io"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func TestEveryVerbExplainsItself(t *testing.T) {
	f := newFake(t)
	seen := map[string]bool{}
	for _, v := range verbs() {
		for _, name := range append([]string{v.name}, v.aliases...) {
			if seen[name] {
				t.Errorf("two verbs answer to %q", name)
			}
			seen[name] = true
			r := f.run(append(strings.Fields(name), "-help")...)
			r.want(t, exitOK, "Usage: drover "+v.name, strings.TrimSpace(v.long))
			if h := f.run(append([]string{"help"}, strings.Fields(name)...)...); h.out != r.out {
				t.Errorf("help %s differs from %s -help", name, name)
			}
		}
		if v.short == "" || strings.HasSuffix(v.short, ".") {
			t.Errorf("%s: its line is %q", v.name, v.short)
		}
		e := &env{verb: v}
		v.flagSet(e).VisitAll(func(fl *flag.Flag) {
			if fl.Usage == "" {
				t.Errorf("%s -%s is not explained", v.name, fl.Name)
			}
		})
	}
	overview := f.run().out
	for _, v := range verbs() {
		if !v.hidden && !strings.Contains(overview, "  "+v.name+" ") {
			t.Errorf("%s is not in the overview", v.name)
		}
	}
}

func TestFlagsStandAnywhere(t *testing.T) {
	for _, c := range []struct {
		args, want string
		raw        bool
	}{
		{"-a 1 x -b y", "x y|1 true", false},
		{"--a=1 x y --b", "x y|1 true", false},
		{"x -- -a 2 -b", "x -a 2 -b| false", false},
		{"-a 1 x -b y", "x -b y|1 false", true},
		{"-a 1 -- x -b", "x -b|1 false", true},
		{"x - y", "x - y| false", false},
	} {
		fs := flag.NewFlagSet("", flag.ContinueOnError)
		fs.SetOutput(io.Discard)
		a, b := fs.String("a", "", ""), fs.Bool("b", false, "")
		words, err := parseFlags(fs, strings.Fields(c.args), c.raw)
		got := strings.Join(words, " ") + "|" + *a + " " + map[bool]string{true: "true", false: "false"}[*b]
		if err != nil || got != c.want {
			t.Errorf("%q: %q, %v", c.args, got, err)
		}
	}
}

func TestMistakesOnTheLine(t *testing.T) {
	f := newFake(t)
	for line, want := range map[string]string{
		"rnu":                        `Did you mean "drover run"?`,
		"job frobnicate":             `"frobnicate" is no command of "drover job"`,
		"job run":                    "job file is missing",
		"job run -nosuch x":          "flag provided but not defined: -nosuch",
		"job stop":                   "the job is missing",
		"alloc status a":             "type at least 2 characters",
		"node eligibility x":         "one of -enable and -disable",
		"job scale a b c d":          "a job, a group and a count",
		"job revert a":               "a job and a version are expected",
		"job history -version x a":   `"x" is no version`,
		"job tag apply a":            "-name is missing",
		"alloc exec -e ab id cmd":    "not one character",
		"completion tcsh":            "none of bash, zsh and fish",
		"operator api -H x /v1/jobs": "has no colon",
	} {
		r := f.run(strings.Fields(line)...)
		r.want(t, exitFailed)
		r.wantErr(t, want)
	}
	f.run("job", "plan").want(t, exitPlanError)
}

func TestAnAgentThatIsNotThere(t *testing.T) {
	r := newFake(t).run("job", "status", "-address", "http://127.0.0.1:1")
	r.want(t, exitFailed)
	r.wantErr(t, "no answer from the agent at http://127.0.0.1:1", "drover agent -dev")
}

func TestCompletion(t *testing.T) {
	f := newFake(t)
	f.writes["PUT /v1/search"] = func([]byte) any {
		return map[string]any{"Matches": map[string][]string{"allocs": {"ab12cd34-1", "ab99"}}}
	}
	for line, want := range map[string]string{
		"al":                 "alloc",
		"alloc ":             "checks cp exec fs list logs port-forward restart signal status stop why",
		"job sc":             "scale scaling-events",
		"alloc stop -no-sh":  "-no-shutdown-delay",
		"alloc stop --no-sh": "--no-shutdown-delay",
		"completion ":        "bash fish zsh",
		"run ./":             ":files",
		"alloc status ab1":   "ab12cd34-1",
		"help alloc ex":      "exec",
	} {
		words := strings.Split(line, " ")
		r := f.run(append([]string{completeVerb, "--"}, words...)...)
		if got := strings.Join(strings.Fields(r.out), " "); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		f.run("completion", shell).want(t, exitOK, completeVerb)
	}
}

func TestTableIsAsWideAsItsCells(t *testing.T) {
	st := style{colour: true}
	tb := newTable("A", "Long head")
	tb.row(st.green("wide ✓ cell"), "x")
	tb.row("é", "y")
	var b strings.Builder
	tb.write(&b, style{})
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	at := []int{}
	for i, want := range []string{"Long head", "x", "y"} {
		at = append(at, width(lines[i][:strings.LastIndex(lines[i], want)]))
	}
	if len(slices.Compact(at)) != 1 {
		t.Errorf("columns begin at %v:\n%s", at, b.String())
	}
}

func TestBenchNeedsServers(t *testing.T) {
	r := newFake(t).run("bench", "nodes")
	r.want(t, exitFailed)
	r.wantErr(t, "no servers")
	r = newFake(t).run("bench", "nodes", "-count", "0", "-servers", "127.0.0.1:1")
	r.want(t, exitFailed)
	r.wantErr(t, "count 0 must be from 1 to")
}
