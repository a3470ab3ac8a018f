package httpapi

import (
	"context"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/paged"
	"github.com/drover-org/drover/internal/web"
	"github.com/prometheus/client_golang/prometheus"
)

// Config is what the route table needs. Of Server and Forward exactly one is
// set.
type Config struct {
	Log     *slog.Logger
	Now     func() time.Time
	After   func(time.Duration) <-chan time.Time // nil: time.After
	Agent   Agent
	Metrics prometheus.Gatherer

	PublicKeysAge time.Duration // how long others may keep the public keys

	Server        Server                                // the use cases; nil on a pure node
	NodeTransport func(nodeID string) http.RoundTripper // requests to a node, through its own connection
	// NodeConnected tells whether that connection is there. It may wait a moment
	// for one that is expected.
	NodeConnected func(ctx context.Context, nodeID string) bool
	Forward       http.RoundTripper // requests to a server; for a pure node
	Elsewhere     Elsewhere         // other servers; nil: there are none, for tests

	Node Node // the node in this process; nil on a pure server

	// Process serves what this process tells of itself, its log, profiles and
	// machine, to who has been authorised.
	Process http.Handler
	// Debug allows profiles where there is no access control.
	Debug bool
}

// Elsewhere is the other servers, which answer what this one can't.
type Elsewhere interface {
	// CheckRead returns when this server may answer a read: when its state
	// holds every write that was acknowledged before the call, at once for a
	// stale one.
	CheckRead(ctx context.Context, stale bool) error
	// Leader returns how to reach the leader, nil when this server is it. It
	// waits for one a bounded time, then it is api.ErrNotLeader.
	Leader(ctx context.Context) (http.RoundTripper, error)
	// Region returns how to reach a server of another region, or an error with
	// api.CodeNoRegion.
	Region(name string) (http.RoundTripper, error)
}

// Node is the node side of this process.
type Node interface {
	NodeID() string
	// Handler serves the routes under /v1/client.
	Handler() http.Handler
}

// Agent tells of the process itself.
type Agent interface {
	// Self describes the agent. Its configuration holds no secrets.
	Self() *api.AgentSelf
	Health() *api.AgentHealth
	// Region is the region the agent belongs to.
	Region() string
	// Servers returns the RPC addresses of the servers its node talks to, and
	// false when there is no node.
	Servers() (addresses []string, ok bool)
}

// Server is the use cases the routes call.
type Server interface {
	Jobs
	JobChanges
	Allocs
	Evals
	Deployments
	Nodes
	NodePools
	Namespaces
	Quotas
	Services
	Operator
	Members
	Events
	Keyring
	Locator
	ACL
	SSO
	Introductions
}

// Events streams what happens.
type Events interface {
	// Events opens a stream. next waits for what is to be shown next; it
	// returns neither events nor a gap when tick fires first, and an error when
	// the stream is over.
	Events(ctx context.Context, opts api.EventOptions) (next func(tick <-chan time.Time) (*api.RawEvents, error), stop func(), err error)
}

// Jobs reads jobs.
type Jobs interface {
	Jobs(ctx context.Context, opts api.ListOptions, meta bool) (iter.Seq[*api.JobListStub], api.Meta, error)
	Job(ctx context.Context, opts api.ListOptions, id string) (*api.Job, api.Meta, error)
	JobVersions(ctx context.Context, opts api.ListOptions, id string, diffs bool, diffTag string, diffVersion *uint64) (*api.JobVersionsResponse, api.Meta, error)
	JobSummary(ctx context.Context, opts api.ListOptions, id string) (*api.JobSummary, api.Meta, error)
	JobSubmission(ctx context.Context, opts api.ListOptions, id string, version uint64) (*api.JobSubmission, api.Meta, error)
	JobAllocs(ctx context.Context, opts api.ListOptions, id string, all bool) (iter.Seq[*api.Allocation], api.Meta, error)
	JobEvals(ctx context.Context, opts api.ListOptions, id string) ([]*api.Evaluation, api.Meta, error)
	JobDeployments(ctx context.Context, opts api.ListOptions, id string, all bool) ([]*api.Deployment, api.Meta, error)
	JobDeployment(ctx context.Context, opts api.ListOptions, id string) (*api.Deployment, api.Meta, error)
	JobScaleStatus(ctx context.Context, opts api.ListOptions, id string) (*api.JobScaleStatus, api.Meta, error)
	JobActions(ctx context.Context, opts api.ListOptions, id string) ([]api.JobAction, api.Meta, error)
	ExplainJob(ctx context.Context, opts api.ListOptions, id, group string, all bool) (*api.JobExplanation, api.Meta, error)
	ScalingPolicies(ctx context.Context, opts api.ListOptions, job, kind string) ([]*api.ScalingPolicy, api.Meta, error)
	ScalingPolicy(ctx context.Context, opts api.ListOptions, id string) (*api.ScalingPolicy, api.Meta, error)
	JobStatuses(ctx context.Context, opts api.ListOptions, jobs []api.NamespacedID) ([]*api.JobStatusStub, api.Meta, error)
}

