package events_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/events"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var large = events.Config{Batches: 1 << 20, Bytes: 1 << 30, EncodedBytes: 1 << 30}

func jobChange(id string) []events.Change {
	return []events.Change{{Topic: api.TopicJob, Type: "JobRegistered", Row: &api.Job{ID: id, Namespace: "default"}}}
}

func subscribe(t *testing.T, r *events.Ring, from, current uint64) *events.Subscription {
	t.Helper()
	s, err := r.Subscribe(from, current)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// drain takes everything and writes it down: indexes, and gaps as from-to.
func drain(s *events.Subscription) string {
	var out []string
	for {
		b, gap := s.Take()
		switch {
		case gap != nil:
			out = append(out, fmt.Sprintf("gap %d-%d", gap.From, gap.To))
		case b != nil:
			out = append(out, fmt.Sprint(b.Index))
		default:
			return strings.Join(out, " ")
		}
	}
}

func TestWhereAStreamBegins(t *testing.T) {
	r := events.New(events.Config{Batches: 3, Bytes: 1 << 30, EncodedBytes: 1 << 20})
	for _, i := range []uint64{2, 4, 6, 8, 10} {
		r.Publish(i, jobChange("a"))
	}
	r.Publish(11, nil)
	for _, tt := range []struct {
		from, current uint64
		want          string
	}{
		{0, 11, "6 8 10"},
		{5, 11, "6 8 10"},
		{6, 11, "6 8 10"},
		{7, 11, "8 10"},
		{11, 11, ""},
		{12, 11, ""},
		{13, 12, ""},              // the state was read before its events came
		{4, 11, "gap 4-4 6 8 10"}, // 4 itself is gone
		{1, 11, "gap 1-4 6 8 10"},
		{40, 11, "gap 12-11"}, // another history
	} {
		if got := drain(subscribe(t, r, tt.from, tt.current)); got != tt.want {
			t.Errorf("from %d with a state of %d: got %q, want %q", tt.from, tt.current, got, tt.want)
		}
	}
}

func TestASlowReaderIsToldWhatItMissed(t *testing.T) {
	r := events.New(events.Config{Batches: 2, Bytes: 1 << 30, EncodedBytes: 1 << 20})
	s := subscribe(t, r, 0, 0)
	for i := uint64(1); i <= 5; i++ {
		r.Publish(i, jobChange("a"))
	}
	if got := drain(s); got != "gap 1-3 4 5" {
		t.Errorf("got %q", got)
	}
	if n := r.Stats().Missed; n != 3 {
		t.Errorf("%d batches are counted as missed, want 3", n)
	}
	r.Publish(6, jobChange("a"))
	if got := drain(s); got != "6" {
		t.Errorf("after the gap: %q", got)
	}
}

func TestASnapshotEmptiesTheRing(t *testing.T) {
	r := events.New(large)
	s := subscribe(t, r, 0, 0)
	r.Publish(7, jobChange("a"))
	if got := drain(s); got != "7" {
		t.Fatal(got)
	}
	ready := s.Ready()
	r.Reset(20)
	<-ready
	r.Publish(21, jobChange("b"))
	if got := drain(s); got != "gap 8-20 21" {
		t.Errorf("forward: %q", got)
	}
	r.Reset(3)
	r.Publish(4, jobChange("c"))
	if got := drain(s); got != "gap 4-3 4" {
		t.Errorf("back: %q", got)
	}
}

func TestBytesBoundTheRing(t *testing.T) {
	r := events.New(events.Config{Batches: 1 << 20, Bytes: 64 << 10, EncodedBytes: 1 << 20})
	for i := range uint64(1000) {
		r.Publish(i+1, jobChange("a"))
	}
	if st := r.Stats(); st.Bytes > 64<<10 || st.Batches < 10 {
		t.Errorf("the ring keeps %+v", st)
	}
}

func TestSubscribersAreBounded(t *testing.T) {
	r := events.New(large)
	for range events.MaxSubscribers {
		subscribe(t, r, 0, 0)
	}
	if _, err := r.Subscribe(0, 0); api.ErrorCode(err) != api.CodeLimited {
		t.Errorf("one more: %v", err)
	}
}

// Whoever asks first makes the JSON; the others get the same bytes, as long as
// they are kept.
func TestJSONIsShared(t *testing.T) {
	r := events.New(events.Config{Batches: 100, Bytes: 1 << 30, EncodedBytes: 4 << 10})
	for i := range uint64(50) {
		r.Publish(i+1, jobChange(fmt.Sprint("job-", i)))
	}
	a, b := subscribe(t, r, 0, 0), subscribe(t, r, 0, 0)
	var first []json.RawMessage
	for range 50 {
		one, _ := a.Take()
		two, _ := b.Take()
		x, err1 := one.Events()[0].JSON()
		y, err2 := two.Events()[0].JSON()
		if err1 != nil || err2 != nil || &x[0] != &y[0] {
			t.Fatalf("not shared: %v %v", err1, err2)
		}
		first = append(first, x)
	}
	c := subscribe(t, r, 0, 0)
	old, _ := c.Take()
	if text, _ := old.Events()[0].JSON(); &text[0] == &first[0][0] || string(text) != string(first[0]) {
		t.Error("the oldest JSON is kept beyond the bound, or differs when it is made again")
	}
}

// One event of an object per batch, as it was at the end.
func TestTheLastChangeCounts(t *testing.T) {
	r := events.New(large)
	r.Publish(1, []events.Change{
		{Topic: api.TopicEvaluation, Type: "PlanResult", Row: &api.Evaluation{ID: "e", Status: "pending"}},
		{Topic: api.TopicAllocation, Type: "PlanResult", Row: &api.Allocation{ID: "e", JobID: "j", DeploymentID: "d", Job: &api.Job{ID: "j"}}},
		{Topic: api.TopicEvaluation, Type: "PlanResult", Row: &api.Evaluation{ID: "e", JobID: "j", Status: "complete"}},
	})
	b, _ := subscribe(t, r, 0, 0).Take()
	if len(b.Events()) != 2 {
		t.Fatalf("%d events", len(b.Events()))
	}
	eval, alloc := b.Events()[0], b.Events()[1]
	text, _ := eval.JSON()
	if !strings.Contains(string(text), `"Status":"complete"`) || !eval.Matches("j") || eval.Matches("d") {
		t.Errorf("evaluation: %s", text)
	}
	text, _ = alloc.JSON()
	if strings.Contains(string(text), `"Job":{`) || !alloc.Matches("j") || !alloc.Matches("d") || !alloc.Matches("e") || !alloc.Matches("*") {
		t.Errorf("allocation: %s", text)
	}
	if !strings.HasPrefix(string(text), `{"Topic":"Allocation","Type":"PlanResult","Key":"e","Namespace":"","FilterKeys":["j","d"],"Index":1,"Payload":{"Allocation":{`) {
		t.Errorf("wire form: %s", text)
	}
}

// Readers who come and go at random, each at its last index plus one, see
// every index once and in order; what a small ring lost is covered by gaps.
func TestReconnectingReadersMissNothing(t *testing.T) {
	for name, bounds := range map[string]events.Config{"all is kept": large, "little is kept": {Batches: 8, Bytes: 1 << 30, EncodedBytes: 1 << 12}} {
		t.Run(name, func(t *testing.T) {
			const last = 20_000
			r := events.New(bounds)
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					next := uint64(1) // everything below is accounted for
					for next <= last {
						s, err := r.Subscribe(next, next-1)
						if err != nil {
							t.Error(err)
							return
						}
						for n := rand.N(200); n >= 0 && next <= last; n-- {
							b, gap := s.Take()
							switch {
							case gap != nil:
								if bounds == large || gap.From != next || gap.To < next {
									t.Errorf("gap %+v at %d", gap, next)
								}
								next = gap.To + 1
							case b == nil:
								<-s.Ready()
							case b.Index != next || b.Events()[0].Key != fmt.Sprint(next):
								t.Errorf("got %d, want %d", b.Index, next)
								s.Close()
								return
							default:
								if _, err := b.Events()[0].JSON(); err != nil {
									t.Error(err)
								}
								next++
							}
						}
						s.Close()
					}
				})
			}
			for i := uint64(1); i <= last; i++ {
				r.Publish(i, jobChange(fmt.Sprint(i)))
			}
			wg.Wait()
			if n := r.Stats().Subscribers; n != 0 {
				t.Errorf("%d subscribers are left", n)
			}
		})
	}
}
