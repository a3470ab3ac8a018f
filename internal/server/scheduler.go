package server

import (
	"context"

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

// CollectGarbage removes everything that may go now, whatever its age.
func (s *Server) CollectGarbage(ctx context.Context, token string) error {
	if err := s.authorize(ctx, token, api.CapManagement, ""); err != nil {
		return err
	}
	return s.cfg.Collector.Collect(ctx)
}
