package agent

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/agent/task"
	"github.com/drover-org/drover/internal/web"
)

// Handler serves the routes that only the node itself can answer. They are
// answered while Run runs.
func (a *Agent) Handler() http.Handler { return a.handler }

func (a *Agent) newHandler() http.Handler {
	raw := func(f http.HandlerFunc) http.Handler { return f }
	const alloc, files = "/v1/client/allocation/{id}/", "/v1/client/fs/"
	routes := []web.Route{
		{Methods: "GET", Pattern: alloc + "exec", Raw: raw(a.serveExec)},
		{Methods: "GET", Pattern: alloc + "port-forward", Raw: raw(a.serveForward)},
		{Methods: "GET", Pattern: alloc + "copy", Raw: raw(a.copyOut)},
		{Methods: "PUT POST", Pattern: alloc + "copy", Do: a.copyIn},
		{Methods: "GET", Pattern: alloc + "stats", Do: a.allocStats},
		{Methods: "GET", Pattern: alloc + "checks", Do: a.checkResults},
		{Methods: "PUT POST", Pattern: alloc + "signal", Do: a.signal},
		{Methods: "PUT POST", Pattern: alloc + "restart", Do: a.restart},
		{Methods: "GET PUT POST", Pattern: alloc + "gc", Do: a.collectAlloc},
		{Methods: "GET", Pattern: "/v1/client/stats", Do: a.hostStats},
		{Methods: "GET PUT POST", Pattern: "/v1/client/gc", Do: a.collectNode},
		{Methods: "GET", Pattern: "/v1/client/metadata", Do: a.readMeta},
		{Methods: "PUT POST", Pattern: "/v1/client/metadata", Do: a.writeMeta},
		{Methods: "GET", Pattern: "/v1/client/identity", Do: a.showIdentity},
		{Methods: "PUT POST", Pattern: "/v1/client/identity/renew", Do: a.renewIdentity},
		{Methods: "GET", Pattern: files + "ls/{id}", Do: a.listFiles},
		{Methods: "GET", Pattern: files + "stat/{id}", Do: a.statFile},
		{Methods: "GET", Pattern: files + "cat/{id}", Raw: raw(a.catFile)},
		{Methods: "GET", Pattern: files + "readat/{id}", Raw: raw(a.readFile)},
		{Methods: "GET", Pattern: files + "stream/{id}", Raw: raw(a.streamFile)},
		{Methods: "GET", Pattern: files + "logs/{id}", Raw: raw(a.streamLogs)},
	}
	for _, verb := range []string{"ls", "stat", "cat", "readat", "stream", "logs"} {
		for _, end := range []string{"", "/{$}"} {
			routes = append(routes, web.Route{Methods: "*", Pattern: files + verb + end, Do: func(*http.Request) (any, error) {
				return nil, api.Errorf(api.CodeInvalid, "must provide a valid alloc id: %s%s/<alloc id>", files, verb)
			}})
		}
	}
	mux := web.NewMux(a.log, routes)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select { // who asks just after a restart gets what was true before it
		case <-a.settled:
		case <-a.closing:
		case <-r.Context().Done():
		}
		mux.ServeHTTP(w, r)
	})
}

// find returns the runner of an allocation that is on this node.
func (a *Agent) find(id string) (*runner, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if r := a.runners[id]; r != nil {
		return r, nil
	}
	if a.collected[id] != nil {
		return nil, api.Errorf(api.CodeNotFound, "state for allocation %s not found on client: it has ended and was garbage collected", id)
	}
	return nil, api.Errorf(api.CodeNotFound, "Unknown allocation %q", id)
}

// lookUp returns the task that a request names.
func (r *runner) lookUp(name string) (*task.Task, error) {
	if t := r.task(name); t != nil {
		return t, nil
	}
	return nil, api.Errorf(api.CodeInvalid, "unknown task name %q: allocation %s has %s", name, r.id, strings.Join(r.taskNames(), ", "))
}

func (a *Agent) signal(r *http.Request) (any, error) {
	run, err := a.find(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	var req api.AllocSignalRequest
	if _, err := web.Decode(r, &req); err != nil {
		return nil, err
	}
	if req.Signal == "" {
		return nil, api.Errorf(api.CodeInvalid, `field "Signal" is required: a name like "SIGHUP"`)
	}
	names := run.taskNames()
	if req.Task != "" {
		names = []string{req.Task}
	}
	var errs []error
	for _, name := range names {
		t, err := run.lookUp(name)
		if err == nil {
			err = t.Signal(r.Context(), req.Signal)
		}
		errs = append(errs, err)
	}
	if err := join(errs); err != nil {
		return nil, err
	}
	return struct{}{}, nil
}

// join is errors.Join for errors of which the first decides about the code.
func join(errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) < 2 {
		return errors.Join(errs...)
	}
	return api.Errorf(api.ErrorCode(errs[0]), "%w", errors.Join(errs...))
}

// Reasons of restarts that users ask for.
const (
	restartOne     = "User requested task to restart"
	restartRunning = "User requested running tasks to restart"
	restartAll     = "User requested all tasks to restart"
)

func (a *Agent) restart(r *http.Request) (any, error) {
	run, err := a.find(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	var req api.AllocRestartRequest
	if _, err := web.DecodeOptional(r, &req); err != nil {
		return nil, err
	}
	name := req.TaskName
	switch {
	case name == "":
		name = req.Task
	case req.Task != "" && req.Task != name:
		return nil, api.Errorf(api.CodeInvalid, `fields "Task" (%q) and "TaskName" (%q) differ; give one`, req.Task, name)
	}
	switch {
	case name != "" && req.AllTasks:
		err = api.Errorf(api.CodeInvalid, `task name cannot be set when restarting all tasks: leave out "AllTasks" or the task`)
	case req.AllTasks:
		err = run.restartAll(r.Context(), restartAll)
	case name != "":
		var t *task.Task
		if t, err = run.lookUp(name); err == nil {
			err = t.Restart(r.Context(), restartOne)
		}
	default:
		err = run.restartRunning(r.Context())
	}
	if err != nil {
		return nil, err
	}
	return struct{}{}, nil
}

// restartRunning restarts the tasks that run; the others are left alone.
func (r *runner) restartRunning(ctx context.Context) error {
	var running []*task.Task
	for _, name := range r.taskNames() {
		if t := r.task(name); t.State().State == api.TaskStateRunning {
			running = append(running, t)
		}
	}
	if len(running) == 0 {
		return api.Errorf(api.CodeConflict, "restart of an alloc that should not run: no task of allocation %s is running", r.id)
	}
	errs := make(chan error, len(running))
	for _, t := range running {
		go func() { errs <- t.Restart(ctx, restartRunning) }()
	}
	var all []error
	for range running {
		all = append(all, <-errs)
	}
	return join(all)
}

func (a *Agent) collectAlloc(r *http.Request) (any, error) {
	return nil, a.collectOne(r.Context(), r.PathValue("id"))
}

func (a *Agent) collectNode(*http.Request) (any, error) {
	a.collectAll()
	return nil, nil
}
