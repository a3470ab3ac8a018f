package agent

import (
	"time"

	"github.com/drover-org/drover/api"
)

// view is what ordering, status and health need to know of a task.
type view struct {
	name      string
	lifecycle *api.TaskLifecycle
	leader    bool
	state     *api.TaskState
	serving   bool // it runs and is to go on
}

// role is a task's place in the life of its group.
type role int

const (
	roleMain      role = iota
	rolePrestart       // ends before the main tasks start
	roleSidecar        // starts before the main tasks and ends after them
	rolePoststart      // starts when the main tasks run
	rolePoststop       // runs when all others have ended
)

func (v *view) role() role {
	switch l := v.lifecycle; {
	case l == nil:
		return roleMain
	case l.Hook == api.HookPoststop:
		return rolePoststop
	case l.Hook == api.HookPrestart && l.Sidecar:
		return roleSidecar
	case l.Hook == api.HookPrestart:
		return rolePrestart
	}
	return rolePoststart
}

func (v *view) dead() bool { return v.state.State == api.TaskStateDead }

// started reports whether the task runs or ran since its last start.
func (v *view) started() bool {
	return !v.state.StartedAt.IsZero() && v.state.State != api.TaskStatePending
}

// killing is a task to be killed and the event that tells why, if any.
type killing struct {
	name  string
	event *api.TaskEvent
}

// step is what the tasks of a group need now.
type step struct {
	begin []string
	kill  []killing
}

// order decides which tasks may start and which must end. It is asked after
// every change and may name a task again that it named before. stop says that
// the group is to end.
func order(tasks []view, stop bool, now time.Time) step {
	why, event := endReason(tasks, now)
	if stop || why {
		if stop {
			event = nil
		}
		return wind(tasks, event)
	}
	return start(tasks)
}

// endReason tells whether the group must end by itself: a task failed, its
// leader is dead, or no main task is left.
func endReason(tasks []view, now time.Time) (bool, *api.TaskEvent) {
	mains, living := 0, 0
	var leader bool
	for i := range tasks {
		v := &tasks[i]
		if v.role() == rolePoststop {
			continue
		}
		if v.dead() && v.state.Failed {
			return true, api.NewTaskEvent(api.EventSiblingFailed, now, api.DetailFailedSibling, v.name)
		}
		if v.role() == roleMain {
			mains++
			if !v.dead() {
				living++
			}
			leader = leader || v.leader && v.dead()
		}
	}
	switch {
	case leader:
		return true, api.NewTaskEvent(api.EventLeaderDead, now)
	case mains > 0 && living == 0:
		return true, api.NewTaskEvent(api.EventMainTasksDead, now)
	}
	return false, nil
}

// start begins tasks in the order of their roles.
func start(tasks []view) step {
	ready, up := true, true // prestart tasks are through; main tasks run
	for i := range tasks {
		v := &tasks[i]
		switch v.role() {
		case rolePrestart:
			ready = ready && v.state.Successful()
		case roleSidecar:
			ready = ready && v.started()
		case roleMain:
			up = up && v.started()
		}
	}
	var s step
	for i := range tasks {
		v := &tasks[i]
		if v.dead() || v.started() {
			continue
		}
		switch v.role() {
		case rolePrestart, roleSidecar:
			s.begin = append(s.begin, v.name)
		case roleMain:
			if ready {
				s.begin = append(s.begin, v.name)
			}
		case rolePoststart:
			if ready && up {
				s.begin = append(s.begin, v.name)
			}
		}
	}
	return s
}

// wind ends tasks: the leader first, then the others that are no sidecars,
// then the sidecars; what runs after the stop comes last.
func wind(tasks []view, event *api.TaskEvent) step {
	var s step
	for _, stage := range []func(*view) bool{
		func(v *view) bool { return v.role() == roleMain && v.leader },
		func(v *view) bool { return !isSidecar(v) && v.role() != rolePoststop },
		isSidecar,
	} {
		for i := range tasks {
			if v := &tasks[i]; stage(v) && !v.dead() {
				s.kill = append(s.kill, killing{v.name, event})
			}
		}
		if len(s.kill) > 0 {
			return s
		}
	}
	ran := false
	for i := range tasks {
		ran = ran || !tasks[i].state.StartedAt.IsZero() || tasks[i].state.Failed
	}
	for i := range tasks {
		v := &tasks[i]
		switch {
		case v.role() != rolePoststop || v.dead():
		case ran:
			s.begin = append(s.begin, v.name)
		default:
			s.kill = append(s.kill, killing{v.name, event})
		}
	}
	return s
}

func isSidecar(v *view) bool {
	return v.lifecycle != nil && v.lifecycle.Sidecar && v.role() != rolePoststop
}
