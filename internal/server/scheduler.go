package server

import (
	"context"
	"slices"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// SchedulerConfig reads the scheduler configuration.
func (s *Server) SchedulerConfig(ctx context.Context, opts api.ListOptions) (*api.SchedulerConfiguration, api.Meta, error) {
	if err := s.authorize(ctx, opts.Token, api.CapOperatorRead, ""); err != nil {
		return nil, api.Meta{}, err
	}
	return read(ctx, s, opts, []store.Key{store.KeySchedulerConfig()}, func(snap *store.Snapshot) (*api.SchedulerConfiguration, uint64, error) {
		return snap.SchedulerConfig(), snap.TableIndex(store.TableScheduler), nil
	})
}

// SetSchedulerConfig replaces the scheduler configuration; with cas only while
// its ModifyIndex is cfg's. updated tells whether it was replaced.
func (s *Server) SetSchedulerConfig(ctx context.Context, token string, cfg *api.SchedulerConfiguration, cas bool) (updated bool, index uint64, err error) {
	if err := s.authorize(ctx, token, api.CapOperatorWrite, ""); err != nil {
		return false, 0, err
	}
	switch cfg.SchedulerAlgorithm {
	case "":
		cfg.SchedulerAlgorithm = api.AlgorithmBinPack
	case api.AlgorithmBinPack, api.AlgorithmSpread:
	default:
		return false, 0, api.Errorf(api.CodeInvalid, "SchedulerAlgorithm is %q: it must be %q or %q", cfg.SchedulerAlgorithm, api.AlgorithmBinPack, api.AlgorithmSpread)
	}
	res, err := s.propose(ctx, &store.SetSchedulerConfig{Config: cfg, CAS: cas})
	if err != nil {
		return false, 0, err
	}
	updated, _ = res.Value.(bool)
	return updated, res.Index, nil
}

// maxWorkers is more than any machine has processors to gain from.
const maxWorkers = 256

// SchedulerWorkers lists the workers of this server.
func (s *Server) SchedulerWorkers(ctx context.Context, token string) ([]*api.SchedulerWorker, error) {
	if err := s.authorize(ctx, token, api.CapAgentRead, ""); err != nil {
		return nil, err
	}
	return s.cfg.Workers.List(), nil
}

// SchedulerWorkerConfig reads how many workers this server has, and for what.
func (s *Server) SchedulerWorkerConfig(ctx context.Context, token string) (*api.SchedulerWorkerConfig, error) {
	if err := s.authorize(ctx, token, api.CapAgentRead, ""); err != nil {
		return nil, err
	}
	out := &api.SchedulerWorkerConfig{}
	out.NumSchedulers, out.EnabledSchedulers = s.cfg.Workers.Setting()
	return out, nil
}

// SetSchedulerWorkerConfig changes the workers of this server until it ends.
func (s *Server) SetSchedulerWorkerConfig(ctx context.Context, token string, c *api.SchedulerWorkerConfig) error {
	if err := s.authorize(ctx, token, api.CapAgentWrite, ""); err != nil {
		return err
	}
	if err := CheckSchedulerWorkers(c.NumSchedulers, c.EnabledSchedulers); err != nil {
		return err
	}
	s.cfg.Workers.Set(c.NumSchedulers, c.EnabledSchedulers)
	s.cfg.Log.Info("scheduling workers changed", "num_schedulers", c.NumSchedulers, "enabled_schedulers", strings.Join(c.EnabledSchedulers, " "))
	return nil
}

// CheckSchedulerWorkers says what is wrong with a number of workers and what
// they are for.
func CheckSchedulerWorkers(count int, types []string) error {
	if count < 0 || count > maxWorkers {
		return api.Errorf(api.CodeInvalid, "num_schedulers is %d: it must be from 0, with which this server schedules nothing, to %d", count, maxWorkers)
	}
	for i, t := range types {
		if !slices.Contains(api.SchedulerTypes(), t) {
			return api.Errorf(api.CodeInvalid, "enabled_schedulers: %q is none of %s", t, strings.Join(api.SchedulerTypes(), ", "))
		}
		if slices.Contains(types[:i], t) {
			return api.Errorf(api.CodeInvalid, "enabled_schedulers: %q is there twice", t)
		}
	}
	if !slices.Contains(types, api.SchedulerCore) {
		return api.Errorf(api.CodeInvalid, "enabled_schedulers must have %q, without which nothing that is over would be removed", api.SchedulerCore)
	}
	return nil
}

// CollectGarbage removes everything that may go now, whatever its age.
func (s *Server) CollectGarbage(ctx context.Context, token string) error {
	if err := s.authorize(ctx, token, api.CapManagement, ""); err != nil {
		return err
	}
	return s.cfg.Collector.Collect(ctx)
}
