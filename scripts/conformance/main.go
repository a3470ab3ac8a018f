// Command conformance runs the Go SDK's own tests against a drover binary and
// prints each by name. It compares the outcome with a file of known failures
// and their reasons: a failure that is not in the file fails the run, and so
// does one in the file that passes.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
)

const module = "github.com/hashicorp/nomad/api"

func main() {
	var o options
	flag.StringVar(&o.drover, "drover", "bin/drover", "the binary to test")
	flag.StringVar(&o.expected, "expected", "test/conformance.txt", "known failures, a line each: NAME REASON")
	flag.StringVar(&o.only, "run", "", "run only tests that match this pattern")
	flag.IntVar(&o.parallel, "parallel", 2, "how many tests run at once")
	flag.BoolVar(&o.verbose, "v", false, "print the whole output of what fails")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ok, err := run(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

type options struct {
	drover, expected, only string
	parallel               int
	verbose                bool
}

func run(ctx context.Context, o options) (bool, error) {
	known, err := readKnown(o.expected)
	if err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp("", "conformance-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	if err := prepare(ctx, o.drover, dir); err != nil {
		return false, err
	}
	results, err := runTests(ctx, o, dir)
	if err != nil {
		return false, err
	}
	return report(os.Stdout, results, known, o), nil
}

// prepare puts a copy of the SDK and its compiled tests into dir, and a
// directory bin where the tests find the binary under the name they look for.
func prepare(ctx context.Context, drover, dir string) error {
	drover, err := filepath.Abs(drover)
	if err != nil {
		return err
	}
	if _, err := os.Stat(drover); err != nil {
		return fmt.Errorf("%w: run make build", err)
	}
	out, err := command(ctx, "", "go", "mod", "download", "-json", module+"@"+version(ctx)).Output()
	if err != nil {
		return fmt.Errorf("fetching the SDK: %w", withStderr(err))
	}
	var source struct{ Dir string }
	if err := json.Unmarshal(out, &source); err != nil {
		return err
	}
	sdk := filepath.Join(dir, "sdk")
	if err := os.CopyFS(sdk, os.DirFS(source.Dir)); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		return err
	}
	if err := os.Symlink(drover, filepath.Join(dir, "bin", "nomad")); err != nil {
		return err
	}
	if out, err := command(ctx, sdk, "go", "test", "-c", "-o", filepath.Join(dir, "sdk.test"), ".").CombinedOutput(); err != nil {
		return fmt.Errorf("compiling the SDK's tests: %w\n%s", err, out)
	}
	return nil
}

// version is the SDK's version in go.mod.
func version(ctx context.Context) string {
	out, err := command(ctx, "", "go", "list", "-m", "-f", "{{.Version}}", module).Output()
	if err != nil {
		return "latest"
	}
	return strings.TrimSpace(string(out))
}

func command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	if dir == "" {
		cmd.Env = os.Environ()
	}
	return cmd
}

func withStderr(err error) error {
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return fmt.Errorf("%w\n%s", err, e.Stderr)
	}
	return err
}

// runTests runs the compiled tests and returns what became of each top-level
// one, in the order of their ends.
func runTests(ctx context.Context, o options, dir string) ([]result, error) {
	args := []string{"tool", "test2json", "-p", module, filepath.Join(dir, "sdk.test"),
		"-test.v=test2json", "-test.timeout=20m", "-test.parallel=" + strconv.Itoa(o.parallel)}
	if o.only != "" {
		args = append(args, "-test.run="+o.only)
	}
	cmd := command(ctx, filepath.Join(dir, "sdk"), "go", args...)
	cmd.Env = append(cmd.Env, "PATH="+filepath.Join(dir, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"))
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	results, err := collect(pipe)
	if err != nil {
		return nil, err
	}
	waitErr := cmd.Wait()
	if len(results) == 0 {
		return nil, fmt.Errorf("no test ran: %w", cmpErr(waitErr))
	}
	return results, nil
}

func cmpErr(err error) error {
	if err == nil {
		return errors.New("none matches")
	}
	return err
}

// readKnown reads the known failures: a name and its reason per line, # begins
// a comment. A reason that begins with "sometimes" lets the test pass as well.
func readKnown(file string) (map[string]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseKnown(f, file)
}

func parseKnown(r io.Reader, file string) (map[string]string, error) {
	known := map[string]string{}
	sc := bufio.NewScanner(r)
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimSpace(sc.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, reason, _ := strings.Cut(line, " ")
		if reason = strings.TrimSpace(reason); reason == "" {
			return nil, fmt.Errorf("%s:%d: %s has no reason", file, n, name)
		}
		if known[name] != "" {
			return nil, fmt.Errorf("%s:%d: %s is there twice", file, n, name)
		}
		known[name] = reason
	}
	return known, sc.Err()
}
