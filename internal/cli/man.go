package cli

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"github.com/drover-org/drover/internal/version"
)

func manVerb() *verb {
	return &verb{
		name: "man", hidden: true, offline: true,
		short: "Print the manual page",
		long:  "Prints the manual page in the form that man reads.",
		run: func(_ context.Context, e *env, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			_, err := fmt.Fprint(e.Out, manPage())
			return err
		},
	}
}

// manPage is drover(1), made of what the verbs say of themselves.
func manPage() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line(`.TH DROVER 1 "" "Drover %s" "Drover"`, roff(version.Number()))
	line(".SH NAME\ndrover \\- run jobs on machines and keep them running")
	line(".SH SYNOPSIS\n.B drover\n.I COMMAND\n[options] [arguments]")
	line(".SH COMMANDS")
	for _, v := range verbs() {
		if v.hidden {
			continue
		}
		line(".SS drover %s %s", roff(v.name), roff(v.args))
		line("%s.", roff(v.short))
		for _, a := range v.aliases {
			line("Also: drover %s.", roff(a))
		}
		for _, p := range strings.Split(strings.TrimSpace(v.long), "\n\n") {
			line(".PP\n%s", roff(p))
		}
		v.flagSet(&env{verb: v}).VisitAll(func(f *flag.Flag) {
			if !sharedFlags(f.Name) {
				line(".TP\n.B %s\n%s", roff(flagName(f)), roff(flagUsage(f)))
			}
		})
	}
	line(".SH SHARED OPTIONS")
	e := &env{verb: &verb{}}
	e.verb.flagSet(e).VisitAll(func(f *flag.Flag) { line(".TP\n.B %s\n%s", roff(flagName(f)), roff(flagUsage(f))) })
	return b.String()
}

// roff protects text from the formatter.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
