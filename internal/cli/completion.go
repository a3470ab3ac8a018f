package cli

import (
	"context"
	"flag"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
)

// completeVerb is the hidden word with which shells ask for candidates.
const completeVerb = "__complete"

// completeTimeout bounds how long a Tab key may take.
const completeTimeout = 2 * time.Second

func completionVerb() *verb {
	return &verb{
		name: "completion", args: "bash|zsh|fish", offline: true, argKind: "shell",
		short: "Print a script that completes commands in a shell",
		long: `
Prints the script for a shell:

  bash   source <(drover completion bash)
  zsh    source <(drover completion zsh)
  fish   drover completion fish | source

Commands, options, and the IDs that the agent knows are completed.`,
		run: func(_ context.Context, e *env, args []string) error {
			shell, err := one(args, "shell")
			if err != nil {
				return err
			}
			script, ok := completionScripts[shell]
			if !ok {
				return usagef("shell %q is none of bash, zsh and fish", shell)
			}
			_, err = fmt.Fprint(e.Out, script)
			return err
		},
	}
}

var completionScripts = map[string]string{
	"bash": `_drover() {
    local IFS=$'\n'
    COMPREPLY=($(drover __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
    if [ "${COMPREPLY[0]}" = ":files" ]; then
        COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
        compopt -o filenames 2>/dev/null
    fi
}
complete -F _drover drover
`,
	"zsh": `#compdef drover
_drover() {
    local -a found
    found=("${(@f)$(drover __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [ "${found[1]}" = ":files" ]; then
        _files
    elif [ -n "${found[1]}" ]; then
        compadd -- "${found[@]}"
    fi
}
if [ "$funcstack[1]" = "_drover" ]; then _drover; else compdef _drover drover; fi
`,
	"fish": `function __drover_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found (drover __complete -- $words[2..-1] 2>/dev/null)
    if test "$found[1]" = ":files"
        __fish_complete_path (commandline -ct)
    else
        printf '%s\n' $found
    end
end
complete -c drover -f -a '(__drover_complete)'
`,
}

// runComplete prints the candidates for the last of the words, one a line;
// ":files" leaves it to the shell.
func runComplete(ctx context.Context, io Stdio, table []*verb, words []string) int {
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	if len(words) == 0 {
		words = []string{""}
	}
	before, last := words[:len(words)-1], words[len(words)-1]
	found := completeWord(ctx, io, table, before, last)
	sort.Strings(found)
	for i, f := range found {
		if strings.HasPrefix(f, last) || f == ":files" {
			if i == 0 || found[i-1] != f {
				_, _ = fmt.Fprintln(io.Out, f)
			}
		}
	}
	return exitOK
}

func completeWord(ctx context.Context, io Stdio, table []*verb, before []string, last string) []string {
	if len(before) > 0 && before[0] == "help" {
		return nextWords(table, before[1:])
	}
	v, args := find(table, before)
	if v == nil {
		words := nextWords(table, before)
		if len(before) == 0 {
			words = append(words, "help")
		}
		return words
	}
	if len(args) == 0 && len(before) == 1 && len(groupOf(table, before[0])) > 0 {
		return nextWords(table, before)
	}
	e := &env{Stdio: io, verb: v}
	defer e.close()
	fs := v.flagSet(e)
	if strings.HasPrefix(last, "-") {
		var out []string
		dashes := last[:len(last)-len(strings.TrimLeft(last, "-"))]
		if len(dashes) > 2 {
			return nil
		}
		fs.VisitAll(func(f *flag.Flag) { out = append(out, dashes+f.Name) })
		return out
	}
	// What was typed so far chooses the agent; mistakes in it don't matter yet.
	_, _ = parseFlags(fs, args, v.rawArgs)
	return e.candidates(ctx, fs, last)
}

// nextWords are the words of commands that can follow.
func nextWords(table []*verb, before []string) []string {
	var out []string
	for _, v := range table {
		for _, name := range append([]string{v.name}, v.aliases...) {
			w := strings.Fields(name)
			if len(w) > len(before) && strings.Join(w[:len(before)], " ") == strings.Join(before, " ") {
				out = append(out, w[len(before)])
			}
		}
	}
	return out
}

// candidates are the arguments that a verb takes.
func (e *env) candidates(ctx context.Context, fs *flag.FlagSet, last string) []string {
	kind := e.verb.argKind
	if f := fs.Lookup("job"); f != nil && f.Value.String() == "true" {
		kind = "job"
	}
	contexts := map[string]string{"job": "jobs", "alloc": "allocs", "node": "nodes", "eval": "evals", "deployment": "deployment", "namespace": "namespaces", "pool": "node_pools", "any": "all"}
	switch kind {
	case "file":
		return []string{":files"}
	case "shell":
		return []string{"bash", "zsh", "fish"}
	case "":
		return nil
	}
	c, err := e.client()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, completeTimeout)
	defer cancel()
	if kind != "job" && kind != "namespace" && kind != "pool" && kind != "any" && len(strings.ReplaceAll(last, "-", ""))%2 == 1 {
		last = last[:len(last)-1]
	}
	resp, err := c.Search().Prefix(ctx, &api.SearchRequest{Prefix: last, Context: contexts[kind], Namespace: e.conn.Namespace})
	if err != nil {
		return nil
	}
	var out []string
	for _, m := range resp.Matches {
		out = append(out, m...)
	}
	return out
}
