package web

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/drover-org/drover/api"
)

// FuzzAcceptEncoding holds that what a caller takes does not hang on the order
// or the form of his header.
func FuzzAcceptEncoding(f *testing.F) {
	for _, s := range []string{"gzip", "", "*", "gzip;q=0", "*;q=0, gzip", "gzip;q=0, *", "GZIP ; Q=0.5", "deflate, gzip;q=1.0, *;q=0.5", "gzip;q=nan", "gzip;x=1;q=0", ";,;", "identity"} {
		f.Add(s)
	}
	takes := func(lines ...string) bool {
		return acceptsGzip(&http.Request{Header: http.Header{"Accept-Encoding": lines}})
	}
	f.Fuzz(func(t *testing.T, header string) {
		got := takes(header)
		parts := strings.Split(header, ",")
		if takes(parts...) != got {
			t.Fatal("in several lines it means something else")
		}
		if takes(strings.ToUpper(header)) != takes(strings.ToLower(header)) {
			t.Fatal("in another case it means something else")
		}
		if strings.Count(strings.ToLower(header), "gzip") <= 1 && strings.Count(header, "*") <= 1 {
			slices.Reverse(parts)
			if takes(strings.Join(parts, ",")) != got {
				t.Fatal("in another order it means something else")
			}
		}
		if !strings.Contains(strings.ToLower(header), "gzip") && (takes(header, "gzip;q=0") || !takes(header, "gzip")) {
			t.Fatal("what is said of gzip itself does not count")
		}
	})
}

// FuzzListOptions holds that the parameters of a read are refused by name or
// are within their bounds.
func FuzzListOptions(f *testing.F) {
	for _, s := range []string{"", "index=1&wait=5m", "wait=-1s", "wait=9999999h", "per_page=2147483648", "per_page=-1", "stale", "stale=false&consistent", "stale&consistent", "reverse=TRUE",
		"index=18446744073709551615", "namespace=", "a;b", "%zz", "wait=1e9s", "index=0x10", "per_page=1_0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest("GET", "/v1/jobs", nil)
		r.URL.RawQuery = query
		p := ParamsOf(r)
		o := p.List()
		if err := p.Err(); err != nil {
			if api.ErrorCode(err) != api.CodeInvalid {
				t.Fatal(err)
			}
			return
		}
		if o.Wait <= 0 || o.Wait > api.MaxWait || o.PerPage < 0 || o.Namespace == "" {
			t.Fatalf("%+v", o)
		}
	})
}
