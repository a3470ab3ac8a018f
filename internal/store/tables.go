package store

import (
	"bytes"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/paged"
	"github.com/tidwall/btree"
)

// Table names a table for its index: the last log index that changed it.
type Table uint8

// The tables.
const (
	TableJobs Table = iota
	TableSummaries
	TableEvals
	TableAllocs
	TableNodes
	TableDeployments
	TableScheduler
	TableScaling
	TableACLPolicies
	TableACLTokens
	TableACLRoles
	TableNamespaces
	TableAuthMethods
	TableBindingRules
	TableRootKeys
	TableServices
	TableNodePools
	TableQuotas
	TableQuotaUsages
	TableRestored // by a state from a file
	numTables
)

// tables are the trees of one version of the state.
type tables struct {
	jobs     *btree.BTreeG[jobItem] // by namespace, ID
	periodic *btree.BTreeG[jobName] // those that start others by the clock

	allocs        *btree.BTreeG[allocItem]    // by ID
	allocsCreated *paged.Seq[*api.Allocation] // by create index, ID
	allocsJob     *btree.BTreeG[*allocKey]    // by namespace, job, ID
	allocsNode    *btree.BTreeG[*allocKey]    // by node, ID
	allocsEval    *btree.BTreeG[*allocKey]    // by evaluation, ID
	allocsDeploy  *btree.BTreeG[*allocKey]    // by deployment, ID

	evals        *btree.BTreeG[evalItem] // by ID
	evalsCreated *btree.BTreeG[evalItem] // by create index, ID
	evalsJob     *btree.BTreeG[*evalKey] // by namespace, job, create index, ID
	evalsOpen    *btree.BTreeG[*evalKey] // pending and blocked ones, by create index, ID

	nodes *btree.BTreeG[nodeItem] // by ID

	deployments    *btree.BTreeG[deployItem] // by ID
	deploymentsJob *btree.BTreeG[*deployKey] // by namespace, job, create index descending
	deploysActive  *btree.BTreeG[*deployKey] // active ones, by ID

	namespaces *btree.BTreeG[*api.Namespace] // by name; never without the default one
	nodePools  *btree.BTreeG[*api.NodePool]  // by name; never without those that are built in

	quotas *btree.BTreeG[*quotaRow] // by name

	authMethods  *btree.BTreeG[*AuthMethod]         // by name
	bindingRules *btree.BTreeG[*api.ACLBindingRule] // by ID

	scheduler *api.SchedulerConfiguration

	aclPolicies   *btree.BTreeG[*api.ACLPolicy] // by name
	aclRoles      *btree.BTreeG[*api.ACLRole]   // by ID
	aclTokens     *btree.BTreeG[*ACLToken]      // by accessor ID
	aclTokensHash *btree.BTreeG[*ACLToken]      // by hash
	oneTimeTokens *btree.BTreeG[*OneTimeToken]  // by hash
	aclBootstrap  uint64                        // index of the last bootstrap

	reported    *btree.BTreeG[*reported]                // what nodes report allocations to serve, by allocation
	services    *btree.BTreeG[*api.ServiceRegistration] // what the catalogue shows, by namespace, service, ID
	servicesJob *btree.BTreeG[*api.ServiceRegistration] // the same by namespace, job, ID

	// rootKeys are few. The list and its rows are replaced, never edited.
	rootKeys []*api.WrappedRootKey // the newest first

	// freed holds per computed node class the last index at which one of its
	// nodes gained room: what a blocked evaluation waits for. Replaced, never
	// edited.
	freed map[string]uint64

	indexes [numTables]uint64
}

// tree makes an empty tree. Trees have no locks: one goroutine writes, and
// only to the copy that nobody else has seen.
func tree[T any](less func(a, b T) bool) *btree.BTreeG[T] {
	return btree.NewBTreeGOptions(less, btree.Options{NoLocks: true})
}

