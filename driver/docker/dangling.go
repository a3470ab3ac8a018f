package docker

import (
	"context"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// reapDangling removes, now and then, this node's containers that no task
// owns: left by an agent that was killed at the wrong moment, or whose
// allocations were forgotten while it was away.
func (d *Driver) reapDangling(ctx context.Context) {
	cfg := d.cfg.GC.Dangling
	if !cfg.Enabled || d.cfg.NodeID == "" {
		return
	}
	began := time.Now()
	ticker := time.NewTicker(cfg.Period)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if time.Since(began) < cfg.CreationGrace {
			continue // tasks may still be recovered
		}
		if err := d.reap(ctx); err != nil && ctx.Err() == nil {
			d.log.Warn("dangling containers can't be looked for", "error", err)
		}
	}
}

// reap removes the dangling containers there are.
func (d *Driver) reap(ctx context.Context) error {
	cfg := d.cfg.GC.Dangling
	list, err := d.cli().ContainerList(ctx, client.ContainerListOptions{
		All:     true,
		Filters: client.Filters{}.Add("label", LabelNode+"="+d.cfg.NodeID, LabelAlloc),
	})
	if err != nil {
		return err
	}
	for _, c := range list.Items {
		fresh := time.Since(time.Unix(c.Created, 0)) < cfg.CreationGrace
		kept := !d.cfg.GC.Container && c.State != container.StateRunning // for people to look at
		if fresh || kept || d.tracked(c.ID) != nil {
			continue
		}
		log := d.log.With("container", c.ID, "alloc", c.Labels[LabelAlloc], "task", c.Labels[LabelTask])
		if cfg.DryRun {
			log.Info("would remove a dangling container")
			continue
		}
		if err := d.remove(ctx, c.ID); err != nil {
			log.Warn("a dangling container can't be removed", "error", err)
			continue
		}
		log.Info("removed a dangling container")
	}
	return nil
}
