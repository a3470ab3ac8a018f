package test

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/hashicorp/nomad/api"
)

const (
	contractFile = "../docs/api/allocations.md"
	samples      = "../internal/httpapi/testdata/samples/"
)

// What nodes answer is what the contract and the samples of the API's
// documentation say, asked of a real agent.
func TestContractAtTheNode(t *testing.T) {
	c := devAgent(t)
	job := sdkJob("contract", "trap : HUP; while :; do sleep 0.05; done")
	first := api.NewTask("init", "raw_exec").SetConfig("command", "/bin/true")
	first.Lifecycle = &api.TaskLifecycle{Hook: "prestart"}
	job.TaskGroups[0].AddTask(first)
	if _, _, err := c.Jobs().Register(job, nil); err != nil {
		t.Fatal(err)
	}
	var id string
	until(t, "running task", func() bool {
		list, _, err := c.Allocations().List(nil)
		if err != nil || len(list) != 1 || list[0].ClientStatus != "running" {
			return false
		}
		id = list[0].ID
		s := list[0].TaskStates
		return s["main"] != nil && s["main"].State == "running" && s["init"].State == "dead"
	})
	for _, row := range contractRows(t, "At the node") {
		method, target, _ := strings.Cut(strings.ReplaceAll(row[0], ":alloc_id", id), " ")
		target, query, _ := strings.Cut(target, "?")
		if q, err := url.ParseQuery(query); err == nil {
			target += "?" + q.Encode()
		}
		status, body := ask(t, method, target, row[1])
		if strconv.Itoa(status) != row[2] || !strings.Contains(body, row[3]) {
			t.Errorf("%s %s: %d %s\nthe contract says %s with %s", row[0], row[1], status, body, row[2], row[3])
		}
	}
	running := func(restarts uint64) {
		until(t, "running task", func() bool {
			a, _, err := c.Allocations().Info(id, nil)
			return err == nil && a.TaskStates["main"].Restarts == restarts && a.TaskStates["main"].State == "running"
		})
	}
	restarts := uint64(1) // the page restarted it
	running(restarts)
	for _, verb := range []string{"signal", "restart"} {
		in, want := sampleFrames(t, verb+".request.json")[0], sampleFrames(t, verb+".json")[0]
		in = strings.ReplaceAll(strings.ReplaceAll(in, "FOO", "main"), "SIGUSR1", "SIGHUP")
		status, body := ask(t, "PUT", "/v1/client/allocation/"+id+"/"+verb, in)
		if status != 200 || strings.TrimSpace(body) != want {
			t.Errorf("%s: %d %s, the sample is %s", verb, status, body, want)
		}
		if verb == "restart" {
			restarts++
		}
		running(restarts)
	}
	execSamples(t, id)
}

// execSamples sends the frames of the samples, and wants frames that look like
// those of the samples and all of them.
func execSamples(t *testing.T, id string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	q := url.Values{"task": {"main"}, "command": {`["/bin/sh","-c","cat; echo to stderr >&2; exit 3"]`}, "ws_handshake": {"true"}}
	conn, _, err := websocket.Dial(ctx, os.Getenv("NOMAD_ADDR")+"/v1/client/allocation/"+id+"/exec?"+q.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	for _, frame := range sampleFrames(t, "exec.in.jsonl") {
		if err := conn.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
			t.Fatal(err)
		}
	}
	forms := map[string]bool{}
	for _, frame := range sampleFrames(t, "exec.out.jsonl") {
		if frame != "{}" { // pings of the websocket show that a session lives
			forms[form(t, frame)] = false
		}
	}
	var got []string
	for {
		_, b, err := conn.Read(ctx)
		if err != nil {
			if websocket.CloseStatus(err) != websocket.StatusNormalClosure {
				t.Error(err)
			}
			break
		}
		got = append(got, string(b))
		f := form(t, string(b))
		if _, ok := forms[f]; !ok {
			t.Errorf("frame %s has the form %s, which no sample has", b, f)
		}
		forms[f] = true
	}
	for f, seen := range forms {
		if !seen {
			t.Errorf("there is no frame of the form %s in %q", f, got)
		}
	}
	if want := `{"exited":true,"result":{"exit_code":3}}`; len(got) == 0 || got[len(got)-1] != want {
		t.Errorf("the last frame of %q is not %s", got, want)
	}
	if want := `{"stdout":{"data":"aGkK"}}`; !slices.Contains(got, want) {
		t.Errorf("%q does not hold %s", got, want)
	}
}

// form is the structure of a frame: its members and their types.
func form(t *testing.T, frame string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(frame), &v); err != nil {
		t.Fatalf("%s: %v", frame, err)
	}
	var walk func(v any) string
	walk = func(v any) string {
		switch v := v.(type) {
		case map[string]any:
			var members []string
			for _, key := range slices.Sorted(maps.Keys(v)) {
				members = append(members, key+":"+walk(v[key]))
			}
			return "{" + strings.Join(members, ",") + "}"
		case string:
			return "text"
		case float64:
			return "number"
		case bool:
			return strconv.FormatBool(v)
		}
		return "?"
	}
	return walk(v)
}

// sampleFrames returns the lines of a sample.
func sampleFrames(t *testing.T, name string) []string {
	t.Helper()
	b, err := os.ReadFile(samples + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

func ask(t *testing.T, method, target, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, os.Getenv("NOMAD_ADDR")+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// contractRows returns the rows of a table of the contract, without its head.
func contractRows(t *testing.T, heading string) (rows [][]string) {
	t.Helper()
	b, err := os.ReadFile(contractFile)
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(b), "\n## "+heading+"\n")
	for line := range strings.Lines(text) {
		if line, ok := strings.CutPrefix(strings.TrimSpace(line), "|"); ok {
			cells := strings.Split(strings.TrimSuffix(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.ReplaceAll(strings.TrimSpace(cells[i]), "`", "")
			}
			rows = append(rows, cells)
		}
	}
	if len(rows) < 3 {
		t.Fatalf("no table %q", heading)
	}
	return rows[2:]
}
