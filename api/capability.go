package api

// Capability is a right, as policies name it.
type Capability string

// The capabilities that requests need. Those of nodes, agents and operators
// belong to no namespace.
const (
	CapListJobs       Capability = "list-jobs"
	CapParseJob       Capability = "parse-job"
	CapReadJob        Capability = "read-job"
	CapSubmitJob      Capability = "submit-job"
	CapScaleJob       Capability = "scale-job"
	CapReadLogs       Capability = "read-logs"
	CapReadFS         Capability = "read-fs"
	CapAllocExec      Capability = "alloc-exec"
	CapAllocLifecycle Capability = "alloc-lifecycle"
	CapNodeRead       Capability = "node:read"
	CapNodeWrite      Capability = "node:write"
	CapAgentRead      Capability = "agent:read"
	CapOperatorRead   Capability = "operator:read"
	CapOperatorWrite  Capability = "operator:write"
	CapManagement     Capability = "management"
)
