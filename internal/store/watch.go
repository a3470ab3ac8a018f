package store

import (
	"context"
	"sync"
)

// Key names something that can be waited for. Keys are made by the Key
// functions; deletions touch the same keys as changes.
type Key struct {
	kind uint8
	a, b string
}

const (
	kindAllocs uint8 = iota
	kindAlloc
	kindAllocsNamespace
	kindAllocsJob
	kindAllocsNode
	kindAllocsEval
	kindAllocsDeployment
	kindJobs
	kindJob
	kindJobLife
	kindSummary
	kindEvals
	kindEval
	kindEvalsJob
	kindNodes
	kindNode
	kindDeployments
	kindDeployment
	kindDeploymentsJob
	kindScheduler
	kindFreed
	kindAssigned
	kindACL
	kindACLPolicies
	kindACLPolicy
	kindACLTokens
	kindACLToken
	kindACLRoles
	kindACLRole
	kindAuthMethods
	kindAuthMethod
	kindBindingRules
	kindBindingRule
	kindNamespaces
	kindNamespace
	kindJobsNamespace
	kindEvalsNamespace
	kindDeploymentsNamespace
	kindRootKeys
	kindServices
	kindServicesNamespace
	kindService
	kindServicesJob
	kindServicesAlloc
	kindPeriodic
	kindNodePools
	kindNodePool
	kindQuotas
	kindQuota
)

// KeyServices is any service registration.
func KeyServices() Key { return Key{kind: kindServices} }

// KeyServicesOfNamespace is any service registration of a namespace.
func KeyServicesOfNamespace(ns string) Key { return Key{kind: kindServicesNamespace, a: ns} }

// KeyService is any registration of one service.
func KeyService(ns, name string) Key { return Key{kind: kindService, a: ns, b: name} }

// KeyServicesOfJob is any service registration of a job.
func KeyServicesOfJob(ns, id string) Key { return Key{kind: kindServicesJob, a: ns, b: id} }

// KeyServicesOfAlloc is any service registration of an allocation.
func KeyServicesOfAlloc(id string) Key { return Key{kind: kindServicesAlloc, a: id} }

// KeyRootKeys is any root key.
func KeyRootKeys() Key { return Key{kind: kindRootKeys} }

// KeyPeriodic is any job that starts others by the clock, and its launches.
func KeyPeriodic() Key { return Key{kind: kindPeriodic} }

// KeyAllocs is any allocation.
func KeyAllocs() Key { return Key{kind: kindAllocs} }

// KeyAlloc is one allocation.
func KeyAlloc(id string) Key { return Key{kind: kindAlloc, a: id} }

// KeyAllocsOfNamespace is any allocation of a namespace.
func KeyAllocsOfNamespace(ns string) Key { return Key{kind: kindAllocsNamespace, a: ns} }

// KeyAllocsOfJob is any allocation of a job.
func KeyAllocsOfJob(ns, id string) Key { return Key{kind: kindAllocsJob, a: ns, b: id} }

// KeyAllocsOfNode is any allocation on a node, changed by servers or by the node.
func KeyAllocsOfNode(id string) Key { return Key{kind: kindAllocsNode, a: id} }

// KeyAssigned is what servers want of a node's allocations, and the end of
// one. What the node itself reports is no such change.
func KeyAssigned(nodeID string) Key { return Key{kind: kindAssigned, a: nodeID} }

// KeyAllocsOfEval is any allocation placed by an evaluation.
func KeyAllocsOfEval(id string) Key { return Key{kind: kindAllocsEval, a: id} }

// KeyAllocsOfDeployment is any allocation of a deployment.
func KeyAllocsOfDeployment(id string) Key { return Key{kind: kindAllocsDeployment, a: id} }

// KeyJobs is any job or job summary.
func KeyJobs() Key { return Key{kind: kindJobs} }

// KeyJobsOfNamespace is any job or job summary of a namespace.
func KeyJobsOfNamespace(ns string) Key { return Key{kind: kindJobsNamespace, a: ns} }

// KeyJob is one job, its versions, submissions and scaling events.
func KeyJob(ns, id string) Key { return Key{kind: kindJob, a: ns, b: id} }

// KeyJobLife is that a job comes or is forgotten.
func KeyJobLife(ns, id string) Key { return Key{kind: kindJobLife, a: ns, b: id} }

// KeySummary is one job's summary.
func KeySummary(ns, id string) Key { return Key{kind: kindSummary, a: ns, b: id} }

// KeyEvals is any evaluation.
func KeyEvals() Key { return Key{kind: kindEvals} }

// KeyEvalsOfNamespace is any evaluation of a namespace.
func KeyEvalsOfNamespace(ns string) Key { return Key{kind: kindEvalsNamespace, a: ns} }

// KeyEval is one evaluation.
func KeyEval(id string) Key { return Key{kind: kindEval, a: id} }

// KeyEvalsOfJob is any evaluation of a job.
func KeyEvalsOfJob(ns, id string) Key { return Key{kind: kindEvalsJob, a: ns, b: id} }

// KeyNodes is any node.
func KeyNodes() Key { return Key{kind: kindNodes} }

// KeyNode is one node.
func KeyNode(id string) Key { return Key{kind: kindNode, a: id} }

// KeyDeployments is any deployment.
func KeyDeployments() Key { return Key{kind: kindDeployments} }

// KeyDeploymentsOfNamespace is any deployment of a namespace.
func KeyDeploymentsOfNamespace(ns string) Key { return Key{kind: kindDeploymentsNamespace, a: ns} }

// KeyDeployment is one deployment.
func KeyDeployment(id string) Key { return Key{kind: kindDeployment, a: id} }

