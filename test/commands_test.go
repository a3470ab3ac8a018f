package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience bounds every wait of a story.
const patience = 60 * time.Second

// commands are what stories have besides the commands of testscript:
//
//	agent start NAME [ARG…]     start an agent and wait until it is healthy;
//	                            without -dev and -data-dir it gets a data
//	                            folder. $NAME_ADDR is its address,
//	                            $NAME_PORT the port in it, and
//	                            $NOMAD_ADDR that of the first one
//	agent stop|kill9|restart NAME
//	agent freeze|thaw NAME      stop its process from running, and let it go on
//	agent wait NAME             wait until it has ended by itself
//	wait-log NAME TEXT          wait until an agent's log holds TEXT
//	wait-node [COUNT]           wait for COUNT nodes that are ready
//	wait-running JOB [COUNT]    wait for COUNT running allocations
//	wait-status JOB STATUS [COUNT]   the same for another client status
//	                            (JOB@NAMESPACE where it is not the default one)
//	wait-json PATH REGEXP       read PATH again whenever it changes, until its
//	                            JSON matches
//	[!] http METHOD PATH [FILE] ['HEADER: VALUE'…]
//	                            send a request; the body goes to stdout, the
//	                            status and headers to stderr; ! wants 4xx/5xx;
//	                            a VALUE of @FILE is read from there; without
//	                            X-Nomad-Token $NOMAD_TOKEN is sent
//	[!] ws PATH FILE            open a websocket, send each line of FILE as a
//	                            frame, print what comes until it closes; ! wants
//	                            a close with a code of refusal
//	[!] json PATH [VALUE]       compare a value of the JSON on stdout, such as
//	                            .[0].ID; without VALUE it must be there
//	set NAME PATH               put such a value into a variable
//	[!] alive PID               is there a process
//	kill SIGNAL PID             signal a process
//	idp start                   start an identity provider that knows the user
//	                            u1 of the groups ops and dev: $IDP is its URL,
//	                            $IDP_KEY its public key, as in a JSON string
//	idp sign NAME CLAIMS        put a token with claims, as JSON, into a variable
//	verify-jwt TOKEN JWKS       verify the token in a file with the keys in
//	                            another; the claims go to stdout
//	no-secret DIR TEXT          no file below a directory may hold a text
//	pty FILE COMMAND…           run a command on a terminal by the script FILE
//	                            of "send", "expect", "resize ROWS COLS" lines
func commands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"agent":        cmdAgent,
		"wait-log":     cmdWaitLog,
		"wait-node":    cmdWaitNode,
		"wait-running": cmdWaitRunning,
		"wait-status":  cmdWaitStatus,
		"wait-json":    cmdWaitJSON,
		"http":         cmdHTTP,
		"ws":           cmdWS,
		"json":         cmdJSON,
		"set":          cmdSet,
		"alive":        cmdAlive,
		"kill":         cmdKill,
		"idp":          cmdIDP,
		"verify-jwt":   cmdVerifyJWT,
		"no-secret":    cmdNoSecret,
		"pty":          cmdPTY,
	}
}

// need ends a story whose command is written wrongly.
func need(ts *testscript.TestScript, ok bool, usage string) {
	if !ok {
		ts.Fatalf("usage: %s", usage)
	}
}

// retry calls try until it reports success. The wait between two tries is for
// what has no way to be waited on; everything else uses blocking queries.
func retry(ts *testscript.TestScript, what string, try func() (bool, string)) {
	deadline := time.Now().Add(patience)
	for {
		ok, state := try()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("waited %v for %s: %s", patience, what, state)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// get reads JSON from the agent that $NOMAD_ADDR names.
func get(ts *testscript.TestScript, path string, out any) (index uint64, err error) {
	req, err := http.NewRequest(http.MethodGet, ts.Getenv("NOMAD_ADDR")+path, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("X-Nomad-Token", ts.Getenv("NOMAD_TOKEN"))
	resp, err := webClient(ts).Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return 0, fmt.Errorf("%s: %s", resp.Status, text)
	}
	index, _ = strconv.ParseUint(resp.Header.Get("X-Nomad-Index"), 10, 64)
	return index, json.NewDecoder(resp.Body).Decode(out)
}

// follow reads path again whenever it changes, until done.
func follow[T any](ts *testscript.TestScript, what, path string, done func(answer T) (bool, string)) {
	index := uint64(0)
	state := ""
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		var answer T
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		at, err := get(ts, fmt.Sprintf("%s%sindex=%d&wait=5s", path, sep, index), &answer)
		if err != nil {
			state = err.Error()
			<-time.After(50 * time.Millisecond)
			continue
		}
		index = max(at, 1)
		var ok bool
		if ok, state = done(answer); ok {
			return
		}
	}
	ts.Fatalf("waited %v for %s: %s", patience, what, state)
}

func countArg(ts *testscript.TestScript, args []string, at int) int {
	if len(args) <= at {
		return 1
	}
	n, err := strconv.Atoi(args[at])
	ts.Check(err)
	return n
}

func cmdWaitNode(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, !neg && len(args) <= 1, "wait-node [COUNT]")
	want := countArg(ts, args, 0)
	follow(ts, fmt.Sprintf("%d ready nodes", want), "/v1/nodes", func(list []map[string]any) (bool, string) {
		ready := 0
		for _, n := range list {
			if n["Status"] == "ready" {
				ready++
			}
		}
		return ready == want, fmt.Sprintf("%d are", ready)
	})
}

func cmdWaitRunning(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, !neg && (len(args) == 1 || len(args) == 2), "wait-running JOB [COUNT]")
	waitStatus(ts, args[0], "running", countArg(ts, args, 1))
}

