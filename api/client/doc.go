// Package client talks to Drover's HTTP API: the Go SDK that the CLI, tests
// and other programs use.
//
// A [Client] is made from a [Config]; [FromEnv] reads the usual environment
// variables. What it can do is grouped by noun:
//
//	c, err := client.New(client.FromEnv(os.Getenv))
//	jobs, meta, err := c.Jobs().List(ctx, api.ListOptions{Prefix: "web"})
//	err = c.Allocs().Exec(ctx, id, &client.ExecOptions{…})
//
// Every read takes [api.ListOptions] and returns [api.Meta]. Passing the
// index of one answer in the options of the next makes that read block until
// something newer exists or its wait is over; [Follow] does this in a loop.
//
// What a server refuses comes back as *[api.Error] with the code that its
// status stands for; an agent that can't be reached is CodeUnavailable. The
// context given to a call bounds it, streams included. A Client holds no
// goroutine of its own and may be used concurrently.
package client
