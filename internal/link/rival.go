package link

import (
	"context"
	"time"

	"github.com/drover-org/drover/api"
)

// probeTime is how long a node may take to answer whether it still holds its
// stream when another process comes with its identity. A restarted agent waits
// that long at most, and only if its machine died without a word.
const probeTime = 2 * time.Second

// makeWay decides between a process that comes with a node's identity and one
// that has a stream under it. A new stream of the same process always wins: the
// old one is a leftover. Of two processes the one that is there stays as long
// as it answers; otherwise they would throw each other out for ever.
func (s *Server) makeWay(ctx context.Context, nodeID, instance string) error {
	s.mu.Lock()
	old := s.sessions[nodeID]
	s.mu.Unlock()
	if old == nil || old.owner == instance || !old.answers(ctx) {
		return nil
	}
	return api.Errorf(api.CodeConflict,
		"node %s is connected already, from %s: two agents run with the same identity; stop one of them or give it a data_dir of its own",
		nodeID, old.conn.RemoteAddr())
}

// answers asks the node whether it is there.
func (c *session) answers(ctx context.Context) bool {
	select {
	case <-c.probed: // late, of an earlier question
	default:
	}
	timer := time.NewTimer(probeTime)
	defer timer.Stop()
	go func() { _ = c.send(kindProbe, nil) }() // may block as long as writes may; it ends with the connection
	select {
	case <-c.probed:
		return true
	case <-c.done:
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}
