package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/drover-org/drover/api"
)

// Allocs are the calls on allocations.
type Allocs struct{ c *Client }

// Allocs returns the calls on allocations.
func (c *Client) Allocs() Allocs { return Allocs{c} }

// AllocListOptions choose what a list of allocations shows besides.
type AllocListOptions struct {
	Resources bool // with AllocatedResources
	NoStates  bool // without TaskStates
}

// List returns allocations in short.
func (a Allocs) List(ctx context.Context, show AllocListOptions, opts api.ListOptions) ([]*api.AllocListStub, api.Meta, error) {
	extra := url.Values{"task_states": {strconv.FormatBool(!show.NoStates)}}
	if show.Resources {
		extra.Set("resources", "true")
	}
	var out []*api.AllocListStub
	meta, err := a.c.read(ctx, "/v1/allocations", opts, extra, &out)
	return out, meta, err
}

// Info returns one allocation by its full ID.
func (a Allocs) Info(ctx context.Context, id string, opts api.ListOptions) (*api.Allocation, api.Meta, error) {
	out := new(api.Allocation)
	meta, err := a.c.read(ctx, "/v1/allocation/"+url.PathEscape(id), opts, nil, out)
	return out, meta, err
}

// Explain tells where an allocation could run now, and why not elsewhere; all
// lists every node.
func (a Allocs) Explain(ctx context.Context, id string, all bool, opts api.ListOptions) (*api.Explanation, error) {
	out := new(api.Explanation)
	_, err := a.c.read(ctx, "/v1/allocation/"+url.PathEscape(id)+"/explain", opts, url.Values{"all": {strconv.FormatBool(all)}}, out)
	return out, err
}

// StopOptions say how an allocation is stopped.
type StopOptions struct {
	NoShutdownDelay bool
	Reschedule      bool // replace a batch allocation by its reschedule policy instead of at once
}

// Stop ends an allocation; the scheduler replaces it. The answer names the
// evaluation that does both.
func (a Allocs) Stop(ctx context.Context, id string, o StopOptions) (*api.AllocStopResponse, error) {
	params := url.Values{}
	if o.NoShutdownDelay {
		params.Set("no_shutdown_delay", "true")
	}
	if o.Reschedule {
		params.Set("reschedule", "true")
	}
	out := new(api.AllocStopResponse)
	_, err := a.c.call(ctx, http.MethodPut, "/v1/allocation/"+url.PathEscape(id)+"/stop", params, nil, out)
	return out, err
}

func nodeAllocPath(id, verb string) string {
	return "/v1/client/allocation/" + url.PathEscape(id) + "/" + verb
}

// Signal sends a signal to one task, or with task empty to every task.
func (a Allocs) Signal(ctx context.Context, id, task, signal string) error {
	_, err := a.c.call(ctx, http.MethodPut, nodeAllocPath(id, "signal"), nil, &api.AllocSignalRequest{Signal: signal, Task: task}, nil)
	return err
}

// Restart restarts tasks in place: the named one, with all every task even
// if it is dead, otherwise every running one.
func (a Allocs) Restart(ctx context.Context, id, task string, all bool) error {
	_, err := a.c.call(ctx, http.MethodPut, nodeAllocPath(id, "restart"), nil, &api.AllocRestartRequest{TaskName: task, AllTasks: all}, nil)
	return err
}

// Stats returns what an allocation uses now.
func (a Allocs) Stats(ctx context.Context, id string) (*api.AllocResourceUsage, error) {
	out := new(api.AllocResourceUsage)
	_, err := a.c.call(ctx, http.MethodGet, nodeAllocPath(id, "stats"), nil, nil, out)
	return out, err
}

// Checks returns what the node knows of an allocation's checks, by ID.
func (a Allocs) Checks(ctx context.Context, id string) (map[string]*api.CheckResult, error) {
	var out map[string]*api.CheckResult
	_, err := a.c.call(ctx, http.MethodGet, nodeAllocPath(id, "checks"), nil, nil, &out)
	return out, err
}

// Collect asks the node to forget an allocation that has ended.
func (a Allocs) Collect(ctx context.Context, id string) error {
	_, err := a.c.call(ctx, http.MethodGet, nodeAllocPath(id, "gc"), nil, nil, nil)
	return err
}
