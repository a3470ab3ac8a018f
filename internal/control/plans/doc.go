// Package plans is the one placer: the leader loop that chooses nodes and
// proposes plans.
//
// One goroutine chooses, over the newest snapshot and the plans that are still
// on their way into the log, so that plans never reject each other. Proposing
// goes on beside it, several plans at a time; the log joins what waits
// together. A plan that is large goes in parts, the evaluation's outcome in
// the last one, so that it holds up neither heartbeats nor small jobs.
package plans
