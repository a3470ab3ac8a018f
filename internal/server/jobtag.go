package server

import (
	"context"
	"strings"
	"unicode"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// Bounds of a version's name and what is said of it, in bytes.
const (
	maxTagName        = 128
	maxTagDescription = 1000
)

// TagJobVersion names a version of a job, so that it is kept and can be gone
// back to. Latest without a Version means the current one.
func (s *Server) TagJobVersion(ctx context.Context, token, namespace, id, name string, req *api.JobTagRequest) (*api.JobTagResponse, error) {
	if _, err := s.writableJob(ctx, token, namespace, id, api.CapTagJobVersion); err != nil {
		return nil, err
	}
	if err := checkTag(name, req.Description); err != nil {
		return nil, err
	}
	now := s.now().UnixNano()
	res, err := s.propose(ctx, &store.TagJobVersion{
		Namespace: namespace, JobID: id, Version: req.Version, Latest: req.Latest && req.Version == 0,
		Tag: api.JobVersionTag{Name: name, Description: req.Description, TaggedTime: now},
	})
	if err != nil {
		return nil, err
	}
	return &api.JobTagResponse{Name: name, Description: req.Description, TaggedTime: now, Index: res.Index}, nil
}

// UntagJobVersion takes a name from the version of a job that has it.
func (s *Server) UntagJobVersion(ctx context.Context, token, namespace, id, name string) (index uint64, err error) {
	if _, err := s.writableJob(ctx, token, namespace, id, api.CapTagJobVersion); err != nil {
		return 0, err
	}
	res, err := s.propose(ctx, &store.UntagJobVersion{Namespace: namespace, JobID: id, Name: name})
	return res.Index, err
}

func checkTag(name, description string) error {
	switch {
	case name == "":
		return api.Errorf(api.CodeInvalid, "the path names no tag: expect /v1/job/<ID>/versions/<name>/tag")
	case len(name) > maxTagName:
		return api.Errorf(api.CodeInvalid, "the name of a version has %d bytes, at most %d are possible", len(name), maxTagName)
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) || r == '/' }):
		return api.Errorf(api.CodeInvalid, "the name of a version is %q: it must have no spaces, slashes or control characters", name)
	case len(description) > maxTagDescription:
		return api.Errorf(api.CodeInvalid, "Description has %d bytes, at most %d are possible", len(description), maxTagDescription)
	}
	return nil
}
