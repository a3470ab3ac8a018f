// Package cgroup makes, reads and removes the control groups of tasks, on
// version 1 hierarchies, on a version 2 one, and on machines that have both.
//
// A [Group] is one directory in each hierarchy that is of use: cpu, cpuacct,
// memory and pids of version 1, and the version 2 tree, which also tells
// exactly which processes belong to a task and kills them all at once. Without
// the right to make groups [Create] returns an empty one.
//
// The supervisor links this package: neither fmt nor net.
package cgroup
