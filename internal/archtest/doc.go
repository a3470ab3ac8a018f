// Package archtest holds the code against ARCHITECTURE.md: who imports whom,
// as the fenced block "imports" there says, and a few rules that keep the tree
// readable. It has tests only.
//
// A line of the block reads
//
//	PACKAGE → IMPORT IMPORT … # REASON
//
// with names relative to the module. A name may end in /* for any package
// below a folder; exact names win over patterns, longer patterns over shorter
// ones. An import may be * for anything of ours, end in ? when it is allowed
// but not needed, be !PREFIX to forbid packages of others, or std to forbid
// all of them. Tests may import what they like.
package archtest
