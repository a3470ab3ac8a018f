package acl

import "strings"

// matches reports whether name is one of those that glob stands for. A *
// stands for any characters, also for none.
func matches(glob, name string) bool {
	var star, mark = -1, 0 // the last * and what it has taken so far
	g, n := 0, 0
	for n < len(name) {
		switch {
		case g < len(glob) && glob[g] == '*':
			star, mark = g, n
			g++
		case g < len(glob) && glob[g] == name[n]:
			g, n = g+1, n+1
		case star >= 0:
			mark++
			g, n = star+1, mark
		default:
			return false
		}
	}
	for g < len(glob) && glob[g] == '*' {
		g++
	}
	return g == len(glob)
}

// literals is how many characters of a glob are no wildcards: of two globs
// that match a name the one with more leaves fewer to its wildcards.
func literals(glob string) int { return len(glob) - strings.Count(glob, "*") }
