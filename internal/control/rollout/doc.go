// Package rollout is the leader loop that takes deployments to their end.
//
// The store counts the health of a deployment's allocations as nodes report
// it. This loop watches the counts: it asks for the next batch when
// allocations became healthy, lets failed ones be replaced, promotes canaries
// that may be promoted without a person, and ends the deployment as
// successful, or as failed when it made no progress in time, going back to the
// newest stable version where the job asks for that.
//
// decide.go is pure: a snapshot and a time in, a command out. rollout.go
// watches and proposes.
package rollout
