// Package paged keeps rows in order, in pages that never change: a changed row
// makes a new page, all others stay the ones they were. So whatever a reader
// derives from a page, such as its encoded form, holds as long as he finds the
// page, and nobody has to invalidate anything.
//
// A [Seq] is for one writer, who works on copies ([Seq.Copy] takes no time)
// and publishes them; readers of what was published need no lock. A page
// remembers verdicts about its rows ([Page.Match]) and carries what readers
// attach to it ([Page.Memo]); both know the page it replaced, from which a
// page that differs in one row takes over the rest.
package paged
