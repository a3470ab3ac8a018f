package web

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"math/bits"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// items is Rows over text, each segment's items chosen by a set.
type items struct {
	texts    [][]string
	chosen   []uint64
	segments []*Segment
	encoded  *int
}

func (s items) Len() int { return len(s.texts) }

func (s items) Segment(i int) (*Segment, uint64, bool) {
	return s.segments[i], s.chosen[i], bits.OnesCount64(s.chosen[i]) == len(s.texts[i])
}

func (s items) Encode(i int, b []byte) ([]byte, []uint32, error) {
	*s.encoded++
	var ends []uint32
	for _, t := range s.texts[i] {
		b = append(append(b, ','), t...)
		ends = append(ends, uint32(len(b)))
	}
	return b, ends, nil
}

func (s items) want() string {
	var out []string
	for i, texts := range s.texts {
		for k, t := range texts {
			if s.chosen[i]>>k&1 != 0 {
				out = append(out, t)
			}
		}
	}
	return "[" + strings.Join(out, ",") + "]"
}

// answerOf returns the answer's body as it was before compression.
func answerOf(t interface{ Fatal(...any) }, value any, accept string) string {
	r, w := httptest.NewRequest("GET", "/v1/things", nil), httptest.NewRecorder()
	r.Header.Set("Accept-Encoding", accept)
	Wrap(slog.New(slog.DiscardHandler), answering(value)).ServeHTTP(w, r)
	if n := w.Header().Get("Content-Length"); n != "" && n != strconv.Itoa(w.Body.Len()) {
		t.Fatal("Content-Length is ", n, ", the body has ", w.Body.Len())
	}
	if w.Header().Get("Content-Encoding") != "gzip" {
		return w.Body.String()
	}
	gz, err := gzip.NewReader(w.Body) // checks CRC and size
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(gz)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// An array is the chosen items, plain and compressed, whether there is room to
// keep its segments or not, and however often it is asked for. What is not
// chosen is never in an answer, though the segments hold it.
func TestArrayIsItsChosenItems(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := NewSegments(rapid.SampledFrom([]int64{0, 3000, 1 << 20}).Draw(t, "room"))
		s := items{encoded: new(int)}
		for i := range rapid.IntRange(0, 6).Draw(t, "segments") {
			var texts []string
			size := rapid.SampledFrom([]int{3, 40, 2000}).Draw(t, "size")
			n := rapid.IntRange(1, 64).Draw(t, "items")
			for k := range n {
				texts = append(texts, fmt.Sprintf("%q", strings.Repeat(fmt.Sprint(i, "-", k), 1+size/4)))
			}
			all := ^uint64(0) >> (64 - n)
			s.texts = append(s.texts, texts)
			s.chosen = append(s.chosen, rapid.OneOf(rapid.Just(all), rapid.Just(uint64(0)), rapid.Uint64()).Draw(t, "chosen")&all)
			s.segments = append(s.segments, h.New())
		}
		a := Array{h, s}
		for range 3 {
			if got := answerOf(t, a, rapid.SampledFrom([]string{"", "gzip"}).Draw(t, "accept")); got != s.want() {
				t.Fatalf("%.200s\nwant %.200s", got, s.want())
			}
			var b bytes.Buffer
			if _, err := a.WriteTo(&b); err != nil || b.String() != s.want() {
				t.Fatalf("written: %.200s, %v", b.String(), err)
			}
		}
		if h.bytes > h.max {
			t.Fatalf("%d bytes are kept, the bound is %d", h.bytes, h.max)
		}
	})
}

func TestCRCIsJoined(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.SliceOf(rapid.Byte()).Draw(t, "a"), rapid.SliceOf(rapid.Byte()).Draw(t, "b")
		if got, want := crcJoin(crcOf(a), crcOf(b), crcSkip(len(b))), crc32.ChecksumIEEE(append(a, b...)); got != want {
			t.Fatalf("%08x, want %08x", got, want)
		}
	})
}

// full makes n segments of a kilobyte, all chosen.
func full(h *Segments, n int) items {
	s := items{encoded: new(int)}
	for range n {
		s.texts = append(s.texts, []string{`"` + strings.Repeat("x", 1021) + `"`})
		s.chosen = append(s.chosen, 1)
		s.segments = append(s.segments, h.New())
	}
	return s
}

func TestSegmentsAreEncodedOnce(t *testing.T) {
	h := NewSegments(1 << 20)
	s := full(h, 100)
	for range 5 {
		answerOf(t, Array{h, s}, "")
	}
	if *s.encoded != 100 {
		t.Errorf("100 segments were encoded %d times", *s.encoded)
	}
	for range 5 {
		answerOf(t, Array{h, s}, "gzip")
	}
	if *s.encoded != 100 {
		t.Errorf("with gzip 100 segments were encoded %d times", *s.encoded)
	}
}

// A list of twice the bound keeps half of itself in memory; one that nobody
// reads any more makes room.
func TestAFullScanDoesNotThrash(t *testing.T) {
	h := NewSegments(50 << 10)
	s := full(h, 100)
	for range 10 {
		*s.encoded = 0
		answerOf(t, Array{h, s}, "")
	}
	if *s.encoded > 55 {
		t.Errorf("%d of 100 segments were encoded again, though half fit", *s.encoded)
	}
	other := full(h, 40)
	for range segmentDisuse + 20 {
		*other.encoded = 0
		answerOf(t, Array{h, other}, "")
	}
	if *other.encoded != 0 {
		t.Errorf("%d segments are encoded each time, though nobody uses the others", *other.encoded)
	}
}

func TestReplacedSegmentsMakeRoom(t *testing.T) {
	h := NewSegments(80 << 10)
	s := full(h, 40)
	answerOf(t, Array{h, s}, "")
	for _, seg := range s.segments {
		seg.Replaced()
	}
	if h.bytes != h.old || h.old > h.max/8 {
		t.Errorf("%d bytes are kept, %d of replaced segments", h.bytes, h.old)
	}
	next := full(h, 75)
	answerOf(t, Array{h, next}, "")
	if *next.encoded = 0; answerOf(t, Array{h, next}, "") != next.want() || *next.encoded != 0 {
		t.Errorf("%d segments found no room", *next.encoded)
	}
	if got := answerOf(t, Array{h, s}, ""); got != s.want() {
		t.Error("a reader of replaced segments gets another answer")
	}
}

// answering is a handler that answers with value.
func answering(value any) Handler {
	return func(*http.Request) (any, error) { return value, nil }
}
