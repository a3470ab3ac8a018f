// Package embedded holds the supervisor's program inside the agent's. "make"
// builds it into bin/ before anything else ("go generate" here does the same);
// without that the package is empty, and the agent's own program is used.
package embedded

import "embed"

//go:generate env CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o bin/drover-shim ../../../cmd/drover-shim

//go:embed all:bin
var files embed.FS

// Supervisor returns the program, nil if it wasn't built in.
func Supervisor() []byte {
	b, err := files.ReadFile("bin/drover-shim")
	if err != nil {
		return nil
	}
	return b
}
