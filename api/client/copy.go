package client

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"github.com/drover-org/drover/api"
)

// CopyOut returns a file or directory of an allocation as a tar stream, which
// the caller closes. Whoever unpacks it must not trust its names.
func (a Allocs) CopyOut(ctx context.Context, alloc, path string) (io.ReadCloser, error) {
	resp, err := a.c.open(ctx, http.MethodGet, nodeAllocPath(alloc, "copy"), url.Values{"path": {path}}, http.Header{"Accept-Encoding": {"identity"}}, nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// CopyIn unpacks a tar stream in an allocation: into the directory at path,
// or, if there is none, under that name.
func (a Allocs) CopyIn(ctx context.Context, alloc, path string, archive io.Reader) (*api.AllocCopyResponse, error) {
	resp, err := a.c.open(ctx, http.MethodPut, nodeAllocPath(alloc, "copy"), url.Values{"path": {path}}, http.Header{"Content-Type": {"application/x-tar"}}, archive)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	out := new(api.AllocCopyResponse)
	return out, decodeAnswer(ctx, resp, out)
}
