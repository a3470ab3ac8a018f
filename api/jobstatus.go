package api

// JobStatusStub is what user interfaces show of a job and its allocations.
type JobStatusStub struct {
	NamespacedID
	Name             string
	Type             string
	NodePool         string
	Datacenters      []string
	Priority         int
	Version          uint64
	SubmitTime       int64
	ModifyIndex      uint64
	Allocs           []JobStatusAlloc
	GroupCountSum    int
	ChildStatuses    []string
	ParentID         string
	LatestDeployment *JobStatusDeployment
	Stop             bool
	Status           string
}

// JobStatusAlloc is one allocation of a JobStatusStub.
type JobStatusAlloc struct {
	ID               string
	Group            string
	ClientStatus     string
	NodeID           string
	DeploymentStatus JobStatusAllocDeployment
	JobVersion       uint64
	FollowupEvalID   string
	HasPausedTask    bool
}

// JobStatusAllocDeployment is an allocation's part in a deployment.
type JobStatusAllocDeployment struct {
	Canary  bool
	Healthy *bool
}

// JobStatusDeployment is the newest deployment of a JobStatusStub.
type JobStatusDeployment struct {
	ID                string
	IsActive          bool
	JobVersion        uint64
	Status            string
	StatusDescription string
	AllAutoPromote    bool
	RequiresPromotion bool
}