// JobChanges changes jobs, or tries to.
type JobChanges interface {
	RegisterJob(ctx context.Context, token string, req *api.JobRegisterRequest, warnings []string) (*api.JobRegisterResponse, error)
	ValidateJob(ctx context.Context, token string, req *api.JobRegisterRequest, warnings []string) (*api.JobValidateResponse, error)
	PlanJob(ctx context.Context, token string, req *api.JobPlanRequest, warnings []string) (*api.JobPlanResponse, error)
	ParseJob(ctx context.Context, token, namespace string, req *api.JobsParseRequest) (*api.Job, error)
	DeregisterJob(ctx context.Context, token, namespace, id string, o api.JobDeregisterOptions) (*api.JobRegisterResponse, error)
	RevertJob(ctx context.Context, token, namespace string, req *api.JobRevertRequest) (*api.JobRegisterResponse, error)
	MarkJobStable(ctx context.Context, token, namespace string, req *api.JobStabilityRequest) (index uint64, err error)
	TagJobVersion(ctx context.Context, token, namespace, id, name string, req *api.JobTagRequest) (*api.JobTagResponse, error)
	UntagJobVersion(ctx context.Context, token, namespace, id, name string) (index uint64, err error)
	EvaluateJob(ctx context.Context, token, namespace, id string, force bool) (*api.JobRegisterResponse, error)
	ScaleJob(ctx context.Context, token, namespace, id string, req *api.ScalingRequest) (*api.JobRegisterResponse, error)
	ForcePeriodicJob(ctx context.Context, token, namespace, id string) (*api.PeriodicForceResponse, error)
	DispatchJob(ctx context.Context, token, namespace string, req *api.JobDispatchRequest, idempotency string) (*api.JobDispatchResponse, error)
}

// Allocs reads and stops allocations.
type Allocs interface {
	Allocs(ctx context.Context, opts api.ListOptions) (paged.List[*api.Allocation], api.Meta, error)
	Alloc(ctx context.Context, opts api.ListOptions, id string) (*api.Allocation, api.Meta, error)
	ExplainAlloc(ctx context.Context, opts api.ListOptions, id string, all bool) (*api.Explanation, api.Meta, error)
	StopAlloc(ctx context.Context, token, id string, noShutdownDelay, reschedule bool) (*api.AllocStopResponse, error)
}

// Evals reads and deletes evaluations.
type Evals interface {
	Evals(ctx context.Context, opts api.ListOptions, status, jobID string) (iter.Seq[*api.Evaluation], api.Meta, error)
	DeleteEvals(ctx context.Context, token string, req *api.EvalDeleteRequest) (count int, index uint64, err error)
	CountEvals(ctx context.Context, opts api.ListOptions, status, jobID string) (int, api.Meta, error)
	Eval(ctx context.Context, opts api.ListOptions, id string, related bool) (*api.Evaluation, api.Meta, error)
	EvalAllocs(ctx context.Context, opts api.ListOptions, id string) (iter.Seq[*api.Allocation], api.Meta, error)
}

