// Package allocdir keeps the directories of a node's allocations and is the
// only way into them for anybody but the tasks.
//
//	<tree>/<alloc ID>/
//	    alloc/{data,logs,tmp}      shared by the tasks of the allocation
//	    <task>/{local,secrets,tmp} of one task
//	    .state/                    of the drivers
//
// [Tree] builds, finds and removes allocations; [Dir] is one of them. What
// tasks put there is hostile: every path given to a Dir is walked one name at
// a time through os.Root, no symbolic link is followed on the way, and only
// directories and regular files are opened. A task's secrets and the drivers'
// state can't be reached at all.
package allocdir
