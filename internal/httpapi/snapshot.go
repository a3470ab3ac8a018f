package httpapi

import (
	"encoding/base64"
	"io"
	"net/http"
	"strconv"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

func (a *routes) snapshotRoutes() []web.Route {
	return []web.Route{
		{Methods: "GET", Pattern: "/v1/operator/snapshot", Needs: web.Region(api.CapOperatorSnapshotSave), Raw: http.HandlerFunc(a.saveState)},
		{Methods: "PUT POST", Pattern: "/v1/operator/snapshot", Needs: web.Region(api.CapManagement), Raw: web.Wrap(a.Log, a.restoreState)},
	}
}

// saveState answers with the file; its checksum comes before it.
func (a *routes) saveState(w http.ResponseWriter, r *http.Request) {
	saved, err := a.Server.SaveState(r.Context(), web.Token(r))
	if err != nil {
		web.WriteError(w, err)
		return
	}
	defer func() { _ = saved.File.Close() }()
	h := w.Header()
	h.Set("Content-Type", "application/gzip")
	h.Set("Content-Length", strconv.FormatInt(saved.Size, 10))
	h.Set("Digest", "sha-256="+base64.StdEncoding.EncodeToString(saved.Digest[:]))
	h.Set(web.HeaderIndex, strconv.FormatUint(saved.Index, 10))
	w.WriteHeader(http.StatusOK)
	_, _ = io.Copy(w, saved.File) // who gets less than its length notices
}

func (a *routes) restoreState(r *http.Request) (any, error) {
	index, err := a.Server.RestoreState(r.Context(), web.Token(r), r.Body)
	if err != nil {
		return nil, err
	}
	return written(map[string]uint64{"Index": index}, index, nil), nil
}
