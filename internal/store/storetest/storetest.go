// Package storetest gives tests a store with a log of their own: commands are
// encoded, decoded and applied at once, in order.
package storetest

import (
	"context"
	"sync"

	"github.com/drover-org/drover/internal/store"
)

// Proposer applies every command at once. The zero value is not usable; see
// New.
type Proposer struct {
	Store *store.Store

	mu    sync.Mutex
	index uint64
	log   []store.Command
}

// New returns a Proposer over an empty store. The first index is 10, so that a
// test notices where an index of 0 or 1 is taken for granted.
func New() *Proposer { return &Proposer{Store: store.New(), index: 9} }

// Propose applies cmd the way a log would.
func (p *Proposer) Propose(ctx context.Context, cmd store.Command) (store.Result, error) {
	if err := ctx.Err(); err != nil {
		return store.Result{}, err
	}
	b, err := store.EncodeCommand(cmd)
	if err != nil {
		return store.Result{}, err
	}
	if cmd, err = store.DecodeCommand(b); err != nil {
		return store.Result{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.index++
	p.log = append(p.log, cmd)
	value, err := p.Store.Apply(p.index, cmd)
	return store.Result{Index: p.index, Value: value}, err
}

// Log returns the commands proposed so far, refused ones included.
func (p *Proposer) Log() []store.Command {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]store.Command(nil), p.log...)
}
