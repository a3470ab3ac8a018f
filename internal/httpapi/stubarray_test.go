package httpapi_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// listed asks for a list and returns how many allocations of each namespace
// are in it, and the answer's body as it was before compression.
func (w *world) listed(target, token, accept string) (map[string]int, string) {
	w.t.Helper()
	r, rec := httptest.NewRequest("GET", target, nil), httptest.NewRecorder()
	r.Host = "localhost"
	r.Header.Set("X-Nomad-Token", token)
	r.Header.Set("Accept-Encoding", accept)
	w.h.ServeHTTP(rec, r)
	var body io.Reader = rec.Body
	if rec.Header().Get("Content-Encoding") == "gzip" {
		gz, err := gzip.NewReader(rec.Body)
		if err != nil {
			w.t.Fatal(err)
		}
		body = gz
	}
	text, err := io.ReadAll(body)
	if err != nil {
		w.t.Fatal(err)
	}
	if rec.Code != 200 {
		return nil, string(text)
	}
	var stubs []*api.AllocListStub
	if err := json.Unmarshal(text, &stubs); err != nil {
		w.t.Fatalf("%s: %v", target, err)
	}
	n := map[string]int{}
	for _, s := range stubs {
		n[s.Namespace]++
	}
	return n, string(text)
}

// Callers with different rights ask the same questions of the same state, in
// any order, and each is shown what he may see: what is kept and shared never
// decides that. A right that changes counts at once, though the state's index
// stays.
func TestSharedAnswersShowWhatTheCallerMaySee(t *testing.T) {
	w := newWorld(t)
	w.load(t, "default", 300)
	w.send("PUT", "/v1/namespace", `{"Name":"secret"}`, nil)
	w.load(t, "secret", 100)
	var mu sync.Mutex
	secret := map[string]bool{"both": true}
	w.sees = func(token, ns string) bool {
		mu.Lock()
		defer mu.Unlock()
		return ns == "default" || secret[token]
	}
	for range 3 {
		for _, token := range []string{"one", "both", "one"} {
			for _, query := range []string{"", "&task_states=false", "&per_page=350", "&filter=" + `ClientStatus+%3D%3D+%22running%22`, "&reverse=true", "&prefix="} {
				for _, accept := range []string{"", "gzip"} {
					n, _ := w.listed("/v1/allocations?namespace=*"+query, token, accept)
					want := 0
					if token == "both" {
						want = 100
						if query == "&per_page=350" {
							want = 50
						}
					}
					if n["default"] == 0 || n["secret"] != want {
						t.Errorf("%s asks %q (%s): shown %v", token, query, accept, n)
					}
				}
			}
			n, _ := w.listed("/v1/allocations?namespace=secret", token, "")
			if token != "both" && n != nil || token == "both" && n["secret"] != 100 {
				t.Errorf("%s asks for the namespace: shown %v", token, n)
			}
		}
	}
	mu.Lock()
	secret["both"] = false
	mu.Unlock()
	if n, _ := w.listed("/v1/allocations?namespace=*", "both", ""); n["secret"] != 0 {
		t.Errorf("after the right is lost: shown %v", n)
	}
	mu.Lock()
	secret["one"] = true
	mu.Unlock()
	if n, _ := w.listed("/v1/allocations?namespace=*", "one", ""); n["secret"] != 100 {
		t.Errorf("after the right is given: shown %v", n)
	}
}

// The list put together from kept segments is the list encoded anew, after any
// change.
func TestListsFollowChanges(t *testing.T) {
	w := newWorld(t)
	changes := w.load(t, "default", 700)
	for i := range 40 {
		target := "/v1/allocations?resources=" + fmt.Sprint(i%2 == 0)
		_, plain := w.listed(target, "", "")
		if _, gz := w.listed(target, "", "gzip"); gz != plain {
			t.Fatal("compressed it is another list")
		}
		// The list in reverse is made without segments.
		_, back := w.listed(target+"&reverse=true", "", "")
		var a, b []json.RawMessage
		if json.Unmarshal([]byte(plain), &a) != nil || json.Unmarshal([]byte(back), &b) != nil || len(a) != 700 || len(b) != 700 {
			t.Fatal(len(a), len(b))
		}
		for k := range a {
			if !bytes.Equal(a[k], b[len(b)-1-k]) {
				t.Fatalf("round %d: %s\nwant %s", i, a[k], b[len(b)-1-k])
			}
		}
		u := changes[i*17%len(changes)]
		u.TaskStates["redis"].Restarts = uint64(1000 + i)
		w.propose(&store.UpdateAllocs{NodeID: nodeID, Updates: []*api.AllocUpdate{u}, Now: int64(i)})
		if _, now := w.listed(target, "", ""); !strings.Contains(now, fmt.Sprintf(`"Restarts":%d,`, 1000+i)) {
			t.Fatalf("round %d: the change is not in the list", i)
		}
	}
}
