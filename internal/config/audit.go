package config

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Audit says who is to be told on: see docs/audit.md.
type Audit struct {
	Enabled   bool                   `key:"enabled"`
	HashChain bool                   `key:"hash_chain"`
	Sinks     map[string]AuditSink   `key:"sink"` // one at most
	Filters   map[string]AuditFilter `key:"filter"`
}

// AuditSink is where records go.
type AuditSink struct {
	Type              string        `key:"type"`               // file
	Format            string        `key:"format"`             // json
	Path              string        `key:"path"`               // empty: <data_dir>/audit/audit.json
	Mode              string        `key:"mode"`               // octal
	DeliveryGuarantee string        `key:"delivery_guarantee"` // enforced or best-effort
	RotateBytes       int           `key:"rotate_bytes"`
	RotateDuration    time.Duration `key:"rotate_duration"`
	RotateMaxFiles    int           `key:"rotate_max_files"`
}

// AuditFilter leaves records out.
type AuditFilter struct {
	Type       string   `key:"type"` // HTTPEvent
	Endpoints  []string `key:"endpoints"`
	Stages     []string `key:"stages"`
	Operations []string `key:"operations"`
}

// The values of delivery_guarantee.
const (
	auditEnforced   = "enforced"
	auditBestEffort = "best-effort"
)

// Sink is the sink of the configuration, or the one that there is without.
func (a *Audit) Sink() AuditSink {
	var s AuditSink
	for _, s = range a.Sinks {
	}
	return s
}

// Enforced reports whether a request that can't be recorded is refused.
func (s *AuditSink) Enforced() bool { return s.DeliveryGuarantee != auditBestEffort }

// FileMode is the mode of the file. Only the owner may write to it.
func (s *AuditSink) FileMode() (uint32, bool) {
	if s.Mode == "" {
		return 0o600, true
	}
	n, err := strconv.ParseUint(s.Mode, 8, 32)
	return uint32(n), err == nil && n&0o600 == 0o600 && n&^0o644 == 0
}

func (a *Audit) validate(bad func(string, ...any)) {
	if len(a.Sinks) > 1 {
		bad("audit.sink: there are %d sinks, but the records go to one file", len(a.Sinks))
	}
	for name, s := range a.Sinks {
		at := "audit.sink." + name + "."
		oneOf := func(key, value string, allowed ...string) {
			if value != "" && !slices.Contains(allowed, value) {
				bad("%s%s %q must be %s", at, key, value, strings.Join(allowed, " or "))
			}
		}
		oneOf("type", s.Type, "file")
		oneOf("format", s.Format, "json")
		oneOf("delivery_guarantee", s.DeliveryGuarantee, auditEnforced, auditBestEffort)
		if s.Path != "" && (!filepath.IsAbs(s.Path) || strings.HasSuffix(s.Path, "/")) {
			bad("%spath %q must be the absolute path of a file", at, s.Path)
		}
		if _, ok := s.FileMode(); !ok {
			bad("%smode %q must be 0600, 0640, 0604 or 0644", at, s.Mode)
		}
		if s.RotateBytes < 0 || s.RotateDuration < 0 || s.RotateMaxFiles < 0 {
			bad("%srotate_bytes, rotate_duration and rotate_max_files must not be negative: 0 is no bound", at)
		}
	}
	for name, f := range a.Filters {
		at := "audit.filter." + name + "."
		if f.Type != "" && f.Type != "HTTPEvent" {
			bad("%stype %q must be HTTPEvent", at, f.Type)
		}
		for _, s := range f.Stages {
			if !slices.ContainsFunc([]string{"*", "OperationReceived", "OperationComplete"}, func(k string) bool { return strings.EqualFold(k, s) }) {
				bad("%sstages %q must be OperationReceived, OperationComplete or *", at, s)
			}
		}
		for _, p := range f.Endpoints {
			if p != "*" && !strings.HasPrefix(p, "/") {
				bad("%sendpoints %q must be a path, in which * stands for any characters", at, p)
			}
		}
		if len(f.Endpoints)+len(f.Stages)+len(f.Operations) == 0 {
			bad("audit.filter.%s would leave out every record: name endpoints, stages or operations, or set enabled = false", name)
		}
	}
}
