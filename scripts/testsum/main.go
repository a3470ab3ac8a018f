// Command testsum reads the output of "go test -json", prints what a person
// wants to see of it (one line per package, everything about failures) and
// closes with one line. It fails when a test or build failed; with -strict
// also when a test was skipped or fewer ran than -floor says.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"
)

// event is one line of "go test -json".
type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Output      string
	Elapsed     float64
	FailedBuild string
}

// summary counts what has been seen.
type summary struct {
	out      io.Writer
	packages int
	passed   int
	failed   []string
	skipped  []string
	output   map[string]*strings.Builder // by package and test, until it passed
	broken   map[string]bool             // packages and builds that failed
}

func main() {
	strict := flag.Bool("strict", false, "a skipped test is a failure, too few tests are one")
	floorFile := flag.String("floor", "", "file with the least number of tests")
	flag.Parse()
	started := time.Now()
	s := newSummary(os.Stdout)
	if err := s.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
		os.Exit(2)
	}
	floor, err := readFloor(*floorFile)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
		os.Exit(2)
	}
	if !s.conclude(*strict, floor, time.Since(started)) {
		os.Exit(1)
	}
}

func newSummary(out io.Writer) *summary {
	return &summary{out: out, output: map[string]*strings.Builder{}, broken: map[string]bool{}}
}

func readFloor(file string) (int, error) {
	if file == "" {
		return 0, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

func (s *summary) read(r io.Reader) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		var e event
		if err := json.Unmarshal(sc.Bytes(), &e); err != nil {
			fmt.Fprintln(s.out, sc.Text()) // what the go command itself has to say
			continue
		}
		s.take(&e)
	}
	return sc.Err()
}

func (s *summary) take(e *event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		if s.output[key] == nil {
			s.output[key] = &strings.Builder{}
		}
		s.output[key].WriteString(e.Output)
	case "build-output":
		fmt.Fprint(s.out, e.Output)
	case "build-fail":
		s.broken[e.ImportPath] = true
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(e)
		} else {
			s.endTest(e, key)
		}
	}
}

func (s *summary) endTest(e *event, key string) {
	name := e.Package + " " + e.Test
	switch e.Action {
	case "pass":
		s.passed++
	case "skip":
		s.skipped = append(s.skipped, name+reason(s.output[key]))
	case "fail":
		s.failed = append(s.failed, name)
		if o := s.output[key]; o != nil {
			fmt.Fprint(s.out, o.String())
		}
	}
	delete(s.output, key)
}

// reason is the last line of a skipped test's output: why it was.
func reason(o *strings.Builder) string {
	if o == nil {
		return ""
	}
	text := ""
	for line := range strings.Lines(o.String()) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "===") {
			text = ": " + line
		}
	}
	return text
}

func (s *summary) endPackage(e *event) {
	switch e.Action {
	case "pass":
		s.packages++
		fmt.Fprintf(s.out, "ok    %-60s %6.1f s\n", e.Package, e.Elapsed)
	case "fail":
		s.packages++
		s.broken[e.Package] = true
		// Tests that never ended (a panic, a timeout) are told here.
		for _, key := range sortedKeys(s.output) {
			if strings.HasPrefix(key, e.Package+" ") {
				fmt.Fprint(s.out, s.output[key].String())
			}
		}
		fmt.Fprintf(s.out, "FAIL  %-60s %6.1f s\n", e.Package, e.Elapsed)
	}
	for key := range s.output {
		if strings.HasPrefix(key, e.Package+" ") {
			delete(s.output, key)
		}
	}
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// conclude prints the last line and reports whether all is well.
func (s *summary) conclude(strict bool, floor int, took time.Duration) bool {
	for _, name := range s.skipped {
		fmt.Fprintln(s.out, "skipped:", name)
	}
	for _, name := range s.failed {
		fmt.Fprintln(s.out, "failed:", name)
	}
	for _, name := range sortedKeys(s.broken) {
		fmt.Fprintln(s.out, "broken:", name)
	}
	ran := s.passed + len(s.failed)
	counts := fmt.Sprintf("%d tests in %d packages, %d skipped, %.0f s", ran, s.packages, len(s.skipped), took.Seconds())
	switch {
	case len(s.failed) > 0 || len(s.broken) > 0:
		fmt.Fprintf(s.out, "FAIL: %d failed of %s\n", max(len(s.failed), 1), counts)
	case ran == 0:
		fmt.Fprintln(s.out, "FAIL: no test ran")
	case strict && len(s.skipped) > 0:
		fmt.Fprintf(s.out, "FAIL: skipped tests count as failures here; %s\n", counts)
	case strict && ran < floor:
		fmt.Fprintf(s.out, "FAIL: at least %d tests must run (test/floor); %s\n", floor, counts)
	default:
		fmt.Fprintf(s.out, "ok: %s\n", counts)
		return true
	}
	return false
}
