// Package drivertest is the conformance suite of the driver contract: every
// promise of package driver as a test. A driver's own tests call [Run] with a
// [Harness] that says how to make the driver and how to express a program in
// its config block:
//
//	drivertest.Run(t, drivertest.Harness{
//		New: func(t testing.TB) driver.Driver { return docker.New(…) },
//		Config: func(p drivertest.Program) map[string]any {
//			return map[string]any{"image": "busybox", "command": "/bin/sh", "args": []any{"-c", p.Script()}}
//		},
//		Shell: true,
//	})
//
// Programs use a POSIX shell and what busybox has: cat, sleep, seq, stty, head.
package drivertest
