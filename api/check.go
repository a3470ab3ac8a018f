package api

// Modes of checks: whether a rollout waits for them.
const (
	CheckHealthiness = "healthiness"
	CheckReadiness   = "readiness"
)

// HealthCheckChecks is the word of update and migrate blocks for health that
// depends on checks besides the tasks.
const HealthCheckChecks = "checks"

// Statuses of checks.
const (
	CheckSuccess = "success"
	CheckFailure = "failure"
	CheckPending = "pending"
)

// What a rollout makes of a service or check (OnUpdate).
const (
	OnUpdateRequireHealthy = "require_healthy"
	OnUpdateIgnoreWarnings = "ignore_warnings"
	OnUpdateIgnore         = "ignore"
)

// CheckResult is what a node knows of one check of an allocation.
type CheckResult struct {
	ID         string
	Mode       string
	Status     string
	StatusCode int `json:",omitempty"` // of an HTTP check
	Output     string
	Timestamp  int64 // Unix seconds of the latest answer, 0: none yet
	Group      string
	Task       string `json:",omitempty"`
	Service    string
	Check      string
}
