// Package logrotate writes one output stream of a task into numbered files of
// bounded size.
//
// A [Writer] appends to <dir>/<name>.<n>, beginning with n 0 or the highest n
// there is, and goes on to n+1 when the next line does not fit; the oldest
// files beyond the bound are removed. A line is never split over two files,
// unless it is longer than a whole file may be. What was written is visible to
// readers at once: there is no buffer.
//
// A [Position] is a place in the stream that outlives the process: who
// remembers one together with the place in the source it copies from can tell
// after a crash, with [Writer.Since], how many bytes were written after it,
// and go on exactly there.
package logrotate
