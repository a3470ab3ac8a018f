// Package fingerprint finds out what a machine is and has and makes an
// api.Node of it, under the attribute names that job files use.
//
// [Node] reads files of the kernel and nothing that can block: no command is
// run, no network is asked. It takes a few milliseconds. What can't be found
// out is absent or, where a number is needed, comes from [Config]. Drivers are
// not its business; whoever knows their state adds it.
package fingerprint
