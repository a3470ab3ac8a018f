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
