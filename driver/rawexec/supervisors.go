package rawexec

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/drover-org/drover/driver"
	"github.com/drover-org/drover/internal/shim"
)

// supervisors shares one connection per allocation among its tasks.
type supervisors struct {
	program shim.Program
	log     *slog.Logger

	mu   sync.Mutex // guards the map and the counts
	open map[string]*allocSupervisor
}

// allocSupervisor is the supervisor of one allocation.
type allocSupervisor struct {
	dir  string
	uses int // tasks that hold it; guarded by supervisors.mu

	mu  sync.Mutex // held while it is opened or shut down
	sup *shim.Supervisor
}

// acquire opens the supervisor of a task's allocation. Each call needs a
// release.
func (s *supervisors) acquire(ctx context.Context, cfg *driver.TaskConfig) (*allocSupervisor, error) {
	dir := filepath.Join(cfg.StateDir, "supervisor")
	s.mu.Lock()
	a := s.open[dir]
	if a == nil {
		a = &allocSupervisor{dir: dir}
		s.open[dir] = a
	}
	a.uses++
	s.mu.Unlock()

	a.mu.Lock()
	var err error
	if a.sup == nil {
		a.sup, err = s.connect(ctx, dir, cfg.KillWithAgent)
	}
	a.mu.Unlock()
	if err != nil {
		s.release(ctx, a)
		return nil, err
	}
	return a, nil
}

// connect opens a supervisor and, if it is of another version of the agent,
// upgrades it.
func (s *supervisors) connect(ctx context.Context, dir string, endWithAgent bool) (*shim.Supervisor, error) {
	sup, err := shim.Open(ctx, shim.Config{Dir: dir, Program: s.program, EndWithAgent: endWithAgent})
	if err != nil {
		return nil, err
	}
	if err := sup.Upgrade(ctx); err != nil {
		// It does its work as it is; the next agent tries again.
		s.log.Info("supervisor keeps its version", "dir", dir, "reason", err)
	}
	return sup, nil
}

// release gives a use back. After the last one the supervisor ends, unless it
// keeps a task that nobody has asked for yet.
func (s *supervisors) release(ctx context.Context, a *allocSupervisor) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s.mu.Lock()
	a.uses--
	last := a.uses == 0
	s.mu.Unlock()
	if !last {
		return
	}
	if a.sup != nil {
		err := a.sup.Shutdown(ctx)
		if err != nil && !errors.Is(err, shim.ErrBusy) {
			s.log.Warn("supervisor did not shut down", "dir", a.dir, "error", err)
		}
		_ = a.sup.Close()
		a.sup = nil
	}
	s.mu.Lock()
	if a.uses == 0 { // nobody came meanwhile
		delete(s.open, a.dir)
	}
	s.mu.Unlock()
}

// close disconnects from all supervisors, which stay.
func (s *supervisors) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.open {
		a.mu.Lock()
		if a.sup != nil {
			_ = a.sup.Close()
		}
		a.mu.Unlock()
	}
}
