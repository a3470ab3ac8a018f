package agent

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
	"github.com/drover-org/drover/internal/ws"
)

const (
	forwardDialTimeout = 5 * time.Second
	maxForwardFrame    = 1 << 20 // of the caller's frames
	forwardChunk       = 32 << 10
)

// serveForward connects a websocket to a port of an allocation. Binary
// messages are the bytes; an empty one ends its direction.
func (a *Agent) serveForward(w http.ResponseWriter, r *http.Request) {
	a.serveSession(w, r, func(s *session) error {
		if err := web.CheckVerdict(r, api.CapAllocPortForward); err != nil {
			return err
		}
		run, err := a.find(r.PathValue("id"))
		if err != nil {
			return err
		}
		port := web.ParamsOf(r).String("port")
		to, err := forwardTarget(run.allocation(), port)
		if err != nil {
			return err
		}
		if run.terminal() {
			return api.Errorf(api.CodeInvalid, "not possible, client status of allocation %s is %s", run.id, run.clientStatus())
		}
		dialer := net.Dialer{Timeout: forwardDialTimeout}
		conn, err := dialer.DialContext(s.ctx, "tcp", to)
		if err != nil {
			return api.Errorf(api.CodeUnavailable, "nothing answers at port %q of the allocation (%s): %w", port, to, err)
		}
		return s.forward(conn.(*net.TCPConn))
	})
}

// forwardTarget returns the address of a port that belongs to an allocation,
// given by its label, its number on the host, or its number in the task's
// network. No other address can be reached.
func forwardTarget(alloc *api.Allocation, port string) (string, error) {
	if port == "" {
		return "", api.Errorf(api.CodeInvalid, `query parameter "port" is required: a label or number of a port of the allocation`)
	}
	ports := alloc.AllocatedResources.AllPorts()
	if i := slices.IndexFunc(ports, func(p api.PortMapping) bool { return p.Label == port }); i >= 0 {
		return addressOf(ports[i]), nil
	}
	if i := slices.IndexFunc(ports, func(p api.PortMapping) bool { return p.Matches(port) }); i >= 0 {
		return addressOf(ports[i]), nil
	}
	if len(ports) == 0 {
		return "", api.Errorf(api.CodeInvalid, "allocation %s has no ports: ask for them in a network block of its group", alloc.ID)
	}
	var known []string
	for _, p := range ports {
		known = append(known, p.Label+" ("+strconv.Itoa(p.Value)+")")
	}
	return "", api.Errorf(api.CodeInvalid, "port %q is not one of the allocation's: it has %s", port, strings.Join(known, ", "))
}

func addressOf(p api.PortMapping) string {
	return net.JoinHostPort(reachable(p.HostIP), strconv.Itoa(p.Value))
}

// reachable is where a port on all addresses is reached from the node itself.
func reachable(ip string) string {
	switch addr := net.ParseIP(ip); {
	case addr == nil, addr.Equal(net.IPv4zero):
		return "127.0.0.1"
	case addr.IsUnspecified():
		return "::1"
	}
	return ip
}

// forward moves bytes between the session and a connection until both
// directions have ended, or one has broken.
func (s *session) forward(conn *net.TCPConn) error {
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithCancelCause(s.ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	var in sync.WaitGroup
	inEnded := make(chan struct{})
	in.Go(func() {
		err := s.forwardIn(conn, inEnded)
		cancel(err)
	})
	err := s.forwardOut(conn)
	if err == nil {
		select { // the other direction may go on for long
		case <-inEnded:
		case <-ctx.Done():
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	s.end(err)
	_ = conn.Close()
	in.Wait()
	return nil
}

// forwardIn writes what the caller sends and returns when it can't be read
// any more. ended is closed when the caller has ended its direction.
func (s *session) forwardIn(conn *net.TCPConn, ended chan struct{}) error {
	half := false
	for {
		m, err := s.conn.Read(maxForwardFrame)
		if err != nil {
			return hangUp(err)
		}
		switch {
		case m.Op != ws.Binary:
			err = &ws.CloseError{Code: ws.UnsupportedData, Reason: "a text frame: the bytes of a connection are sent in binary frames"}
		case half:
			err = &ws.CloseError{Code: ws.PolicyViolation, Reason: "more bytes after the empty frame that ends them"}
		case len(m.Data) == 0:
			half = true
			_ = conn.CloseWrite() // the other end may have gone already
			close(ended)
		default:
			s.held.Store(true)
			if _, err = conn.Write(m.Data); err != nil {
				err = errTargetBroke
			}
			s.held.Store(false)
		}
		m.Release()
		if err != nil {
			return err
		}
	}
}

var errTargetBroke = api.Errorf(api.CodeUnavailable, "the task's end of the connection broke off")

// forwardOut sends what the task's end sends, and its end.
func (s *session) forwardOut(conn *net.TCPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	for {
		buf, n, err := readReady(raw)
		if err != nil {
			return errTargetBroke
		}
		if n == 0 {
			if s.conn.Send(ws.Binary, make([]byte, ws.Room)) != nil {
				return errHungUp
			}
			return nil
		}
		err = s.conn.Send(ws.Binary, (*buf)[:ws.Room+n])
		frameBufs.Put(buf)
		if err != nil {
			return errHungUp
		}
	}
}

// readReady waits until something can be read, and only then takes a buffer,
// which holds a frame with n bytes and is the caller's unless n is 0: the end.
func readReady(raw syscall.RawConn) (buf *[]byte, n int, err error) {
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		buf = frameBufs.Get().(*[]byte)
		*buf = (*buf)[:ws.Room+forwardChunk]
		for {
			if n, failed = unix.Read(int(fd), (*buf)[ws.Room:]); !errors.Is(failed, unix.EINTR) {
				break
			}
		}
		if n > 0 {
			return true
		}
		frameBufs.Put(buf)
		return !errors.Is(failed, unix.EAGAIN)
	})
	return buf, max(n, 0), errors.Join(err, failed)
}
