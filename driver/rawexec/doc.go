// Package rawexec is the raw_exec driver: a task is a command that runs on the
// host as it is, without isolation. The supervisor of internal/shim runs it,
// so tasks and their output survive the agent.
//
// As root each task gets control groups of its own: CpuShares weigh it against
// other tasks when the processors are busy, its usage is counted, and every
// process it started is found when it ends. There is no limit on memory: a
// command without isolation is trusted to know what it needs, and the
// allocation's memory is what the scheduler reckons with. Without root the
// processes are found by descent, and usage is the sum over them.
package rawexec