// Deployments reads and changes deployments.
type Deployments interface {
	Deployments(ctx context.Context, opts api.ListOptions) (iter.Seq[*api.Deployment], api.Meta, error)
	Deployment(ctx context.Context, opts api.ListOptions, id string) (*api.Deployment, api.Meta, error)
	DeploymentAllocs(ctx context.Context, opts api.ListOptions, id string) (iter.Seq[*api.Allocation], api.Meta, error)
	PauseDeployment(ctx context.Context, token, id string, pause bool) (*api.DeploymentUpdateResponse, error)
	UnblockDeployment(ctx context.Context, token, id string) error
	FailDeployment(ctx context.Context, token, id string) (*api.DeploymentUpdateResponse, error)
	PromoteDeployment(ctx context.Context, token, id string, all bool, groups []string) (*api.DeploymentUpdateResponse, error)
	SetDeploymentHealth(ctx context.Context, token, id string, healthy, unhealthy []string) (*api.DeploymentUpdateResponse, error)
}

// Nodes reads and changes nodes.
type Nodes interface {
	Nodes(ctx context.Context, opts api.ListOptions) (iter.Seq[*api.Node], api.Meta, error)
	Node(ctx context.Context, opts api.ListOptions, id string) (*api.Node, api.Meta, error)
	NodeAllocs(ctx context.Context, opts api.ListOptions, id string) ([]*api.Allocation, api.Meta, error)
	DrainNode(ctx context.Context, token, id string, req *api.NodeDrainRequest) (*api.NodeUpdateResponse, error)
	SetEligibility(ctx context.Context, token, id, eligibility string) (*api.NodeUpdateResponse, error)
	EvaluateNode(ctx context.Context, token, id string) (*api.NodeUpdateResponse, error)
	PurgeNode(ctx context.Context, token, id string) (*api.NodeUpdateResponse, error)
}

// NodePools reads and changes node pools.
type NodePools interface {
	NodePools(ctx context.Context, opts api.ListOptions) (iter.Seq[*api.NodePool], api.Meta, error)
	NodePool(ctx context.Context, opts api.ListOptions, name string) (*api.NodePool, api.Meta, error)
	NodePoolNodes(ctx context.Context, opts api.ListOptions, name string) (iter.Seq[*api.Node], api.Meta, error)
	NodePoolJobs(ctx context.Context, opts api.ListOptions, name string, meta bool) (iter.Seq[*api.JobListStub], api.Meta, error)
	UpsertNodePool(ctx context.Context, token string, p *api.NodePool) (index uint64, err error)
	DeleteNodePool(ctx context.Context, token, name string) (index uint64, err error)
}

// Namespaces reads and changes namespaces.
type Namespaces interface {
	Namespaces(ctx context.Context, opts api.ListOptions) (iter.Seq[*api.Namespace], api.Meta, error)
	Namespace(ctx context.Context, opts api.ListOptions, name string) (*api.Namespace, api.Meta, error)
	UpsertNamespaces(ctx context.Context, token string, list []*api.Namespace) (index uint64, err error)
	DeleteNamespaces(ctx context.Context, token string, names []string) (index uint64, err error)
}

// Quotas reads and changes quotas.
type Quotas interface {
	Quotas(ctx context.Context, opts api.ListOptions) (iter.Seq[*api.QuotaSpec], api.Meta, error)
	QuotaUsages(ctx context.Context, opts api.ListOptions) (iter.Seq[*api.QuotaUsage], api.Meta, error)
	Quota(ctx context.Context, opts api.ListOptions, name string) (*api.QuotaSpec, api.Meta, error)
	QuotaUsage(ctx context.Context, opts api.ListOptions, name string) (*api.QuotaUsage, api.Meta, error)
	UpsertQuota(ctx context.Context, token string, q *api.QuotaSpec) (index uint64, err error)
	DeleteQuota(ctx context.Context, token, name string) (index uint64, err error)
}