func cmdWaitStatus(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, !neg && (len(args) == 2 || len(args) == 3), "wait-status JOB STATUS [COUNT]")
	waitStatus(ts, args[0], args[1], countArg(ts, args, 2))
}

func waitStatus(ts *testscript.TestScript, job, status string, want int) {
	id, ns, ok := strings.Cut(job, "@")
	if !ok {
		ns = "default"
	}
	follow(ts, fmt.Sprintf("%d %s allocations of %s", want, status, job), "/v1/job/"+id+"/allocations?namespace="+ns, func(list []map[string]any) (bool, string) {
		count := map[string]int{}
		for _, a := range list {
			count[fmt.Sprint(a["ClientStatus"])]++
		}
		return count[status] == want, fmt.Sprint(count)
	})
}

func cmdWaitJSON(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, !neg && len(args) == 2, "wait-json PATH REGEXP")
	want, err := regexp.Compile(args[1])
	ts.Check(err)
	follow(ts, args[1], args[0], func(answer json.RawMessage) (bool, string) { return want.Match(answer), string(answer) })
}

func cmdHTTP(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, len(args) >= 2, "[!] http METHOD PATH [FILE] ['HEADER: VALUE'…]")
	headers := args[2:]
	var body io.Reader
	if len(headers) > 0 && !strings.Contains(headers[0], ": ") {
		body, headers = strings.NewReader(ts.ReadFile(headers[0])), headers[1:]
	}
	req, err := http.NewRequest(args[0], ts.Getenv("NOMAD_ADDR")+args[1], body)
	ts.Check(err)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("X-Nomad-Token", ts.Getenv("NOMAD_TOKEN"))
	for _, h := range headers {
		name, value, ok := strings.Cut(h, ": ")
		need(ts, ok, "'HEADER: VALUE'")
		if name == "Host" {
			req.Host = value
		}
		if file, ok := strings.CutPrefix(value, "@"); ok {
			value = strings.TrimSpace(ts.ReadFile(file))
		}
		req.Header.Set(name, value)
	}
	if token := ts.Getenv("NOMAD_TOKEN"); token != "" && req.Header.Get("X-Nomad-Token") == "" {
		req.Header.Set("X-Nomad-Token", token)
	}
	resp, err := webClient(ts).Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	ts.Check(err)
	_, _ = ts.Stdout().Write(text)
	_, _ = fmt.Fprintln(ts.Stderr(), resp.Status)
	_ = resp.Header.Write(ts.Stderr())
	if failed := resp.StatusCode >= 400; failed != neg {
		ts.Fatalf("%s %s: %s\n%s", args[0], args[1], resp.Status, text)
	}
}

// at walks a path like .[0].TaskStates["a b"].Events through JSON.
func at(v any, path string) (any, bool) {
	for _, step := range regexp.MustCompile(`\[[^\]]*\]|[^.\[\]]+`).FindAllString(path, -1) {
		step = strings.Trim(step, `[]"`)
		switch node := v.(type) {
		case map[string]any:
			next, ok := node[step]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			i, err := strconv.Atoi(step)
			if step == "length" {
				v = json.Number(strconv.Itoa(len(node)))
				continue
			}
			if err != nil || i < 0 || i >= len(node) {
				return nil, false
			}
			v = node[i]
		default:
			return nil, false
		}
	}
	return v, true
}

func lookup(ts *testscript.TestScript, path string) (string, bool) {
	dec := json.NewDecoder(bytes.NewReader([]byte(ts.ReadFile("stdout"))))
	dec.UseNumber()
	var v any
	ts.Check(dec.Decode(&v))
	found, ok := at(v, path)
	if !ok {
		return "", false
	}
	if s, isText := found.(string); isText {
		return s, true
	}
	text, err := json.Marshal(found)
	ts.Check(err)
	return string(text), true
}

func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, len(args) == 1 || len(args) == 2, "[!] json PATH [VALUE]")
	got, ok := lookup(ts, args[0])
	if ok && len(args) == 2 {
		ok = got == args[1]
	}
	if ok == neg {
		ts.Fatalf("%s is %q", args[0], got)
	}
}

func cmdSet(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, !neg && len(args) == 2, "set NAME PATH")
	got, ok := lookup(ts, args[1])
	if !ok {
		ts.Fatalf("there is no %s", args[1])
	}
	ts.Setenv(args[0], got)
}

func pidArg(ts *testscript.TestScript, s string) int {
	pid, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil { // a file that holds it
		pid, err = strconv.Atoi(strings.TrimSpace(ts.ReadFile(s)))
	}
	ts.Check(err)
	return pid
}

func cmdAlive(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, len(args) == 1, "[!] alive PID")
	pid := pidArg(ts, args[0])
	if neg {
		retry(ts, fmt.Sprintf("process %d to end", pid), func() (bool, string) { return !alive(pid), "it runs" })
	} else if !alive(pid) {
		ts.Fatalf("process %d is gone", pid)
	}
}

// alive reports whether a process runs; one that only waits to be reaped
// doesn't.
func alive(pid int) bool {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	after := text[bytes.LastIndexByte(text, ')')+1:]
	return len(after) > 1 && after[1] != 'Z' && after[1] != 'X'
}

func cmdKill(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, !neg && len(args) == 2, "kill SIGNAL PID")
	signals := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL, "INT": syscall.SIGINT, "HUP": syscall.SIGHUP}
	sig, ok := signals[args[0]]
	need(ts, ok, "kill TERM|KILL|INT|HUP PID")
	ts.Check(syscall.Kill(pidArg(ts, args[1]), sig))
}
