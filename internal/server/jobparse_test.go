package server

import (
	"context"
	"testing"

	"github.com/drover-org/drover/api"
)

// denyAll knows nobody and allows nothing.
type denyAll struct{ AllowAll }

func (denyAll) Authorize(context.Context, string, api.Capability, string) error {
	return &api.Error{Code: api.CodeForbidden, Message: "Permission denied"}
}

// Reading a job file takes CPU time: strangers get none of it, and those who
// may have it leave some to everybody else.
func TestParseJobIsForSomeAndNotAllAtOnce(t *testing.T) {
	req := &api.JobsParseRequest{JobHCL: `job "j" {}`}
	closed := New(Config{Authorizer: denyAll{}})
	for range cap(closed.parses) { // would wait for ever
		closed.parses <- struct{}{}
	}
	if _, err := closed.ParseJob(t.Context(), "", "default", req); api.ErrorCode(err) != api.CodeForbidden {
		t.Errorf("a stranger's job file was read, or waited for: %v", err)
	}

	s := New(Config{})
	if _, err := s.ParseJob(t.Context(), "", "default", req); err != nil {
		t.Fatal(err)
	}
	for range cap(s.parses) {
		s.parses <- struct{}{}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.ParseJob(gone, "", "default", req); api.ErrorCode(err) != api.CodeUnavailable {
		t.Errorf("more files than places were read: %v", err)
	}
	<-s.parses
	if _, err := s.ParseJob(t.Context(), "", "default", req); err != nil || len(s.parses) != cap(s.parses)-1 {
		t.Errorf("the place was not given back: %v, %d", err, len(s.parses))
	}
}
