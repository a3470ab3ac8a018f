package api

import "time"

// AgentMember is a server as the others see it.
type AgentMember struct {
	Name        string
	Addr        string
	Port        uint16
	Tags        map[string]string
	Status      string
	ProtocolMin uint8
	ProtocolMax uint8
	ProtocolCur uint8
	DelegateMin uint8
	DelegateMax uint8
	DelegateCur uint8
}

// AgentMembers lists the servers.
type AgentMembers struct {
	ServerName   string
	ServerRegion string
	ServerDC     string
	Members      []*AgentMember
}

// AgentSelf describes the agent that answers.
type AgentSelf struct {
	Config map[string]any               `json:"config"`
	Member AgentMember                  `json:"member"`
	Stats  map[string]map[string]string `json:"stats"`
}

// AgentHealth tells whether the agent's parts work.
type AgentHealth struct {
	Client *PartHealth `json:"client,omitempty"`
	Server *PartHealth `json:"server,omitempty"`
}

// PartHealth is the health of one part.
type PartHealth struct {
	Ok      bool   `json:"ok"`
	Message string `json:"message"`
}

// HostData describes the machine of an agent.
type HostData struct {
	OS          string
	Network     []map[string]string // per interface
	ResolvConf  string
	Hosts       string               // always empty: it tells of other machines
	Environment map[string]string    // of the agent; values that might be secret are hidden
	Disk        map[string]DiskUsage // by directory of the agent
}

// DiskUsage is of one file system.
type DiskUsage struct{ DiskMB, UsedMB int64 }

// HostDataResponse says which agent's machine is described.
type HostDataResponse struct {
	AgentID  string
	HostData *HostData `json:",omitempty"`
}

// SchedulerTypes returns what a server's workers can process: evaluations of a
// type of jobs, and api.SchedulerCore, the upkeep, which no worker is needed
// for.
func SchedulerTypes() []string {
	return []string{JobTypeService, JobTypeBatch, JobTypeSystem, JobTypeSysBatch, SchedulerCore}
}

// SchedulerCore is the collection of what is over.
const SchedulerCore = "_core"

// SchedulerWorkerConfig is how many evaluations a server processes at a time
// while it leads, and of which types.
type SchedulerWorkerConfig struct {
	ServerID          string   `json:"server_id"`
	NumSchedulers     int      `json:"num_schedulers"`
	EnabledSchedulers []string `json:"enabled_schedulers"`
}

// SchedulerWorkers are those of a server.
type SchedulerWorkers struct {
	ServerID   string             `json:"server_id"`
	Schedulers []*SchedulerWorker `json:"schedulers"`
}

// SchedulerWorker is one of them.
type SchedulerWorker struct {
	ID                string    `json:"id"`
	EnabledSchedulers []string  `json:"enabled_schedulers"`
	Started           time.Time `json:"started"`
	Status            string    `json:"status"`
	WorkloadStatus    string    `json:"workload_status"`
}

// What a worker is and does.
const (
	WorkerStarted    = "Started"
	WorkerStopping   = "Stopping"
	WorkerWaiting    = "WaitingToDequeue"
	WorkerScheduling = "Scheduling"
)

// SearchRequest looks objects up by the prefix of their IDs.
type SearchRequest struct {
	Prefix    string
	Context   string
	Namespace string
	Region    string
}

// SearchResponse lists at most SearchLimit matches per context.
type SearchResponse struct {
	Matches     map[string][]string
	Truncations map[string]bool
	Index       uint64
	LastContact int64
	KnownLeader bool
}

// SearchLimit is how many matches a search returns per context.
const SearchLimit = 20

// FuzzySearchRequest looks objects up by a part of their names.
type FuzzySearchRequest struct {
	Text      string
	Context   string
	Namespace string
	Region    string
}

// FuzzyMatch is one match and where it was found.
type FuzzyMatch struct {
	ID    string
	Scope []string `json:",omitempty"`
}

// FuzzySearchResponse lists matches per context.
type FuzzySearchResponse struct {
	Matches     map[string][]FuzzyMatch
	Truncations map[string]bool
	Index       uint64
	LastContact int64
	KnownLeader bool
}

// AgentJoin is what came of joining other servers.
type AgentJoin struct {
	NumJoined int    `json:"num_joined"`
	Error     string `json:"error"`
}

// GossipKeys tells of the keys that encrypt gossip: how many servers have each,
// and what single servers said.
type GossipKeys struct {
	Messages    map[string]string
	Keys        map[string]int
	PrimaryKeys map[string]int `json:",omitempty"`
	NumNodes    int
}

// GossipKeyRequest names a key, in base64.
type GossipKeyRequest struct {
	Key string
}