// Services reads and changes the catalogue of services.
type Services interface {
	Services(ctx context.Context, opts api.ListOptions) ([]*api.ServiceListStub, api.Meta, error)
	Service(ctx context.Context, opts api.ListOptions, name, choose string) ([]*api.ServiceRegistration, api.Meta, error)
	JobServices(ctx context.Context, opts api.ListOptions, id string) ([]*api.ServiceRegistration, api.Meta, error)
	AllocServices(ctx context.Context, opts api.ListOptions, id string) ([]*api.ServiceRegistration, api.Meta, error)
	DeleteService(ctx context.Context, token, namespace, name, id string) (index uint64, err error)
}

// SSO is about logins by identity providers.
type SSO interface {
	AuthMethods(ctx context.Context, opts api.ListOptions) ([]*api.ACLAuthMethodListStub, api.Meta, error)
	AuthMethod(ctx context.Context, opts api.ListOptions, name string) (*api.ACLAuthMethod, api.Meta, error)
	CreateAuthMethod(ctx context.Context, token string, m *api.ACLAuthMethod) (out *api.ACLAuthMethod, index uint64, warnings []string, err error)
	UpdateAuthMethod(ctx context.Context, token string, m *api.ACLAuthMethod) (out *api.ACLAuthMethod, index uint64, warnings []string, err error)
	DeleteAuthMethod(ctx context.Context, token, name string) (index uint64, err error)
	BindingRules(ctx context.Context, opts api.ListOptions) ([]*api.ACLBindingRuleListStub, api.Meta, error)
	BindingRule(ctx context.Context, opts api.ListOptions, id string) (*api.ACLBindingRule, api.Meta, error)
	UpsertBindingRule(ctx context.Context, token string, r *api.ACLBindingRule) (*api.ACLBindingRule, uint64, error)
	DeleteBindingRule(ctx context.Context, token, id string) (index uint64, err error)
	Login(ctx context.Context, req *api.ACLLoginRequest) (*api.ACLToken, uint64, error)
	OIDCAuthURL(ctx context.Context, req *api.ACLOIDCAuthURLRequest) (*api.ACLOIDCAuthURLResponse, error)
	OIDCCompleteAuth(ctx context.Context, req *api.ACLOIDCCompleteAuthRequest) (*api.ACLToken, uint64, error)
}

// Operator is about the region as a whole.
type Operator interface {
	Search(ctx context.Context, opts api.ListOptions, req *api.SearchRequest) (*api.SearchResponse, error)
	FuzzySearch(ctx context.Context, opts api.ListOptions, req *api.FuzzySearchRequest) (*api.FuzzySearchResponse, error)
	SchedulerConfig(ctx context.Context, opts api.ListOptions) (*api.SchedulerConfiguration, api.Meta, error)
	SetSchedulerConfig(ctx context.Context, token string, cfg *api.SchedulerConfiguration, cas bool) (updated bool, index uint64, err error)
	AutopilotConfiguration(ctx context.Context, token string) (*api.AutopilotConfiguration, error)
	SetAutopilotConfiguration(ctx context.Context, token string) error
	RegionHealth(ctx context.Context, token string) (*api.RegionHealth, error)
	SchedulerWorkers(ctx context.Context, token string) ([]*api.SchedulerWorker, error)
	SchedulerWorkerConfig(ctx context.Context, token string) (*api.SchedulerWorkerConfig, error)
	SetSchedulerWorkerConfig(ctx context.Context, token string, c *api.SchedulerWorkerConfig) error
	SaveState(ctx context.Context, token string) (*api.SavedState, error)
	RestoreState(ctx context.Context, token string, in io.Reader) (index uint64, err error)
	CollectGarbage(ctx context.Context, token string) error
	Leader() string
	Peers() []string
	RemoveRaftPeer(ctx context.Context, token, address, id string) error
	TransferLeadership(ctx context.Context, token, address, id string) error
	RaftServers(ctx context.Context, token string) ([]*api.RaftServer, error)
}

// Members is about the servers of all regions.
type Members interface {
	Members(ctx context.Context, token string) ([]*api.AgentMember, error)
	Regions() []string
	JoinServers(ctx context.Context, token string, addresses []string) (int, error)
	ForceLeave(ctx context.Context, token, name string, prune bool) error
	GossipKeys(ctx context.Context, token string) (*api.GossipKeys, error)
	ChangeGossipKey(ctx context.Context, token, what, key string) (*api.GossipKeys, error)
}