func newTables() *tables {
	t := &tables{
		jobs:           tree(func(a, b jobItem) bool { return cmpName(a.ns, a.id, b.ns, b.id) < 0 }),
		periodic:       tree(func(a, b jobName) bool { return cmpName(a.ns, a.id, b.ns, b.id) < 0 }),
		allocs:         tree(func(a, b allocItem) bool { return cmpID(a.key.id, b.key.id) < 0 }),
		allocsCreated:  paged.New(lessAllocCreated),
		allocsJob:      tree(lessAllocJob),
		allocsNode:     tree(func(a, b *allocKey) bool { return lessPair(a.node, a.id, b.node, b.id) }),
		allocsEval:     tree(func(a, b *allocKey) bool { return lessPair(a.eval, a.id, b.eval, b.id) }),
		allocsDeploy:   tree(func(a, b *allocKey) bool { return lessPair(a.deploy, a.id, b.deploy, b.id) }),
		evals:          tree(func(a, b evalItem) bool { return cmpID(a.key.id, b.key.id) < 0 }),
		evalsCreated:   tree(func(a, b evalItem) bool { return lessEvalCreated(a.key, b.key) }),
		evalsJob:       tree(lessEvalJob),
		evalsOpen:      tree(lessEvalCreated),
		nodes:          tree(func(a, b nodeItem) bool { return cmpID(a.id, b.id) < 0 }),
		deployments:    tree(func(a, b deployItem) bool { return cmpID(a.key.id, b.key.id) < 0 }),
		deploymentsJob: tree(lessDeployJob),
		deploysActive:  tree(func(a, b *deployKey) bool { return cmpID(a.id, b.id) < 0 }),
		aclPolicies:    tree(func(a, b *api.ACLPolicy) bool { return a.Name < b.Name }),
		aclRoles:       tree(func(a, b *api.ACLRole) bool { return a.ID < b.ID }),
		aclTokens:      tree(lessToken),
		aclTokensHash:  tree(lessTokenHash),
		oneTimeTokens:  tree(lessOneTime),
		authMethods:    tree(func(a, b *AuthMethod) bool { return a.Method.Name < b.Method.Name }),
		bindingRules:   tree(func(a, b *api.ACLBindingRule) bool { return a.ID < b.ID }),
		namespaces:     tree(func(a, b *api.Namespace) bool { return a.Name < b.Name }),
		nodePools:      tree(func(a, b *api.NodePool) bool { return a.Name < b.Name }),
		quotas:         tree(func(a, b *quotaRow) bool { return a.spec.Name < b.spec.Name }),
		reported:       tree(func(a, b *reported) bool { return cmpID(a.alloc, b.alloc) < 0 }),
		services:       tree(lessService),
		servicesJob:    tree(lessServiceJob),
		scheduler:      api.DefaultSchedulerConfiguration(),
	}
	t.namespaces.Set(defaultNamespace)
	for _, p := range builtinPools {
		t.nodePools.Set(p)
		t.indexes[TableNodePools] = p.ModifyIndex
	}
	t.indexes[TableNamespaces] = defaultNamespace.ModifyIndex
	return t
}

// copy returns tables that can be changed without touching t. Only the writer
// calls it: copying marks the original's trees as shared.
func (t *tables) copy() *tables {
	c := *t
	c.jobs = t.jobs.Copy()
	c.periodic = t.periodic.Copy()
	c.allocs = t.allocs.Copy()
	c.allocsCreated = t.allocsCreated.Copy()
	c.allocsJob = t.allocsJob.Copy()
	c.allocsNode = t.allocsNode.Copy()
	c.allocsEval = t.allocsEval.Copy()
	c.allocsDeploy = t.allocsDeploy.Copy()
	c.evals = t.evals.Copy()
	c.evalsCreated = t.evalsCreated.Copy()
	c.evalsJob = t.evalsJob.Copy()
	c.evalsOpen = t.evalsOpen.Copy()
	c.nodes = t.nodes.Copy()
	c.deployments = t.deployments.Copy()
	c.deploymentsJob = t.deploymentsJob.Copy()
	c.deploysActive = t.deploysActive.Copy()
	c.aclPolicies = t.aclPolicies.Copy()
	c.aclRoles = t.aclRoles.Copy()
	c.aclTokens = t.aclTokens.Copy()
	c.aclTokensHash = t.aclTokensHash.Copy()
	c.oneTimeTokens = t.oneTimeTokens.Copy()
	c.authMethods = t.authMethods.Copy()
	c.bindingRules = t.bindingRules.Copy()
	c.namespaces = t.namespaces.Copy()
	c.nodePools = t.nodePools.Copy()
	c.quotas = t.quotas.Copy()
	c.reported = t.reported.Copy()
	c.services = t.services.Copy()
	c.servicesJob = t.servicesJob.Copy()
	return &c
}

func cmpID(a, b api.ID) int { return bytes.Compare(a[:], b[:]) }

func lessPair(a1, a2, b1, b2 api.ID) bool {
	if c := cmpID(a1, b1); c != 0 {
		return c < 0
	}
	return cmpID(a2, b2) < 0
}

func cmpName(ns1, id1, ns2, id2 string) int {
	if c := strings.Compare(ns1, ns2); c != 0 {
		return c
	}
	return strings.Compare(id1, id2)
}

// maxID is greater than or equal to every ID.
var maxID = api.ID{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}

// idOf parses an ID, giving the zero ID for an empty or malformed one. Rows
// with a malformed ID never enter the store.
func idOf(s string) api.ID {
	id, _ := api.ParseID(s)
	return id
}
