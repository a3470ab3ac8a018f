package cluster

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// announcer tells followers at once what is committed. Raft itself tells them
// with the next entries, or a moment later when there are none: until then
// nodes and watchers of a follower would wait.
//
// What it sends is what the leader sends anyway, an append without entries: it
// names the last committed entry with its term, so that a follower believes it
// only if its log agrees. It is sent for entries that this server appended
// itself in that term, which says that it led then: it speaks for no other
// leader. A follower that does not have the entry yet refuses and loses nothing.
type announcer struct {
	cluster   *Cluster
	transport raft.Transport

	mu          sync.Mutex
	index, term uint64                      // guarded by mu: the newest
	followers   map[raft.ServerID]*follower // guarded by mu
}

type follower struct {
	busy bool      // guarded by announcer.mu: it is being told
	told uint64    // guarded by announcer.mu
	rest time.Time // guarded by announcer.mu: not before, after it could not be told
}

// announceRest is how long a follower is left alone that could not be told.
const announceRest = time.Second

// committed notes that an entry of this server's own term is committed, and has
// the followers told. It does not wait.
func (a *announcer) committed(index, term uint64) {
	servers := a.cluster.configuration().Servers
	a.mu.Lock()
	defer a.mu.Unlock()
	if index <= a.index {
		return
	}
	a.index, a.term = index, term
	now := time.Now()
	for _, s := range servers {
		if s.ID == a.cluster.storage.id {
			continue
		}
		f := a.followers[s.ID]
		if f == nil {
			f = &follower{}
			a.followers[s.ID] = f
		}
		if !f.busy && now.After(f.rest) {
			f.busy = true
			go a.tell(s, f) // ends when there is nothing new, or with the transport
		}
	}
}

// tell tells one follower until it knows the newest.
func (a *announcer) tell(s raft.Server, f *follower) {
	for {
		a.mu.Lock()
		index, term := a.index, a.term
		if f.told >= index || a.cluster.life.Err() != nil {
			f.busy = false
			a.mu.Unlock()
			return
		}
		a.mu.Unlock()
		req := &raft.AppendEntriesRequest{
			RPCHeader: raft.RPCHeader{
				ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(a.cluster.storage.id),
				Addr: a.transport.EncodePeer(a.cluster.storage.id, a.transport.LocalAddr()),
			},
			Term: term, PrevLogEntry: index, PrevLogTerm: term, LeaderCommitIndex: index,
		}
		err := a.transport.AppendEntries(s.ID, s.Address, req, new(raft.AppendEntriesResponse))
		a.mu.Lock()
		if f.told = index; err != nil {
			f.rest = time.Now().Add(announceRest)
		}
		a.mu.Unlock()
	}
}
