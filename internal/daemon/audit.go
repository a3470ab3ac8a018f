package daemon

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/audit"
	"github.com/drover-org/drover/internal/server"
)

// openAudit opens the audit log, if there is to be one, and adds the part that
// writes it. It ends after all who are recorded.
func (d *daemon) openAudit() error {
	c := &d.cfg.Audit
	if !c.Enabled {
		return nil
	}
	sink := c.Sink()
	mode, _ := sink.FileMode()
	path := sink.Path
	if path == "" {
		path = filepath.Join(d.dirs.root, "audit", "audit.json")
	}
	var err error
	d.audit, err = audit.Open(audit.Config{
		Path: path, Mode: os.FileMode(mode), Enforced: sink.Enforced(), Chain: c.HashChain,
		RotateBytes: int64(sink.RotateBytes), RotateAge: sink.RotateDuration, RotateMaxFiles: sink.RotateMaxFiles,
		Log: d.log, Now: time.Now,
	})
	if err != nil {
		return err
	}
	d.parts = append(d.parts, part{"audit", d.audit.Run})
	return nil
}

// noting makes an Authorizer note on audit records what it is asked.
func (d *daemon) noting(a server.Authorizer) server.Authorizer {
	switch {
	case d.audit == nil:
		return a
	case a == nil:
		a = server.AllowAll{}
	}
	return audit.Authorizer{Rights: a}
}

// audited records the requests of a listener, if they are to be recorded.
func (d *daemon) audited(next http.Handler) http.Handler {
	if d.audit == nil {
		return next
	}
	c := &d.cfg.Audit
	sink := c.Sink()
	h := &audit.Handler{Log: d.audit, Enforced: sink.Enforced(), Now: time.Now, NewID: api.NewID}
	if d.server != nil {
		h.Caller = d.server.server.Caller
	}
	names := make([]string, 0, len(c.Filters))
	for name := range c.Filters {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		f := c.Filters[name]
		h.Filters = append(h.Filters, audit.Filter{Endpoints: f.Endpoints, Stages: f.Stages, Operations: f.Operations})
	}
	return h.Wrap(next)
}
