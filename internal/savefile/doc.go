// Package savefile is the file that the state of a region is saved in: a tar
// archive, compressed with gzip, of meta.json, which says what it is, state.bin,
// which is the state as a server's snapshots have it, and SHA256SUMS over both.
//
// Write and Read keep the state in a temporary file without a name, not in
// memory: it is gone when the file is closed, however the process ends. Read
// hands out nothing that has not been checked to its last byte.
package savefile
