package client

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/drover-org/drover/api"
)

// SaveState writes the state of the region to out and checks it against the
// checksum that came before it. With stale any server may answer with what it
// has. After an error what was written is worth nothing.
func (o Operator) SaveState(ctx context.Context, stale bool, out io.Writer) error {
	params := url.Values{}
	if stale {
		params.Set("stale", "true")
	}
	resp, err := o.c.open(ctx, http.MethodGet, "/v1/operator/snapshot", params, http.Header{"Accept-Encoding": {"identity"}}, nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(out, sum), resp.Body); err != nil {
		return err
	}
	want, found := strings.CutPrefix(resp.Header.Get("Digest"), "sha-256=")
	if got := base64.StdEncoding.EncodeToString(sum.Sum(nil)); !found || got != want {
		return api.Errorf(api.CodeInternal, "the saved state did not arrive as it was sent: its checksum is %s, not %s", got, want)
	}
	return nil
}

// RestoreState puts a saved state in the place of the region's.
func (o Operator) RestoreState(ctx context.Context, in io.Reader) error {
	resp, err := o.c.open(ctx, http.MethodPut, "/v1/operator/snapshot", nil, http.Header{"Content-Type": {"application/octet-stream"}}, in)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
