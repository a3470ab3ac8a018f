package cluster

import (
	"context"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// raftLogger makes the library's messages ours. What it says in passing is
// for debugging only, and of its warnings a server alone gives one at every
// start: both go down a level.
func raftLogger(log *slog.Logger) hclog.Logger {
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Output: io.Discard, Level: hclog.Off})
	l.RegisterSink(sink{log.With("part", "raft")})
	return l
}

type sink struct{ log *slog.Logger }

// Accept takes one message.
func (s sink) Accept(_ string, level hclog.Level, msg string, args ...any) {
	to := slog.LevelDebug
	switch {
	case msg == "failed to get previous log": // what a follower is told may overtake the entry
	case level >= hclog.Error:
		to = slog.LevelError
	case level == hclog.Warn:
		to = slog.LevelInfo
	}
	s.log.Log(context.Background(), to, msg, args...)
}

// Network carries raft between servers.
type Network interface {
	net.Listener
	// DialRaft opens a connection to the server at addr.
	DialRaft(ctx context.Context, addr string) (net.Conn, error)
}

// streamLayer fits a Network to raft.
type streamLayer struct {
	Network
	advertise net.Addr
}

// Dial implements raft.StreamLayer.
func (l streamLayer) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return l.DialRaft(ctx, string(addr))
}

// Addr returns the address other servers dial.
func (l streamLayer) Addr() net.Addr { return l.advertise }

// address is a host:port as a net.Addr.
type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }
