// Package docker runs tasks as containers of a Docker Engine.
//
// [New] makes a [Driver]; its Run must be running before tasks are started: it
// owns everything that happens in the background (the one stream of events
// from the Engine, the copying of each container's output, the removal of
// images and containers nobody uses). When Run returns, containers go on and a
// later Driver recovers them from their handles.
//
// # One task, one container
//
// Start is a create, a start and an inspect; nothing is asked about the image
// unless the create finds that it is missing. A container carries labels with
// its node, allocation and task ([LabelNode] and so on): by them, what a
// crashed agent left is found and removed.
//
// How a container ended is learnt from the Engine's events. Whenever the
// stream begins anew, and now and then, the list of containers is compared
// with what is believed, so a missed event delays an answer and never loses
// it. After a restart of the Engine the exit codes come from its records.
//
// # Output
//
// The Engine keeps a container's output; a copier reads it with time stamps
// and writes the allocation's log files. A cursor in StateDir says for each
// stream up to which message and which place in the files this has come.
// After a crash of the agent the copier reads again from a little before the
// cursor, skips what the cursor covers, and then skips as many bytes as the
// files hold beyond it. No line is lost or written twice, as long as the
// Engine still has it: its record is bounded, by default to twice what the
// task's own files may hold. A clock that is set back while there is no agent
// breaks the cursor's order.
//
// A copier that can't keep up reads the whole record instead of following it,
// since Engines that follow skip files. A logging block with small files of
// its own may still lose lines of a flood.
//
// # What a task may do
//
// The task's configuration is not trusted. Without volumes.enabled only paths
// inside the allocation's directory can be mounted, and links are resolved
// before they are judged; what is mounted is the resolved path, so a link that
// another task of the allocation changes has no effect, though one that
// replaces a directory on that path at the moment of the start might. Host namespaces, devices, capabilities, runtimes and
// the switching off of seccomp and its kin need the operator's leave in
// [Config]. A key that is unknown, or can't be honoured, is an error.
//
// # Images
//
// An image is pulled when the create says it is missing, when force_pull asks
// for it, or when its tag is latest or left out (then a failed pull is no
// failure if the image is here). Equal pulls of several tasks are one. Only an
// image that this driver pulled, under a reference that was not here before,
// is ever removed: GC.ImageDelay after its last task was destroyed.
//
// # Dev mode
//
// KillWithAgent needs nothing here: an agent in dev mode stops its tasks
// before it ends. What a killed dev agent leaves is removed as dangling by the
// next one with the same node ID.
package docker