// KeyDeploymentsOfJob is any deployment of a job.
func KeyDeploymentsOfJob(ns, id string) Key { return Key{kind: kindDeploymentsJob, a: ns, b: id} }

// KeyNamespaces is any namespace.
func KeyNamespaces() Key { return Key{kind: kindNamespaces} }

// KeyNamespace is one namespace.
func KeyNamespace(name string) Key { return Key{kind: kindNamespace, a: name} }

// KeyNodePools is any node pool.
func KeyNodePools() Key { return Key{kind: kindNodePools} }

// KeyNodePool is one node pool.
func KeyNodePool(name string) Key { return Key{kind: kindNodePool, a: name} }

// KeyQuotas is any quota, and what is used of it.
func KeyQuotas() Key { return Key{kind: kindQuotas} }

// KeyQuota is one quota, and what is used of it.
func KeyQuota(name string) Key { return Key{kind: kindQuota, a: name} }

// KeyAuthMethods is any auth method.
func KeyAuthMethods() Key { return Key{kind: kindAuthMethods} }

// KeyAuthMethod is one auth method.
func KeyAuthMethod(name string) Key { return Key{kind: kindAuthMethod, a: name} }

// KeyBindingRules is any binding rule.
func KeyBindingRules() Key { return Key{kind: kindBindingRules} }

// KeyBindingRule is one binding rule.
func KeyBindingRule(id string) Key { return Key{kind: kindBindingRule, a: id} }

// KeySchedulerConfig is the scheduler configuration.
func KeySchedulerConfig() Key { return Key{kind: kindScheduler} }

// KeyFreed is room on any node; see Snapshot.Freed.
func KeyFreed() Key { return Key{kind: kindFreed} }

// KeyACL is anything that changes what a token may do.
func KeyACL() Key { return Key{kind: kindACL} }

// KeyACLPolicies is any policy.
func KeyACLPolicies() Key { return Key{kind: kindACLPolicies} }

// KeyACLPolicy is one policy.
func KeyACLPolicy(name string) Key { return Key{kind: kindACLPolicy, a: name} }

// KeyACLTokens is any token.
func KeyACLTokens() Key { return Key{kind: kindACLTokens} }

// KeyACLToken is one token.
func KeyACLToken(accessor string) Key { return Key{kind: kindACLToken, a: accessor} }

// KeyACLRoles is any role.
func KeyACLRoles() Key { return Key{kind: kindACLRoles} }

// KeyACLRole is one role.
func KeyACLRole(id string) Key { return Key{kind: kindACLRole, a: id} }

type touchSet map[Key]struct{}

// hub wakes the waiters of touched keys.
type hub struct {
	mu      sync.Mutex
	waiters map[Key]map[*Watch]struct{} // guarded by mu; no empty inner map
	woken   uint64                      // guarded by mu
}

func (h *hub) init() { h.waiters = map[Key]map[*Watch]struct{}{} }

// Watch is a waiter for the first commit that touches one of its keys.
type Watch struct {
	hub  *hub
	keys []Key
	c    chan struct{}
	done bool // guarded by hub.mu: closed or woken
}

// Watch registers a waiter. Take it before the snapshot whose successor it
// waits for, and Close it.
func (s *Store) Watch(keys ...Key) *Watch {
	w := &Watch{hub: &s.hub, keys: keys, c: make(chan struct{})}
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	for _, k := range keys {
		set := s.hub.waiters[k]
		if set == nil {
			set = make(map[*Watch]struct{}, 1)
			s.hub.waiters[k] = set
		}
		set[w] = struct{}{}
	}
	return w
}

// C is closed when a commit touches one of the keys.
func (w *Watch) C() <-chan struct{} { return w.c }

// Close forgets the waiter. Idempotent.
func (w *Watch) Close() {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	if !w.done {
		w.done = true
		w.forget()
	}
}

// forget removes w from the hub, whose lock is held.
func (w *Watch) forget() {
	for _, k := range w.keys {
		set := w.hub.waiters[k]
		delete(set, w)
		if len(set) == 0 {
			delete(w.hub.waiters, k)
		}
	}
}

// notify wakes every waiter of a touched key once.
func (h *hub) notify(touched touchSet) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiters) < len(touched) {
		for k, set := range h.waiters {
			if _, ok := touched[k]; ok {
				h.wake(set)
			}
		}
		return
	}
	for k := range touched {
		h.wake(h.waiters[k])
	}
}

// notifyAll wakes everybody: the state was replaced.
func (h *hub) notifyAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, set := range h.waiters {
		h.wake(set)
	}
}

// wake wakes the waiters of a key. The lock is held.
func (h *hub) wake(set map[*Watch]struct{}) {
	for w := range set {
		h.woken++
		w.done = true
		close(w.c)
		w.forget()
	}
}

// Waiters returns how many keys are waited for, for metrics and tests.
func (s *Store) Waiters() int {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return len(s.hub.waiters)
}

// Woken returns how many waiters have been woken so far, for tests.
func (s *Store) Woken() uint64 {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return s.hub.woken
}

// Block runs query on a snapshot and again after each commit that touches one
// of keys, until the index it returns is greater than minIndex or ctx ends.
// The last run is the answer. A minIndex of 0 never blocks.
func (s *Store) Block(ctx context.Context, minIndex uint64, keys []Key, query func(*Snapshot) (index uint64)) {
	for {
		if minIndex == 0 {
			query(s.Snapshot())
			return
		}
		w := s.Watch(keys...)
		if query(s.Snapshot()) > minIndex {
			w.Close()
			return
		}
		select {
		case <-w.C():
		case <-ctx.Done():
			w.Close()
			return
		}
	}
}
