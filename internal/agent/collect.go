package agent

import (
	"cmp"
	"context"
	"slices"

	"github.com/drover-org/drover/api"
	"github.com/shirou/gopsutil/v4/disk"
)

// collectBatch is how many allocations make room when the disk is full,
// before it is looked at again.
const collectBatch = 10

// collectExcess removes terminal allocations, the oldest first, beyond the
// number that is kept or while the disk is too full. Kept logs are the last to
// make room.
func (a *Agent) collectExcess() {
	ended := a.terminal()
	excess := max(0, len(ended)-a.cfg.GCMaxAllocs)
	if len(ended) > excess {
		if a.diskFull() {
			a.log.Info("terminal allocations are removed because the disk is filling up")
			excess = min(len(ended), excess+collectBatch)
		}
	}
	a.retained.enforce()
	a.casts.enforce()
	if len(ended) == 0 && a.diskFull() && a.retained.shrink(collectBatch) {
		a.log.Info("logs of removed allocations are removed because the disk is filling up")
	}
	for _, r := range ended[:excess] {
		a.log.Info("a terminal allocation is removed from this node", "alloc", r.id, "terminal", len(ended), "kept", a.cfg.GCMaxAllocs)
		r.discard()
	}
}

// diskFull reports whether the disk of the allocations is used beyond what was
// configured.
func (a *Agent) diskFull() bool {
	u, err := disk.Usage(a.cfg.AllocDir)
	return err == nil && (u.UsedPercent > a.cfg.GCDiskThreshold || u.InodesUsedPercent > a.cfg.GCInodeThreshold)
}

// terminal returns the runners of terminal allocations, the oldest first.
func (a *Agent) terminal() []*runner {
	a.mu.RLock()
	defer a.mu.RUnlock()
	var list []*runner
	for _, r := range a.runners {
		if r.terminal() {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b *runner) int { return cmp.Or(a.endTime().Compare(b.endTime()), cmp.Compare(a.id, b.id)) })
	return list
}

// collectAll removes every terminal allocation.
func (a *Agent) collectAll() {
	for _, r := range a.terminal() {
		r.discard()
	}
}

// collectOne removes a terminal allocation and returns when it is gone.
func (a *Agent) collectOne(ctx context.Context, id string) error {
	r, err := a.find(id)
	if err != nil {
		return err
	}
	if !r.terminal() {
		return api.Errorf(api.CodeConflict, "allocation %s has not ended; stop it first, then it can be collected", id)
	}
	r.discard()
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
