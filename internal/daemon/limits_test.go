package daemon

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// A flood of connections is refused and counted, and who is connected goes on.
func TestFloodOfConnectionsIsCounted(t *testing.T) {
	c := persistent(t.TempDir())
	c.Limits.HTTPMaxConnsPerClient = 2
	a := start(t, c, nil)
	a.wait("/v1/status/leader", "127.0.0.1") // over the one connection of this client
	silent, err := net.Dial("tcp", a.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	const flood = 20
	for range flood {
		conn, err := net.Dial("tcp", a.HTTP)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(conn)
		_ = conn.Close()
		if !strings.HasPrefix(string(text), "HTTP/1.1 429 ") || !bytes.Contains(text, []byte("Retry-After: 1\r\n")) {
			t.Fatalf("%s, %v", text, err)
		}
	}
	_, text := a.request("GET", "/v1/metrics?format=prometheus", nil)
	for _, want := range []string{
		`drover_limit_refused_total{limit="http_connections"} 20`, `drover_limit_refused_total{limit="request_rate"} 0`,
		`drover_limit_refused_total{limit="slow_reader"} 0`, `drover_limit_open{kind="exec"} 0`, `drover_limit_open{kind="watches"} 0`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}

// What is no request of the protocol is refused without an answer and counted.
func TestFloodOfTheRPCPortIsCounted(t *testing.T) {
	a := start(t, persistent(t.TempDir()), nil)
	for _, first := range []byte{0, 1, 9, 22, 200} { // 1 is raft, which a server alone speaks with nobody
		conn, err := net.Dial("tcp", a.RPC)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte{first})
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}
	if _, text := a.request("GET", "/v1/metrics?format=prometheus", nil); !strings.Contains(text, `drover_limit_refused_total{limit="rpc_refused"} 5`) {
		t.Error("not counted")
	}
}

// Who asks over the rpc port, as nodes do for their callers, and does not read
// the answers, is cut as on the other port, and others are answered.
func TestSlowReadersOfTheRPCPortAreCut(t *testing.T) {
	c := persistent(t.TempDir())
	c.Limits.HTTPStallTimeout = time.Second // the least there is
	a := start(t, c, nil)
	const flood = 5
	var cut sync.WaitGroup
	for range flood {
		conn, err := net.Dial("tcp", a.RPC)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		cut.Go(func() {
			defer conn.Close()
			for {
				if _, err := io.WriteString(conn, "GET /v1/metrics?format=prometheus HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"); err != nil {
					return
				}
			}
		})
	}
	a.wait("/v1/status/leader", "127.0.0.1")
	cut.Wait()
	if _, text := a.request("GET", "/v1/metrics?format=prometheus", nil); !strings.Contains(text, fmt.Sprintf(`drover_limit_refused_total{limit="slow_reader"} %d`, flood)) {
		t.Error("not counted")
	}
}
