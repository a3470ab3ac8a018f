package httpapi

import (
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"

	"github.com/drover-org/drover/api"
)

// FuzzEventTopics holds that topics and what else chooses a stream are refused
// or mean what they say.
func FuzzEventTopics(f *testing.F) {
	for _, q := range []string{"", "topic=Job", "topic=Job:web&topic=Allocation", "topic=*:*", "topic=Evaluation:::*", "topic=:", "topic=Job:", "topic=Nope", "index=5&topic=Job:a:b",
		"index=now", "index=-1", "topic=Job:%00", "namespace=*", "topic", "topic=Job%3Aweb", "topic=Job;x", "%"} {
		f.Add(q, "text/event-stream", "7")
	}
	f.Add("", "a/b;q=0.1, text/event-stream; charset=\"x", "18446744073709551615")
	f.Add("topic=Job", "*/*", "-1")
	f.Fuzz(func(t *testing.T, query, accept, last string) {
		r := httptest.NewRequest("GET", "/v1/event/stream", nil)
		r.URL.RawQuery = query
		r.Header["Accept"] = []string{accept}
		r.Header["Last-Event-Id"] = []string{last}
		opts, err := eventOptions(r, acceptsSSE(r))
		if err != nil {
			if api.ErrorCode(err) != api.CodeInvalid {
				t.Fatal(err)
			}
			return
		}
		if len(opts.Topics) == 0 || len(opts.Topics) > maxEventTopics {
			t.Fatalf("%d topics", len(opts.Topics))
		}
		given := url.Values{}
		for topic, keys := range opts.Topics {
			if !slices.Contains(api.Topics(), topic) || len(keys) == 0 {
				t.Fatalf("topic %q with keys %q", topic, keys)
			}
			for _, key := range keys {
				given.Add("topic", string(topic)+":"+key)
			}
		}
		again, err := eventTopics(given["topic"])
		if err != nil || len(again) != len(opts.Topics) {
			t.Fatalf("what was understood is not understood again: %v", err)
		}
	})
}
