package server

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// LocateAction finds where an action of a job is to run, once the caller may
// run commands in the job's namespace. The command is that of the version which
// the allocation runs.
func (s *Server) LocateAction(ctx context.Context, token string, ask api.JobActionRequest) (*api.JobActionTarget, error) {
	if err := s.authorize(ctx, token, api.CapAllocExec, ask.Namespace); err != nil {
		return nil, err
	}
	if ask.Action == "" {
		return nil, api.Errorf(api.CodeInvalid, `must provide action name: query parameter "action"`)
	}
	snap := s.store.Snapshot()
	if snap.Job(ask.Namespace, ask.JobID) == nil {
		return nil, missing("job")
	}
	a, err := actionAlloc(snap, ask)
	if err != nil {
		return nil, err
	}
	var found []*api.JobActionTarget
	var tasks, known []string
	for _, t := range a.Group().Tasks {
		if ask.Task != "" && t.Name != ask.Task {
			continue
		}
		for _, action := range t.Actions {
			if !slices.Contains(known, action.Name) {
				known = append(known, action.Name)
			}
			if action.Name == ask.Action {
				tasks = append(tasks, t.Name)
				found = append(found, &api.JobActionTarget{AllocID: a.ID, Task: t.Name, Command: append([]string{action.Command}, action.Args...)})
			}
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, api.Errorf(api.CodeInvalid, "several tasks have the action %q: choose one of %s with \"task\"", ask.Action, strings.Join(tasks, ", "))
	case ask.Task != "" && a.Group().Task(ask.Task) == nil:
		return nil, api.Errorf(api.CodeInvalid, "task %q: group %q has no such task", ask.Task, a.TaskGroup)
	case len(known) == 0:
		return nil, api.Errorf(api.CodeNotFound, "action %q: group %q of job %q has no actions there", ask.Action, a.TaskGroup, ask.JobID)
	}
	return nil, api.Errorf(api.CodeNotFound, "action %q: group %q of job %q has %s", ask.Action, a.TaskGroup, ask.JobID, strings.Join(known, ", "))
}

// actionAlloc returns the allocation that was asked for, or else the youngest
// that runs and has a task with the action.
func actionAlloc(snap *store.Snapshot, ask api.JobActionRequest) (*api.Allocation, error) {
	if ask.AllocID != "" {
		if err := checkID("allocation", ask.AllocID); err != nil {
			return nil, err
		}
		a := snap.Alloc(ask.AllocID)
		if a == nil || a.Namespace != ask.Namespace || a.JobID != ask.JobID || a.Group() == nil {
			return nil, api.Errorf(api.CodeNotFound, "allocation %q: job %q has no such allocation", ask.AllocID, ask.JobID)
		}
		return a, nil
	}
	var running []*api.Allocation
	for a := range snap.AllocsByJob(ask.Namespace, ask.JobID) {
		if a.ClientStatus == api.AllocClientRunning && a.Group() != nil && (ask.Group == "" || a.TaskGroup == ask.Group) && hasAction(a.Group(), ask.Action) {
			running = append(running, a)
		}
	}
	if len(running) == 0 {
		return nil, api.Errorf(api.CodeNotFound, "action %q: no running allocation of job %q has it", ask.Action, ask.JobID)
	}
	return slices.MaxFunc(running, func(a, b *api.Allocation) int {
		return cmp.Or(cmp.Compare(a.CreateIndex, b.CreateIndex), cmp.Compare(a.ID, b.ID))
	}), nil
}

func hasAction(g *api.TaskGroup, name string) bool {
	return slices.ContainsFunc(g.Tasks, func(t *api.Task) bool {
		return slices.ContainsFunc(t.Actions, func(a *api.Action) bool { return a.Name == name })
	})
}
