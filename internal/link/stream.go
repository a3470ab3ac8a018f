package link

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/tinylib/msgp/msgp"
)

// minTTL keeps a strange answer from making a node beat without pause.
const minTTL = time.Second

// answerTime is how long a server may take to answer a heartbeat before its
// node looks for another.
const answerTime = 15 * time.Second

// retryReports is how long a node waits to send a batch again that the server
// could not commit.
const retryReports = time.Second

// stream is the node side of one control stream. Its goroutine writes; a
// second one reads. Dialing back answers from goroutines of its own.
type stream struct {
	node   *Node
	conn   net.Conn
	addr   string
	back   *backServer
	nodeID string // set by the first hello

	reader frameReader
	acks   chan ackMsg // from reader to writer; room for the one batch in flight
	ttl    atomic.Int64

	asks map[uint64]chan *signedMsg // guarded by node.mu: who waits for identities; each has room for one
	over chan struct{}              // closed when the stream has ended

	writing sync.Mutex // one frame at a time
}

func (s *stream) timeToLive() time.Duration { return time.Duration(s.ttl.Load()) }

// beatEvery leaves room for one beat that gets lost.
func (s *stream) beatEvery() time.Duration { return s.timeToLive() * 2 / 5 }

// write sends heartbeats, registrations and reports until ctx ends (nil) or
// the connection fails.
func (s *stream) write(ctx context.Context) error {
	beat := time.NewTimer(s.beatEvery())
	defer beat.Stop()
	var again <-chan time.Time
	if err := s.sendReports(); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-beat.C:
			if err := s.beat(ctx); err != nil {
				return err
			}
			beat.Reset(s.beatEvery())
		case <-s.node.changed:
			if err := s.hello(ctx); err != nil {
				return err
			}
		case <-s.node.kick:
			if again != nil {
				continue // the server could not take the last batch
			}
			if err := s.sendReports(); err != nil {
				return err
			}
		case <-again:
			again = nil
			if err := s.sendReports(); err != nil {
				return err
			}
		case ack := <-s.acks:
			if code := api.Code(ack.Code); code == "" || final(code) {
				if code != "" {
					s.node.cfg.Log.Error("reports were refused", "code", ack.Code, "error", ack.Message)
				}
				s.node.reports.settled(ack.Seq)
			} else {
				s.node.cfg.Log.Warn("reports are not committed yet", "code", ack.Code, "error", ack.Message)
				s.node.reports.putBack()
				again = time.After(retryReports)
				continue
			}
			if err := s.sendReports(); err != nil {
				return err
			}
		}
	}
}

// beat says that the node lives. When its identity is to be renewed it says
// hello instead, which counts as well.
func (s *stream) beat(ctx context.Context) error {
	if s.node.identity.due() {
		return s.hello(ctx)
	}
	return s.send(kindBeat, nil)
}

// final reports whether sending the same again can't help.
func final(c api.Code) bool {
	switch c {
	case api.CodeInvalid, api.CodeNotFound, api.CodeForbidden, api.CodeTooLarge, api.CodeUnsupported:
		return true
	}
	return false
}

func (s *stream) sendReports() error {
	msg := s.node.reports.take(func(u *api.AllocUpdate, err error) {
		s.node.cfg.Log.Error("report can't be sent", "alloc", u.ID, "error", err)
	})
	if msg == nil {
		return nil
	}
	return s.send(kindReport, msg)
}

func (s *stream) send(k kind, m msgp.Marshaler) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return writeFrame(s.conn, k, m)
}

func (s *stream) writeRaw(frame []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.conn.SetWriteDeadline(time.Now().Add(ioTimeout)); err != nil {
		return err
	}
	_, err := s.conn.Write(frame)
	return err
}

// readAll handles frames until the stream ends. A server that answers no
// heartbeat counts as gone.
func (s *stream) readAll(ctx context.Context) error {
	dec := &assignDecoder{nodeID: s.nodeID, decode: s.node.cfg.DecodeJob}
	for {
		deadline := time.Now().Add(s.beatEvery() + answerTime)
		err := s.reader.read(deadline, maxFromServer, func(k kind, body []byte) error {
			switch k {
			case kindAssign:
				return s.assign(dec, body)
			case kindReportAck:
				var m ackMsg
				if err := decode(body, &m); err != nil {
					return err
				}
				select {
				case s.acks <- m:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			case kindSigned:
				return s.signed(body)
			case kindProbe:
				return s.send(kindProbed, nil)
			case kindDial:
				var m dialMsg
				if err := decode(body, &m); err != nil {
					return err
				}
				return s.dialBack(m.Token)
			default:
				return s.welcome(k, body)
			}
		})
		if err != nil {
			return err
		}
	}
}

func (s *stream) assign(dec *assignDecoder, body []byte) error {
	var m assignMsg
	if err := decode(body, &m); err != nil {
		return err
	}
	a, whole, err := dec.add(&m)
	if err != nil || !whole {
		return err
	}
	s.node.cfg.OnAssign(a)
	return nil
}

// welcome takes the answer to a hello or a heartbeat.
func (s *stream) welcome(k kind, body []byte) error {
	switch k {
	case kindWelcome, kindBeatAck:
		var m welcomeMsg
		if err := decode(body, &m); err != nil {
			return err
		}
		s.ttl.Store(max(m.TTL, int64(minTTL)))
		s.node.answered(s.timeToLive())
		if m.Identity != "" {
			s.node.identity.set(m.Identity)
		}
		s.node.learn(m.Servers)
		return nil
	case kindRefuse:
		var m refuseMsg
		if err := decode(body, &m); err != nil {
			return err
		}
		return &api.Error{Code: api.Code(m.Code), Message: m.Message}
	default:
		return fmt.Errorf("unknown frame %d", k)
	}
}

// dialBack opens the connection that the server asked for, beside the stream.
func (s *stream) dialBack(token [16]byte) error {
	started := s.back.start(func(ctx context.Context) {
		if err := s.openBack(ctx, token); err != nil {
			s.node.cfg.Log.Warn("dialing back failed", "server", s.addr, "error", err)
			_ = s.send(kindDialFail, &dialFailMsg{Token: token, Message: err.Error()}) // a broken stream shows elsewhere
		}
	})
	if !started {
		return s.send(kindDialFail, &dialFailMsg{Token: token, Message: "the node serves no more connections now"})
	}
	return nil
}

func (s *stream) openBack(ctx context.Context, token [16]byte) error {
	dialCtx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := s.node.cfg.Dial(dialCtx, s.addr)
	if err != nil {
		return err
	}
	frame, err := appendFrame([]byte{ProtoDialBack}, kindDialBack, &dialBackMsg{Token: token, Node: s.nodeID})
	if err == nil {
		err = conn.SetWriteDeadline(time.Now().Add(dialTimeout))
	}
	if err == nil {
		_, err = conn.Write(frame)
	}
	if err == nil {
		err = conn.SetWriteDeadline(time.Time{})
	}
	if err != nil {
		_ = conn.Close()
		return err
	}
	s.back.serve(ctx, conn)
	return nil
}
