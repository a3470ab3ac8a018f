// Package version names the build. The linker stamps the variables (see the
// Makefile); a build without stamps reads what the Go tool recorded.
package version

import (
	"runtime"
	"runtime/debug"
	"strings"
)

// Stamped by -ldflags "-X …"; use the functions.
var (
	number = "" // like v0.1.0 or v0.1.0-5-gabc1234
	commit = ""
	date   = "" // of the commit, RFC 3339
)

// unreleased is the number of builds that nobody stamped.
const unreleased = "0.1.0-dev"

// Number is the version without a leading v, such as "0.1.0".
func Number() string {
	if number == "" {
		return unreleased
	}
	return strings.TrimPrefix(number, "v")
}

// Commit is the revision the build was made from, or empty.
func Commit() string {
	if commit != "" {
		return commit
	}
	return setting("vcs.revision")
}

// Date is when that revision was committed, or empty.
func Date() string {
	if date != "" {
		return date
	}
	return setting("vcs.time")
}

// String is everything in one line.
func String() string {
	s := "Drover v" + Number()
	if c := Commit(); c != "" {
		s += " (" + c[:min(len(c), 12)] + ")"
	}
	return s
}

// Platform is the operating system, architecture and Go version.
func Platform() string { return runtime.GOOS + "/" + runtime.GOARCH + " " + runtime.Version() }

func setting(key string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}
