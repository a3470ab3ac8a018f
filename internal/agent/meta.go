package agent

import (
	"maps"
	"net/http"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

// metadata is the answer to questions for the node's metadata: Static comes
// from the configuration, Dynamic from the API, where null hides a static
// value, and Meta is both together.
type metadata struct {
	Meta    map[string]string
	Dynamic map[string]*string
	Static  map[string]string
}

func mergeMeta(static map[string]string, dynamic map[string]*string) map[string]string {
	meta := maps.Clone(static)
	if meta == nil {
		meta = map[string]string{}
	}
	for k, v := range dynamic {
		if v == nil {
			delete(meta, k)
		} else {
			meta[k] = *v
		}
	}
	return meta
}

func (a *Agent) readMeta(*http.Request) (any, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	static := maps.Clone(a.cfg.Fingerprint.Meta)
	if static == nil {
		static = map[string]string{}
	}
	return metadata{Meta: mergeMeta(static, a.meta), Dynamic: maps.Clone(a.meta), Static: static}, nil
}

// Bounds of metadata set through the API.
const (
	maxMetaKeys  = 1000
	maxMetaValue = 4 << 10
)

func (a *Agent) writeMeta(r *http.Request) (any, error) {
	var req struct {
		NodeID string
		Meta   map[string]*string
	}
	if _, err := web.Decode(r, &req); err != nil {
		return nil, err
	}
	if len(req.Meta) == 0 {
		return nil, api.Errorf(api.CodeInvalid, `field "Meta" is required: an object of keys and their values, null to unset`)
	}
	a.mu.Lock()
	meta := maps.Clone(a.meta)
	for k, v := range req.Meta {
		_, static := a.cfg.Fingerprint.Meta[k]
		switch {
		case k == "" || len(k) > 256:
			a.mu.Unlock()
			return nil, api.Errorf(api.CodeInvalid, `field "Meta": key %.40q must have 1 to 256 characters`, k)
		case v != nil && len(*v) > maxMetaValue:
			a.mu.Unlock()
			return nil, api.Errorf(api.CodeInvalid, `field "Meta": the value of %q has %d bytes, at most %d are allowed`, k, len(*v), maxMetaValue)
		case v == nil && !static:
			delete(meta, k)
		default:
			meta[k] = v
		}
	}
	if len(meta) > maxMetaKeys {
		a.mu.Unlock()
		return nil, api.Errorf(api.CodeLimited, `field "Meta": the node would have %d dynamic keys, at most %d are allowed`, len(meta), maxMetaKeys)
	}
	if err := a.db.PutMeta(meta); err != nil {
		a.mu.Unlock()
		return nil, err
	}
	a.meta = meta
	a.mu.Unlock()
	a.nodeChanged()
	return a.readMeta(r)
}
