package httpapi_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
)

// tableRows returns the rows of the Markdown table under a heading, without
// its head.
func tableRows(t *testing.T, file, heading string) (rows [][]string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(b), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("%s has no section %q", file, heading)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		rows = append(rows, cells)
	}
	if len(rows) < 3 {
		t.Fatalf("%s, %q: no table", file, heading)
	}
	return rows[2:]
}

const contractFile = "../../docs/api/allocations.md"

// Every row of the contract is asked of the real handler: its status, and what
// its answer says.
func TestContract(t *testing.T) {
	w := newWorld(t)
	reg := w.run("example", 2)
	ids := w.place("example", reg.EvalID, 2)
	w.report(ids[0], "running")
	names := strings.NewReplacer(":alloc_id", ids[0], ":other", ids[1], ":unknown", noID, ":eval_id", reg.EvalID, ":node_id", nodeID, ":first8", ids[0][:8])
	for _, row := range tableRows(t, contractFile, "Requests") {
		method, target, ok := strings.Cut(row[0], " ")
		if !ok || len(row) != 3 {
			t.Errorf("row %q is not: request, status, answer", row)
			continue
		}
		status, body, h := w.call(method, strings.ReplaceAll(names.Replace(target), " ", "+"), "")
		if strconv.Itoa(status) != row[1] || !strings.Contains(body, names.Replace(row[2])) {
			t.Errorf("%s: %d %.200s\nthe contract says %s with %s", row[0], status, body, row[1], row[2])
		}
		if status == 200 && method == "GET" && h.Get("X-Nomad-Index") == "" && !strings.Contains(target, "/v1/client/") {
			t.Errorf("%s: no X-Nomad-Index", row[0])
		}
	}
}

// What the contract says to block blocks, and the rest answers at once.
func TestContractBlocking(t *testing.T) {
	for _, row := range tableRows(t, contractFile, "Endpoints") {
		if !strings.HasPrefix(row[0], "GET") || strings.Contains(row[1], "/v1/client/") {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			reg := w.run("example", 1)
			id := w.place("example", reg.EvalID, 1)[0]
			target := strings.NewReplacer(":alloc_id", id, ":job_id", "example", ":eval_id", reg.EvalID, ":node_id", nodeID).Replace(row[1])
			q := w.blocked(t.Context(), target+"?wait=1s", w.store.Snapshot().Index())
			done, _, code := q()
			if done == (row[2] == "yes") || done && code != 200 {
				t.Errorf("%s: blocking is %s in the contract; it answered at once: %t, %d", row[1], row[2], done, code)
			}
		})
	}
}
