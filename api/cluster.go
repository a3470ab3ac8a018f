package api

// RaftServer is one server of the log.
type RaftServer struct {
	ID           string
	Node         string // name
	Address      string // RPC address
	Leader       bool
	Voter        bool
	RaftProtocol string
}

// RaftConfiguration lists the servers of the log.
type RaftConfiguration struct {
	Servers []*RaftServer
	Index   uint64
}

// NodePool is a named set of nodes.
type NodePool struct {
	Name                   string
	Description            string
	Meta                   map[string]string
	SchedulerConfiguration *NodePoolSchedulerConfiguration
	CreateIndex            uint64
	ModifyIndex            uint64
}

// NodePoolSchedulerConfiguration overrides the region's for one pool.
type NodePoolSchedulerConfiguration struct {
	SchedulerAlgorithm            string
	MemoryOversubscriptionEnabled *bool
}