// ACL reads and changes policies, roles and tokens.
type ACL interface {
	ACLEnabled() bool
	BootstrapACL(ctx context.Context, secret string) (*api.ACLToken, uint64, error)
	ACLPolicies(ctx context.Context, opts api.ListOptions) ([]*api.ACLPolicyListStub, api.Meta, error)
	ACLPoliciesOfCaller(ctx context.Context, opts api.ListOptions) ([]*api.ACLPolicyListStub, api.Meta, error)
	ACLPolicy(ctx context.Context, opts api.ListOptions, name string) (*api.ACLPolicy, api.Meta, error)
	UpsertACLPolicy(ctx context.Context, token string, p *api.ACLPolicy) (index uint64, warnings []string, err error)
	DeleteACLPolicy(ctx context.Context, token, name string) (index uint64, err error)
	ACLTokens(ctx context.Context, opts api.ListOptions, global bool) ([]*api.ACLTokenListStub, api.Meta, error)
	ACLToken(ctx context.Context, opts api.ListOptions, accessor string) (*api.ACLToken, api.Meta, error)
	ACLTokenOfCaller(ctx context.Context, opts api.ListOptions) (*api.ACLToken, api.Meta, error)
	UpsertACLToken(ctx context.Context, token string, t *api.ACLToken) (out *api.ACLToken, index uint64, warnings []string, err error)
	DeleteACLToken(ctx context.Context, token, accessor string) (index uint64, err error)
	ACLRoles(ctx context.Context, opts api.ListOptions) ([]*api.ACLRole, api.Meta, error)
	ACLRole(ctx context.Context, opts api.ListOptions, id string) (*api.ACLRole, api.Meta, error)
	ACLRoleByName(ctx context.Context, opts api.ListOptions, name string) (*api.ACLRole, api.Meta, error)
	UpsertACLRole(ctx context.Context, token string, r *api.ACLRole) (role *api.ACLRole, index uint64, err error)
	DeleteACLRole(ctx context.Context, token, id string) (index uint64, err error)
	ExplainACL(ctx context.Context, token, accessor string, asks []api.ACLAsk) (*api.ACLExplanation, error)
	AddOneTimeToken(ctx context.Context, token string) (*api.OneTimeToken, uint64, error)
	ExchangeOneTimeToken(ctx context.Context, secret string) (*api.ACLToken, uint64, error)
}

// Introductions let new nodes join.
type Introductions interface {
	IntroduceNode(ctx context.Context, token string, req *api.NodeIntroduction) (jwt string, err error)
}

// Keyring reads and changes the root keys.
type Keyring interface {
	RootKeys(ctx context.Context, opts api.ListOptions) ([]*api.RootKey, api.Meta, error)
	RotateRootKey(ctx context.Context, token string, req *api.RootKeyRotation) (*api.RootKeyResponse, error)
	DeleteRootKey(ctx context.Context, token, id string, force bool) (index uint64, err error)
	PublicKeys(ctx context.Context, opts api.ListOptions) (*api.JSONWebKeySet, api.Meta, error)
	OpenIDConfiguration() (*api.OpenIDConfiguration, error)
}

// Locator authorises what nodes answer and says which node does.
type Locator interface {
	LocateAlloc(ctx context.Context, token string, c api.Capability, id string) (nodeID string, err error)
	// LocateAction finds where an action of a job is to run, once the caller may
	// run commands.
	LocateAction(ctx context.Context, token string, ask api.JobActionRequest) (*api.JobActionTarget, error)
	LocateSession(ctx context.Context, token string, c api.Capability, id, task string) (nodeID string, v *web.Verdict, err error)
	CheckNode(ctx context.Context, token string, c api.Capability, id string) error
	Authorize(ctx context.Context, token string, c api.Capability) error
	Caller(ctx context.Context, token string) (*api.Caller, error)
	While(ctx context.Context, token string, check func(context.Context) error) (while context.Context, cancel context.CancelFunc, err error)
}
