package gossip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// Sockets are those of the serf port.
type Sockets struct {
	Streams net.Listener
	Packets net.PacketConn
}

// portTries is how often Listen looks for a port that is free for both
// protocols, when any will do.
const portTries = 10

// Listen opens the sockets at host:port.
func Listen(addr string) (s Sockets, err error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return s, err
	}
	for range portTries {
		if s.Streams, err = net.Listen("tcp", addr); err != nil {
			return Sockets{}, err
		}
		if s.Packets, err = net.ListenPacket("udp", s.Streams.Addr().String()); err == nil {
			return s, nil
		}
		err = errors.Join(err, s.Streams.Close())
		if port != "0" {
			break
		}
	}
	return Sockets{}, err
}

// Close closes both.
func (s Sockets) Close() error { return errors.Join(s.Streams.Close(), s.Packets.Close()) }

// Bounds of the transport.
const (
	maxPacket     = 64 << 10
	acceptPause   = 50 * time.Millisecond
	maxAcceptWait = 5 * time.Second // of a stream that the library does not take
)

// transport carries memberlist's messages over sockets that are there already.
type transport struct {
	sockets Sockets
	packets chan *memberlist.Packet
	streams chan net.Conn
	done    chan struct{}
	once    sync.Once
	wg      sync.WaitGroup
}

func newTransport(s Sockets) *transport {
	return &transport{sockets: s, packets: make(chan *memberlist.Packet), streams: make(chan net.Conn), done: make(chan struct{})}
}

// accept calls first when the first stream comes, and hands on that one and
// all that follow, until the transport is shut down.
func (t *transport) accept(first func() error) error {
	for {
		conn, err := t.sockets.Streams.Accept()
		switch {
		case err == nil:
		case errors.Is(err, net.ErrClosed):
			return nil
		default: // out of file descriptors, mostly: it passes
			select {
			case <-time.After(acceptPause):
			case <-t.done:
				return nil
			}
			continue
		}
		if err := first(); err != nil {
			_ = conn.Close()
			return err
		}
		select {
		case t.streams <- conn:
		case <-time.After(maxAcceptWait):
			_ = conn.Close()
		case <-t.done:
			_ = conn.Close()
			return nil
		}
	}
}

// receive hands on packets until the transport is shut down.
func (t *transport) receive() {
	buf := make([]byte, maxPacket)
	for {
		n, from, err := t.sockets.Packets.ReadFrom(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil || n == 0:
			continue
		}
		p := &memberlist.Packet{Buf: append([]byte(nil), buf[:n]...), From: from, Timestamp: time.Now()}
		select {
		case t.packets <- p:
		case <-t.done:
			return
		}
	}
}

// FinalAdvertiseAddr implements memberlist.Transport.
func (t *transport) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	parsed := net.ParseIP(ip)
	if parsed == nil {
		return nil, 0, fmt.Errorf("%q is not an IP address", ip)
	}
	if short := parsed.To4(); short != nil {
		parsed = short
	}
	return parsed, port, nil
}

// WriteTo implements memberlist.Transport.
func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	to, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return time.Time{}, err
	}
	_, err = t.sockets.Packets.WriteTo(b, to)
	return time.Now(), err
}

// WriteToAddress implements memberlist.NodeAwareTransport.
func (t *transport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	return t.WriteTo(b, a.Addr)
}

// PacketCh implements memberlist.Transport.
func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.packets }

// DialTimeout implements memberlist.Transport.
func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return (&net.Dialer{Timeout: timeout}).Dial("tcp", addr)
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (t *transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return t.DialTimeout(a.Addr, timeout)
}

// StreamCh implements memberlist.Transport.
func (t *transport) StreamCh() <-chan net.Conn { return t.streams }

// Shutdown implements memberlist.Transport.
func (t *transport) Shutdown() error {
	var err error
	t.once.Do(func() {
		close(t.done)
		err = t.sockets.Close()
	})
	t.wg.Wait()
	return err
}

// resolve turns host:port into an IP address and a port, with the first
// address that the name has.
func resolve(ctx context.Context, addr string) (ip string, port int, err error) {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	if port, err = strconv.Atoi(p); err != nil {
		return "", 0, fmt.Errorf("%q is not a port", p)
	}
	if net.ParseIP(host) != nil {
		return host, port, nil
	}
	ips, err := net.DefaultResolver.LookupIP(ctx, "ip", host)
	if err != nil {
		return "", 0, err
	}
	return ips[0].String(), port, nil
}
