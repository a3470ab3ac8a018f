package link

import (
	"context"
	"time"

	"github.com/drover-org/drover/api"
)

// maxSigning is how many requests for identities of one node are answered at
// the same time; the next one waits, and with it the node's stream.
const maxSigning = 16

// sign answers a node's request for identities beside the reading of the
// stream.
func (c *session) sign(ctx context.Context, body []byte) error {
	var m signMsg
	if err := decode(body, &m); err != nil {
		return err
	}
	select {
	case c.signing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	c.wg.Go(func() {
		defer func() { <-c.signing }()
		out := signedMsg{Seq: m.Seq}
		list, err := c.server.cfg.Backend.SignIdentities(ctx, c.nodeID, m.Alloc, m.Task)
		if err != nil {
			out.Code, out.Message = string(api.ErrorCode(err)), err.Error()
		}
		for _, id := range list {
			t := tokenMsg{Name: id.Name, Token: id.Token}
			if !id.Expires.IsZero() {
				t.Expires = id.Expires.Unix()
			}
			out.Tokens = append(out.Tokens, t)
		}
		if err := c.send(kindSigned, &out); err != nil {
			c.cancel()
		}
	})
	return nil
}

// Identities asks the server for the identities of a task that runs on this
// node. Without a stream it fails with CodeUnavailable.
func (n *Node) Identities(ctx context.Context, allocID, task string) ([]*api.SignedIdentity, error) {
	n.mu.Lock()
	st := n.stream
	if st == nil {
		n.mu.Unlock()
		return nil, api.Errorf(api.CodeUnavailable, "not connected to a server")
	}
	n.asked++
	seq, answer := n.asked, make(chan *signedMsg, 1)
	st.asks[seq] = answer
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		delete(st.asks, seq)
		n.mu.Unlock()
	}()
	if err := st.send(kindSign, &signMsg{Seq: seq, Alloc: allocID, Task: task}); err != nil {
		return nil, api.Errorf(api.CodeUnavailable, "the connection to the server broke: %w", err)
	}
	select {
	case m := <-answer:
		return m.identities()
	case <-st.over:
		return nil, api.Errorf(api.CodeUnavailable, "the connection to the server broke")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (m *signedMsg) identities() ([]*api.SignedIdentity, error) {
	if m.Code != "" {
		return nil, &api.Error{Code: api.Code(m.Code), Message: m.Message}
	}
	out := make([]*api.SignedIdentity, len(m.Tokens))
	for i, t := range m.Tokens {
		out[i] = &api.SignedIdentity{Name: t.Name, Token: t.Token}
		if t.Expires != 0 {
			out[i].Expires = time.Unix(t.Expires, 0)
		}
	}
	return out, nil
}

// signed hands an answer to whoever asked and still waits.
func (s *stream) signed(body []byte) error {
	m := new(signedMsg)
	if err := decode(body, m); err != nil {
		return err
	}
	s.node.mu.Lock()
	defer s.node.mu.Unlock()
	if answer := s.asks[m.Seq]; answer != nil {
		delete(s.asks, m.Seq)
		answer <- m
	}
	return nil
}
