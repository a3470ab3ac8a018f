package api

// Caller is who makes a request: for audit records, for limits and for nodes,
// which never see a token. It holds no secret.
type Caller struct {
	Kind       CallerKind
	AccessorID string `json:",omitempty"` // of a token
	Name       string `json:",omitempty"` // of a token, a job's task or a node
}

// CallerKind says what a caller showed.
type CallerKind string

// The kinds of callers.
const (
	CallerAnonymous  CallerKind = "anonymous"  // no token, or an agent without access control
	CallerClient     CallerKind = "client"     // a token with policies or roles
	CallerManagement CallerKind = "management" // a token that may do everything
	CallerWorkload   CallerKind = "workload"   // the identity of a task
	CallerNode       CallerKind = "node"       // the identity of a node
)
