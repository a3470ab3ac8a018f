package link

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover-org/drover/api"
)

// Two processes with one node's identity: the first stays, the second is told
// why and asks ever more rarely.
func TestSecondProcessIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		first := w.node(NodeConfig{})
		synctest.Wait()
		second := w.node(NodeConfig{})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if !first.Connected() || second.Connected() {
			t.Fatalf("first connected %v, second %v", first.Connected(), second.Connected())
		}
		registered, _, gone := w.backend.counts()
		if registered != 1 || gone != 0 {
			t.Errorf("registered %d times, gone %d times", registered, gone)
		}
		w.mu.Lock()
		dials := len(w.conns) - 1
		w.mu.Unlock()
		// Eight attempts on the way to a pause of 15 s on average, then one each.
		if dials < 20 || dials > 90 {
			t.Errorf("the second connected %d times in ten minutes", dials)
		}
	})
}

// A restarted agent gets in although nobody noticed that its predecessor died.
func TestRestartedProcessGetsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		dead, _ := w.dial(w.ctx, "")
		frame, _ := appendFrame([]byte{ProtoControl}, kindHello, &helloMsg{Version: protocolVersion, Node: []byte(`{"ID":"` + nodeID + `"}`), Instance: "dead"})
		go func() {
			_, _ = dead.Write(frame)
			_, _ = io.Copy(io.Discard, dead) // takes all and answers nothing
		}()
		synctest.Wait()
		began := time.Now()
		n := w.node(NodeConfig{})
		for !n.Connected() {
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
		}
		if took := time.Since(began); took > probeTime+time.Second {
			t.Errorf("in after %v", took)
		}
	})
}

// A stream that ends right after it was opened, again and again, does not make
// a node connect in haste.
func TestShortStreamsBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		dials := 0
		n := NewNode(NodeConfig{
			Servers: []string{"server:4647"}, Log: w.log, OnAssign: func(Assignment) {},
			Node: func() *api.Node { return &api.Node{ID: nodeID, SecretID: "secret"} },
			Dial: func(ctx context.Context, addr string) (net.Conn, error) {
				dials++
				conn, err := w.dial(ctx, addr)
				if err == nil {
					time.AfterFunc(time.Second, func() { _ = conn.Close() })
				}
				return conn, err
			},
		})
		ctx, cancel := context.WithTimeout(w.ctx, 10*time.Minute)
		defer cancel()
		if err := n.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if dials < 20 || dials > 90 {
			t.Errorf("connected %d times in ten minutes", dials)
		}
	})
}
