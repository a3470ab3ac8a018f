package server

import (
	"context"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// DrainNode starts, changes or ends the drain of a node. What a drain does is
// done by the leader's loop.
func (s *Server) DrainNode(ctx context.Context, token, id string, req *api.NodeDrainRequest) (*api.NodeUpdateResponse, error) {
	snap, n, err := s.writableNode(ctx, token, id)
	if err != nil {
		return nil, err
	}
	if err := req.Validate(); err != nil {
		return nil, err
	}
	who, err := s.Caller(ctx, token)
	if err != nil {
		return nil, err
	}
	now := s.now()
	cmd := &store.UpdateNodeDrain{NodeID: id, MarkEligible: req.MarkEligible, Meta: req.Meta, AccessorID: who.AccessorID, Now: now.UnixNano()}
	if req.DrainSpec != nil {
		cmd.Strategy = req.DrainSpec.Strategy(now)
	} else if req.MarkEligible && !n.Ready() {
		cmd.Evals = s.systemEvals(snap, n)
	}
	res, err := s.propose(ctx, cmd)
	if err != nil {
		return nil, err
	}
	return nodeAnswer(res, cmd.Evals), nil
}
