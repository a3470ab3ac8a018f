package api

import "time"

// Bounds of a blocking query.
const (
	DefaultWait = 300 * time.Second
	MaxWait     = 300 * time.Second
)

// ListOptions are the options every read takes.
type ListOptions struct {
	Region    string
	Namespace string // AllNamespaces for every one the caller may read
	Prefix    string
	Filter    string // go-bexpr expression over the full object
	NextToken string
	PerPage   int // 0: everything
	Reverse   bool
	Stale     bool
	Index     uint64        // >0: block until the result's index is greater
	Wait      time.Duration // bound of the block, without jitter
	Token     string        // the caller's secret
}

// Meta comes with every read.
type Meta struct {
	Index       uint64
	LastContact time.Duration
	KnownLeader bool
	NextToken   string

	// State tells states apart for who keeps answers: equal only when the
	// answer to the same question is. It is not sent.
	State uint64
}
