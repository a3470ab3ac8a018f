package web

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/drover-org/drover/api"
)

// Verdict is what a server found out about the caller of a request before it
// passed the request on to a node, which never sees a token.
type Verdict struct {
	Caller    *api.Caller
	Namespace string           // of the allocation
	Allowed   []api.Capability // of those that the request may need
}

// verdictHeader carries a Verdict from a server to a node. What a caller sends
// under this name is removed.
const verdictHeader = "X-Drover-Verdict"

// SetVerdict puts a server's verdict in the place of what the caller showed:
// its token, or a verdict of its own making. Nil only removes.
func SetVerdict(h http.Header, v *Verdict) {
	h.Del("X-Nomad-Token")
	h.Del("Authorization")
	h.Del(verdictHeader)
	if v == nil {
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings
	}
	h.Set(verdictHeader, string(b))
}

// VerdictOf returns the verdict that came with a request, nil without one.
func VerdictOf(r *http.Request) *Verdict {
	text := r.Header.Get(verdictHeader)
	if text == "" {
		return nil
	}
	v := new(Verdict)
	if json.Unmarshal([]byte(text), v) != nil {
		return nil
	}
	return v
}

// CheckVerdict returns an error unless the verdict of a request covers all
// that it needs. Without a verdict nothing is covered.
func CheckVerdict(r *http.Request, needs ...api.Capability) error {
	v := VerdictOf(r)
	if v == nil {
		return api.Errorf(api.CodeForbidden, "Permission denied: no server has authorised this request")
	}
	var missing []string
	for _, c := range needs {
		if !slices.Contains(v.Allowed, c) {
			missing = append(missing, string(c))
		}
	}
	if len(missing) > 0 {
		return api.Errorf(api.CodeForbidden, "Permission denied: it takes %s in namespace %q", strings.Join(missing, " and "), v.Namespace)
	}
	return nil
}

// recordingHeader names, in a node's answer to the upgrade of a session, the
// file in which the node records it.
const recordingHeader = "X-Drover-Recording"

// SetRecording tells the server in front that a session is recorded.
func SetRecording(h http.Header, file string) { h.Set(recordingHeader, file) }

// RecordingOf returns what SetRecording told, or nothing.
func RecordingOf(h http.Header) string { return h.Get(recordingHeader) }
