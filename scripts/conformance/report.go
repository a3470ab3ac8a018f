package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is one line of test2json.
type event struct {
	Action string
	Test   string
	Output string
}

// result is what became of one top-level test.
type result struct {
	name   string
	action string // pass, fail, skip
	output string // its own and its subtests'
}

// collect reads events until they end. A test that never ended failed.
func collect(r io.Reader) ([]result, error) {
	var results []result
	open := map[string]*strings.Builder{}
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		var e event
		if json.Unmarshal(sc.Bytes(), &e) != nil || e.Test == "" {
			continue
		}
		top, _, isSub := strings.Cut(e.Test, "/")
		if open[top] == nil {
			open[top] = &strings.Builder{}
		}
		switch e.Action {
		case "output":
			open[top].WriteString(e.Output)
		case "pass", "fail", "skip":
			if !isSub {
				results = append(results, result{top, e.Action, open[top].String()})
				delete(open, top)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(open)) {
		results = append(results, result{name, "fail", open[name].String() + "\nnever ended\n"})
	}
	return results, sc.Err()
}

// report prints the results and whether they are those that were expected.
func report(w io.Writer, results []result, known map[string]string, o options) bool {
	slices.SortFunc(results, func(a, b result) int { return strings.Compare(a.name, b.name) })
	counts := map[string]int{}
	ran := map[string]bool{}
	var surprises []string
	for _, r := range results {
		counts[r.action]++
		ran[r.name] = true
		fmt.Fprintf(w, "%-4s  %s", r.action, r.name)
		reason := known[r.name]
		switch r.action {
		case "pass":
			if reason != "" && !strings.HasPrefix(reason, "sometimes") {
				surprises = append(surprises, r.name+" passes: take it off the known failures")
			}
		case "skip":
			fmt.Fprintf(w, "  (%s)", complaint(r.output))
		case "fail":
			if reason == "" {
				surprises = append(surprises, r.name+" fails: "+complaint(r.output))
				reason = complaint(r.output)
			}
			fmt.Fprintf(w, "  (%s)", reason)
		}
		fmt.Fprintln(w)
		if r.action == "fail" && o.verbose {
			fmt.Fprintln(w, r.output)
		}
	}
	if o.only == "" {
		for _, name := range slices.Sorted(maps.Keys(known)) {
			if !ran[name] {
				surprises = append(surprises, name+" is no test: take it off the known failures")
			}
		}
	}
	for _, s := range surprises {
		fmt.Fprintln(w, "unexpected:", s)
	}
	verdict := "ok"
	if len(surprises) > 0 {
		verdict = "FAIL"
	}
	fmt.Fprintf(w, "%s: %d passed, %d failed, %d skipped of %d tests of the SDK\n",
		verdict, counts["pass"], counts["fail"], counts["skip"], len(results))
	return len(surprises) == 0
}

// complaint is the line of a test's output that says most about why.
func complaint(output string) string {
	text := ""
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		switch {
		case line == "", strings.HasPrefix(line, "==="), strings.HasPrefix(line, "---"):
		case strings.Contains(line, "↪"), strings.Contains(line, "error:"), strings.Contains(line, "rror"):
			return line
		default:
			text = line
		}
	}
	return text
}
