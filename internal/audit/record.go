package audit

import (
	"bytes"
	"encoding/json"
	"net/url"
	"time"

	"github.com/drover-org/drover/api"
)

// Stages of a request.
const (
	Received = "OperationReceived" // before anything was done
	Complete = "OperationComplete" // the answer was given, the stream or session is over
	Repaired = "LogRepaired"       // not a request: a line torn by a crash was removed
)

// Record is one line. It holds no secret.
type Record struct {
	Time       time.Time
	Stage      string
	ID         string      `json:",omitempty"` // of the request, the same in both its records and in the answer's X-Request-Id
	Caller     *api.Caller `json:",omitempty"`
	Remote     string      `json:",omitempty"`
	Method     string      `json:",omitempty"`
	Route      string      `json:",omitempty"` // the pattern; known when the request is over
	Path       string      `json:",omitempty"`
	Query      string      `json:",omitempty"` // the known parameters
	Namespace  string      `json:",omitempty"`
	Object     string      `json:",omitempty"` // what the path or the body names
	Command    []string    `json:",omitempty"` // of an exec session
	Rights     []Right     `json:",omitempty"` // that were asked for, in order
	Status     int         `json:",omitempty"`
	Error      string      `json:",omitempty"`
	BytesIn    int64       `json:",omitempty"` // of the body, or of a session as framed
	BytesOut   int64       `json:",omitempty"` // of the answer, or of a session as framed
	ExitCode   *int        `json:",omitempty"`
	Recording  string      `json:",omitempty"` // the file on the node in which a session was recorded
	DurationMS float64     `json:",omitempty"`
	Prev       string      `json:",omitempty"` // SHA-256 of the line before, in hexadecimal
}

// Right is a right that a request was asked for.
type Right struct {
	Capability api.Capability
	Namespace  string `json:",omitempty"`
	Denied     bool   `json:",omitempty"`
}

// Bounds of what a caller can put into a record.
const (
	maxText   = 1 << 10  // a path, a query, an object, an error
	maxArgs   = 64       // of a command
	maxRights = 32       // per request
	maxSecret = 16 << 10 // of a token that is looked for
	minSecret = 4        // shorter ones would blank ordinary text
)

const redacted = "[redacted]"

func bounded(s string) string {
	if len(s) > maxText {
		return s[:maxText] + "…"
	}
	return s
}

// encode returns the record's line without its newline, in which no secret
// occurs.
func encode(r *Record, secrets ...string) ([]byte, error) {
	line, err := marshal(r)
	if err != nil {
		return nil, err
	}
	for _, secret := range secrets {
		if len(secret) < minSecret || len(secret) > maxSecret {
			continue
		}
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
			text, err := marshal(form)
			if err != nil {
				return nil, err
			}
			line = bytes.ReplaceAll(line, text[1:len(text)-1], []byte(redacted))
		}
	}
	return line, nil
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
