package shim

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover-org/drover/internal/shim/cgroup"
	"github.com/drover-org/drover/internal/shim/wire"
)

// settle ends the tasks whose supervisor died before they did: it kills what
// is left of them and writes the missing records. The lock must be held.
func (s *Supervisor) settle(ctx context.Context) error {
	records, err := s.records()
	if err != nil {
		return err
	}
	boot := wire.BootID()
	for _, r := range records {
		if r.Ended {
			continue
		}
		r.Ended, r.EndedAt = true, time.Now().UnixNano()
		r.Signal, r.Code = int64(unix.SIGKILL), 128+int64(unix.SIGKILL)
		if r.BootID != boot {
			r.Message = "the machine was restarted while the task ran"
		} else {
			r.Message = "the task's supervisor ended unexpectedly, and the task with it"
			if err := killLeft(ctx, r); err != nil {
				return err
			}
		}
		if err := wire.WriteRecord(s.dir, r); err != nil {
			return fmt.Errorf("record the end of task %s: %w", r.ID, err)
		}
	}
	return nil
}

// Bounds of the wait for killed processes that nobody can report to us.
const (
	killPatience = 5 * time.Second
	killPause    = 5 * time.Millisecond
)

// killLeft kills what is left of a task and returns when it is gone.
func killLeft(ctx context.Context, r *wire.TaskState) error {
	patience := time.NewTimer(killPatience)
	defer patience.Stop()
	for {
		left := false
		tracked := false
		for _, g := range r.Cgroups {
			if g.Own {
				tracked = true
				if len(cgroup.Pids(g.Path)) > 0 {
					left = true
					cgroup.Kill(g.Path)
				}
			}
		}
		if !tracked {
			for _, pid := range sessionLeft(r) {
				left = true
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		}
		if !left {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-patience.C:
			return fmt.Errorf("task %s: processes are left that can't be killed", r.ID)
		case <-time.After(killPause):
		}
	}
}

// sessionLeft returns the live processes of the session that the task's main
// process led. A session's number isn't reused while it has members; the start
// times exclude one that was reused after it had none.
func sessionLeft(r *wire.TaskState) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var list []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		b, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if len(f) < 20 || f[0] == "Z" {
			continue
		}
		session, _ := strconv.ParseInt(f[3], 10, 64)
		start, _ := strconv.ParseInt(f[19], 10, 64)
		if session != r.Pid || start < r.StartTicks {
			continue
		}
		if int64(pid) == r.Pid && start != r.StartTicks {
			return nil // the number is somebody else's by now
		}
		list = append(list, pid)
	}
	return list
}
