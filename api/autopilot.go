package api

import "time"

// RegionHealth is how the servers of a region are, as one of them sees it.
type RegionHealth struct {
	Healthy          bool           // all of them
	FailureTolerance int            // how many healthy voters may fail while the others still agree
	Servers          []ServerHealth // of the log
	Leader           string         // ID; empty: there is none
	Voters           []string       // IDs
}

// ServerHealth is one of them. What raft only tells a server of itself is zero
// for the others.
type ServerHealth struct {
	ID          string
	Name        string
	Address     string // of the rpc port
	SerfStatus  string // alive, failed, left or none
	Version     string
	Leader      bool
	LastContact string // with the leader, as a duration
	LastTerm    uint64 // of this server's own log
	LastIndex   uint64
	Healthy     bool // alive, and in touch with a leader
	Voter       bool
	StableSince time.Time // when this server's own part in the log last changed
}

// AutopilotConfiguration is what servers do by themselves about servers that
// fail, in the words of clients. None of it can be changed.
type AutopilotConfiguration struct {
	CleanupDeadServers      bool
	LastContactThreshold    string
	MaxTrailingLogs         uint64
	MinQuorum               uint
	ServerStabilizationTime string
	EnableRedundancyZones   bool
	DisableUpgradeMigration bool
	EnableCustomUpgrades    bool
	CreateIndex             uint64
	ModifyIndex             uint64
}

// LogPosition is where a server is in the log.
type LogPosition struct {
	Term, Index uint64
	Since       time.Time // when it last began or ended to lead, or came up
}
