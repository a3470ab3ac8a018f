package web

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// counted is a value that counts how often it is encoded.
type counted struct {
	n    *atomic.Int64
	text string
	gate chan struct{} // closed: go on; nil: no waiting
}

func (c counted) WriteTo(w io.Writer) (int64, error) {
	c.n.Add(1)
	if c.gate != nil {
		<-c.gate
	}
	n, err := io.Copy(w, strings.NewReader(c.text))
	return n, err
}

// ask sends a request for value at version and returns the body.
func ask(t *testing.T, a *Answers, target string, version uint64, value any, header ...string) string {
	t.Helper()
	r := httptest.NewRequest("GET", target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	Wrap(slog.New(slog.DiscardHandler), func(r *http.Request) (any, error) {
		return &Reply{Value: a.Share(r, version, value)}, nil
	}).ServeHTTP(w, r)
	body := w.Body.String()
	if w.Header().Get("Content-Encoding") == "gzip" {
		gz, err := gzip.NewReader(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(gz)
		if err != nil {
			t.Fatal(err)
		}
		body = string(b)
	}
	return body
}

func TestEqualReadsShareOneEncoding(t *testing.T) {
	a := NewAnswers(1 << 20)
	v := counted{n: new(atomic.Int64), text: strings.Repeat("x", 100_000), gate: make(chan struct{})}
	var wg sync.WaitGroup
	var wrong atomic.Int64
	for i := range 50 {
		wg.Go(func() {
			target := fmt.Sprintf("/v1/things?b=2&index=%d&a=1&wait=5s", i)
			if i%2 == 0 {
				target = "/v1/things?a=1&b=2"
			}
			var header []string
			if i%3 == 0 {
				header = []string{"Accept-Encoding", "gzip"}
			}
			if ask(t, a, target, 7, v, header...) != v.text {
				wrong.Add(1)
			}
		})
	}
	close(v.gate)
	wg.Wait()
	if v.n.Load() != 1 || wrong.Load() != 0 {
		t.Errorf("encoded %d times, %d wrong answers", v.n.Load(), wrong.Load())
	}
}

func TestOtherQuestionsAreNotShared(t *testing.T) {
	a := NewAnswers(1 << 20)
	n := new(atomic.Int64)
	for _, c := range []struct {
		target  string
		version uint64
	}{{"/a", 1}, {"/b", 1}, {"/a?x=1", 1}, {"/a", 2}} {
		text := fmt.Sprintf("%q", fmt.Sprint(c))
		if got := ask(t, a, c.target, c.version, counted{n: n, text: text}); got != text {
			t.Errorf("%v was answered %s", c, got)
		}
	}
	// A reader of an older state gets the older answer, and the newer stays.
	if got := ask(t, a, "/a", 1, counted{n: n, text: "old"}); got != "old" {
		t.Errorf("the older reader got %s", got)
	}
	before := n.Load()
	ask(t, a, "/a", 2, counted{n: n, text: "never"})
	if n.Load() != before {
		t.Error("the newer answer was lost")
	}
}

func TestKeptAnswersAreBounded(t *testing.T) {
	a := NewAnswers(1 << 20)
	n := new(atomic.Int64)
	small := strings.Repeat("s", 100_000)
	for i := range 30 {
		ask(t, a, fmt.Sprint("/", i), 1, counted{n: n, text: small}, "Accept-Encoding", "gzip")
	}
	if a.bytes > a.max || a.used.Len() != len(a.byKey) || a.used.Len() < 5 {
		t.Errorf("%d bytes in %d answers (%d by key)", a.bytes, a.used.Len(), len(a.byKey))
	}
	before := n.Load()
	ask(t, a, "/29", 1, counted{n: n, text: small})
	if n.Load() != before {
		t.Error("the newest answer was dropped")
	}
	large := strings.Repeat("l", 600_000)
	for range 2 {
		if got := ask(t, a, "/large", 1, counted{n: n, text: large}); got != large {
			t.Error("an answer too large to keep is not whole")
		}
	}
	if n.Load() != before+2 {
		t.Error("an answer over the bound was kept")
	}
}

type broken struct{ bytes.Buffer }

func (*broken) WriteTo(io.Writer) (int64, error) { return 0, fmt.Errorf("broken") }

func TestFailedAnswerIsNotKept(t *testing.T) {
	a := NewAnswers(1 << 20)
	if got := ask(t, a, "/a", 1, &broken{}); !strings.Contains(got, "internal error") {
		t.Errorf("answered %s", got)
	}
	if got := ask(t, a, "/a", 1, counted{n: new(atomic.Int64), text: "fine"}); got != "fine" {
		t.Errorf("after a failure: %s", got)
	}
	if len(a.byKey) != 1 {
		t.Errorf("%d answers are kept", len(a.byKey))
	}
}
