// Package archive moves files and directories as tar streams between two
// directories that don't trust each other: of an operator and of a task.
//
// [Write] reads below an os.Root and [Extract] writes below one, so that no
// name and no link leads out, whatever the other side or a task does
// meanwhile. Links are kept as links and never followed; a link that leads out
// of what is copied is not made. Devices, sockets and pipes are left out. What
// is counted is bounded: bytes, entries, depth.
//
// Of modes the permissions are kept, not set-user-ID and its kin; of times the
// modification. Owners are not kept: the reader's user on one side means
// nothing on the other.
package archive
