// Package periodic is the leader loop that starts periodic jobs when they are
// due.
//
// A job's row remembers until when its launches are done with. What became due
// while there was no leader is made up for by one launch, however often it was
// due. A launch that the job's prohibit_overlap forbids is left out, not put
// off.
package periodic
