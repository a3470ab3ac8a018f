package api

// JobActionRequest asks for a command that a job names.
type JobActionRequest struct {
	Namespace string
	JobID     string
	AllocID   string // empty: any that runs
	Group     string // empty: any
	Task      string // empty: the one that has the action
	Action    string
}

// JobActionTarget is where an action runs, and what.
type JobActionTarget struct {
	AllocID string
	Task    string
	Command []string
}
