package cli

import (
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/agext/levenshtein"
)

// groups are the headings of the overview and which first words they hold.
var groups = []struct {
	title string
	words string
}{
	{"Jobs", "job"},
	{"Allocations", "alloc"},
	{"Services", "service"},
	{"Evaluations, deployments, scaling", "eval deployment scaling"},
	{"Cluster", "agent node server status monitor system operator events"},
	{"Security", "login acl audit tls"},
	{"Namespaces and quotas", "namespace quota"},
	{"Tools", "fmt bench completion version"},
}

func writeOverview(w io.Writer, table []*verb, st style) {
	_, _ = fmt.Fprintf(w, "%s runs jobs on machines and keeps them running.\n\nUsage: drover COMMAND [options] [arguments]\n", st.bold("Drover"))
	for _, g := range groups {
		_, _ = fmt.Fprintf(w, "\n%s\n", st.bold(g.title))
		t := &table2{}
		for _, v := range table {
			if !v.hidden && strings.Contains(" "+g.words+" ", " "+strings.Fields(v.name)[0]+" ") {
				t.add("  "+st.cyan(v.name), v.short+aliasNote(v, st))
			}
		}
		t.write(w)
	}
	_, _ = fmt.Fprint(w, "\n\"drover help COMMAND\" explains one. The agent is http://127.0.0.1:4646 unless -address or NOMAD_ADDR names another.\nA first try: drover agent -dev, and in a second terminal: drover init && drover run example.nomad.hcl\n")
}

func aliasNote(v *verb, st style) string {
	if len(v.aliases) == 0 {
		return ""
	}
	return st.dim(" (also: " + strings.Join(v.aliases, ", ") + ")")
}

// table2 is two columns without a heading.
type table2 struct{ t table }

func (t *table2) add(a, b string)   { t.t.row(a, b) }
func (t *table2) write(w io.Writer) { t.t.write(w, style{}) }

// groupOf returns the verbs whose first word is word.
func groupOf(table []*verb, word string) []*verb {
	var out []*verb
	for _, v := range table {
		if first, _, two := strings.Cut(v.name, " "); two && first == word {
			out = append(out, v)
		}
	}
	return out
}

func writeGroup(w io.Writer, word string, group []*verb, st style) {
	_, _ = fmt.Fprintf(w, "Usage: drover %s COMMAND [options] [arguments]\n\n", word)
	t := &table2{}
	for _, v := range group {
		t.add("  "+st.cyan(v.name), v.short+aliasNote(v, st))
	}
	t.write(w)
	_, _ = fmt.Fprintf(w, "\n\"drover help %s COMMAND\" explains one.\n", word)
}

func runHelp(io Stdio, table []*verb, args []string) int {
	st := newStyle(io, io.Out)
	if len(args) == 0 {
		writeOverview(io.Out, table, st)
		return exitOK
	}
	if args[0] == "help" {
		writeSharedHelp(io.Out, st)
		return exitOK
	}
	if v, _ := find(table, args); v != nil {
		writeHelp(io.Out, v, st)
		return exitOK
	}
	return unknownVerb(io, table, args)
}

// writeHelp prints everything about one verb.
func writeHelp(w io.Writer, v *verb, st style) {
	_, _ = fmt.Fprintf(w, "Usage: drover %s %s\n", v.name, v.args)
	if len(v.aliases) > 0 {
		_, _ = fmt.Fprintf(w, "Also:  drover %s\n", strings.Join(v.aliases, ", drover "))
	}
	_, _ = fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(v.long))
	own, all := &table2{}, 0
	fs := v.flagSet(&env{verb: v})
	fs.VisitAll(func(f *flag.Flag) {
		if sharedFlags(f.Name) && (!v.offline || strings.HasSuffix(f.Name, "-color")) {
			all++
			return
		}
		own.add("  "+st.cyan(flagName(f)), flagUsage(f))
	})
	if len(own.t.rows) > 0 {
		_, _ = fmt.Fprintf(w, "\n%s\n", st.bold("Options"))
		own.write(w)
	}
	if !v.offline {
		_, _ = fmt.Fprintf(w, "\n%s\n  -address -region -namespace -token -ca-cert -ca-path -client-cert -client-key\n  -tls-server-name -tls-skip-verify -no-color -force-color  (see \"drover help help\")\n", st.bold("Shared options"))
	}
}

// writeSharedHelp explains the options that every command has.
func writeSharedHelp(w io.Writer, st style) {
	e := &env{verb: &verb{}}
	t := &table2{}
	e.verb.flagSet(e).VisitAll(func(f *flag.Flag) { t.add("  "+st.cyan(flagName(f)), flagUsage(f)) })
	_, _ = fmt.Fprintf(w, "Usage: drover help [COMMAND]\n\nOptions may be written -option or --option, before or after the arguments; -- ends them.\n\n%s\n", st.bold("Shared options"))
	t.write(w)
}

func flagName(f *flag.Flag) string {
	name, _ := flag.UnquoteUsage(f)
	if b, ok := f.Value.(interface{ IsBoolFlag() bool }); ok && b.IsBoolFlag() {
		return "-" + f.Name
	}
	return "-" + f.Name + " " + strings.ToUpper(name)
}

func flagUsage(f *flag.Flag) string {
	_, usage := flag.UnquoteUsage(f)
	switch f.DefValue {
	case "", "0", "0s", "false", "[]":
	default:
		usage += " (default " + f.DefValue + ")"
	}
	return usage
}

// nearest returns the verb whose name differs from word by at most two
// letters, or nothing.
func nearest(table []*verb, word string) string {
	best, at := "", 3
	for _, v := range table {
		for _, name := range append([]string{v.name}, v.aliases...) {
			if d := levenshtein.Distance(name, word, nil); d < at && !v.hidden {
				best, at = name, d
			}
		}
	}
	return best
}
