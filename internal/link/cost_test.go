//go:build !race

// The race detector keeps memory of its own for every goroutine.

package link

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"
)

// TestServerCostPerNode holds what a connected, idle node costs a server: 15
// KiB is the design's target. The measure includes this process's end of the
// connection.
func TestServerCostPerNode(t *testing.T) {
	const nodes = 500
	backend := newBackend()
	log := slog.New(slog.DiscardHandler)
	s := NewServer(ServerConfig{Backend: backend, Log: log})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	mux := NewMux(MuxConfig{Listener: ln, Log: log, Control: s.ServeControl, DialBack: s.ServeDialBack})
	var wg sync.WaitGroup
	wg.Go(func() { _ = mux.Run(ctx) })
	before := inUse()
	conns := make([]net.Conn, nodes)
	for i := range conns {
		if conns[i], err = net.Dial("tcp", ln.Addr().String()); err != nil {
			t.Fatal(err)
		}
		node := fmt.Sprintf(`{"ID":"00000000-0000-0000-0000-%012d"}`, i)
		frame, _ := appendFrame([]byte{ProtoControl}, kindHello, &helloMsg{Version: protocolVersion, Node: []byte(node)})
		if _, err := conns[i].Write(frame); err != nil {
			t.Fatal(err)
		}
		r := frameReader{conn: conns[i]}
		if err := r.read(time.Time{}, maxHello, func(kind, []byte) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, func() bool { return s.Nodes() == nodes })
	perNode := (inUse() - before) / nodes
	t.Logf("%d bytes a node", perNode)
	if perNode > 15<<10 {
		t.Errorf("a node costs %d bytes, at most %d were meant", perNode, 15<<10)
	}
	for _, c := range conns {
		_ = c.Close()
	}
	cancel()
	wg.Wait()
}

func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
