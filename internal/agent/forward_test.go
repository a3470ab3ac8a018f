package agent

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/drover-org/drover/api"
)

// forwardWorld runs an allocation that has the port of a listener.
func forwardWorld(t *testing.T, serve func(net.Conn)) (target string, alloc *api.Allocation, port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	port = l.Addr().(*net.TCPAddr).Port
	w := newWorld(t, nil)
	a := w.alloc(map[string]any{"run_for": "1h"})
	a.AllocatedResources = &api.AllocatedResources{Shared: api.AllocatedSharedResources{DiskMB: 1, Ports: []api.PortMapping{
		{Label: "http", Value: port, To: 80}, {Label: "closed", Value: 1, HostIP: "127.0.0.1"},
	}}}
	w.assign(a)
	w.untilStatus(a.ID, api.AllocClientRunning)
	return w.server().URL + "/v1/client/allocation/" + a.ID + "/port-forward?port=", a, port
}

// Bytes go both ways, each direction ends by itself, and the port is found by
// label, number and the number in the task's network.
func TestForward(t *testing.T) {
	target, _, port := forwardWorld(t, func(c net.Conn) {
		defer func() { _ = c.Close() }()
		b, _ := io.ReadAll(c) // to the end of that direction
		_, _ = c.Write(bytes.ToUpper(b))
	})
	for _, name := range []string{"http", strconv.Itoa(port), "80"} {
		conn, ctx := dial(t, target+name, nil)
		in := strings.Repeat("binary \x00 and long ", 50_000)
		go func() {
			for rest := in; len(rest) > 0; {
				n := min(len(rest), 10_000)
				if conn.Write(ctx, websocket.MessageBinary, []byte(rest[:n])) != nil {
					return
				}
				rest = rest[n:]
			}
			_ = conn.Write(ctx, websocket.MessageBinary, nil)
		}()
		var out bytes.Buffer
		ends := 0
		for {
			kind, b, err := conn.Read(ctx)
			if err != nil {
				if websocket.CloseStatus(err) != websocket.StatusNormalClosure {
					t.Errorf("%s: close %v", name, err)
				}
				break
			}
			if len(b) == 0 {
				ends++
			}
			if kind != websocket.MessageBinary {
				t.Errorf("%s: a frame of kind %v", name, kind)
			}
			out.Write(b)
		}
		if out.String() != strings.ToUpper(in) || ends != 1 {
			t.Errorf("%s: %d of %d bytes, %d ends", name, out.Len(), len(in), ends)
		}
	}
}

// Only ports of the allocation can be reached, by who may.
func TestForwardRefusals(t *testing.T) {
	hold := make(chan struct{})
	target, a, _ := forwardWorld(t, func(c net.Conn) {
		<-hold
		_ = c.Close()
	})
	defer close(hold)
	for name, c := range map[string]struct {
		target string
		allow  []api.Capability
		frame  string
		kind   websocket.MessageType
		code   websocket.StatusCode
		reason string
	}{
		"no port":      {target, nil, "", 0, 1008, `"port" is required`},
		"other port":   {target + "22", nil, "", 0, 1008, `port "22" is not one of the allocation's: it has closed (1), http (`},
		"address":      {target + "10.0.0.1:80", nil, "", 0, 1008, "is not one of"},
		"nobody there": {target + "closed", nil, "", 0, 1011, `nothing answers at port "closed"`},
		"no right":     {target + "http", []api.Capability{api.CapAllocExec}, "", 0, 1008, "alloc-port-forward"},
		"unknown":      {strings.Replace(target, a.ID, api.NewID(), 1) + "http", nil, "", 0, 1008, "Unknown allocation"},
		"text":         {target + "http", nil, "x", websocket.MessageText, 1003, "binary frames"},
		"too big":      {target + "http", nil, strings.Repeat("x", maxForwardFrame+1), websocket.MessageBinary, 1009, "larger"},
	} {
		if c.allow == nil {
			c.allow = []api.Capability{api.CapAllocPortForward}
		}
		conn, ctx := dial(t, c.target, verdict(c.allow...))
		if c.frame != "" {
			_ = conn.Write(ctx, c.kind, []byte(c.frame))
		}
		_, _, err := conn.Read(ctx)
		var ce websocket.CloseError
		if !errors.As(err, &ce) || ce.Code != c.code || !strings.Contains(ce.Reason, c.reason) {
			t.Errorf("%s: %v, want %d %q", name, err, c.code, c.reason)
		}
	}
}
