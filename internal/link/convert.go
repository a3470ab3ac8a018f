package link

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/drover-org/drover/api"
)

// rareFields are those that few allocations have.
type rareFields struct {
	DeploymentStatus      *api.AllocDeploymentStatus `json:",omitempty"`
	RescheduleTracker     *api.RescheduleTracker     `json:",omitempty"`
	NetworkStatus         *api.AllocNetworkStatus    `json:",omitempty"`
	PreemptedAllocations  []string                   `json:",omitempty"`
	PreemptedByAllocation string                     `json:",omitempty"`
	SigningKeyID          string                     `json:",omitempty"`
}

// packAlloc fills m from a, all but job and resources.
func packAlloc(m *allocMsg, a *api.Allocation) error {
	*m = allocMsg{
		ID: a.ID, Namespace: a.Namespace, EvalID: a.EvalID, Name: a.Name, NodeName: a.NodeName, TaskGroup: a.TaskGroup,
		Desired: a.DesiredStatus, DesiredDescription: a.DesiredDescription, Transition: packTransition(&a.DesiredTransition),
		Client: a.ClientStatus, ClientDescription: a.ClientDescription, DeploymentID: a.DeploymentID,
		Previous: a.PreviousAllocation, Next: a.NextAllocation, Followup: a.FollowupEvalID,
		CreateIndex: a.CreateIndex, ModifyIndex: a.ModifyIndex, AllocModifyIndex: a.AllocModifyIndex,
		CreateTime: a.CreateTime, ModifyTime: a.ModifyTime,
	}
	rare := rareFields{a.DeploymentStatus, a.RescheduleTracker, a.NetworkStatus, a.PreemptedAllocations, a.PreemptedByAllocation, a.SigningKeyID}
	if rare.DeploymentStatus == nil && rare.RescheduleTracker == nil && rare.NetworkStatus == nil &&
		len(rare.PreemptedAllocations) == 0 && rare.PreemptedByAllocation == "" && rare.SigningKeyID == "" {
		return nil
	}
	var err error
	m.Rare, err = json.Marshal(&rare)
	return err
}

// unpackAlloc is packAlloc's inverse; the node's ID comes from the stream.
func unpackAlloc(m *allocMsg, nodeID string) (*api.Allocation, error) {
	a := &api.Allocation{
		ID: m.ID, Namespace: m.Namespace, EvalID: m.EvalID, Name: m.Name, NodeID: nodeID, NodeName: m.NodeName, TaskGroup: m.TaskGroup,
		DesiredStatus: m.Desired, DesiredDescription: m.DesiredDescription, DesiredTransition: unpackTransition(m.Transition),
		ClientStatus: m.Client, ClientDescription: m.ClientDescription, DeploymentID: m.DeploymentID,
		PreviousAllocation: m.Previous, NextAllocation: m.Next, FollowupEvalID: m.Followup,
		CreateIndex: m.CreateIndex, ModifyIndex: m.ModifyIndex, AllocModifyIndex: m.AllocModifyIndex,
		CreateTime: m.CreateTime, ModifyTime: m.ModifyTime,
	}
	if len(m.Rare) == 0 {
		return a, nil
	}
	var rare rareFields
	if err := json.Unmarshal(m.Rare, &rare); err != nil {
		return nil, fmt.Errorf("allocation %s: %w", m.ID, err)
	}
	a.DeploymentStatus, a.RescheduleTracker, a.NetworkStatus = rare.DeploymentStatus, rare.RescheduleTracker, rare.NetworkStatus
	a.PreemptedAllocations, a.PreemptedByAllocation, a.SigningKeyID = rare.PreemptedAllocations, rare.PreemptedByAllocation, rare.SigningKeyID
	return a, nil
}

// transitions lists the settings of a DesiredTransition in the order of their
// bit pairs.
func transitions(d *api.DesiredTransition) [5]**bool {
	return [5]**bool{&d.Migrate, &d.Reschedule, &d.ForceReschedule, &d.NoShutdownDelay, &d.MigrateDisablePlacement}
}

// packTransition gives each setting two bits: 0 unset, 1 false, 2 true.
func packTransition(d *api.DesiredTransition) uint16 {
	var bits uint16
	for i, p := range transitions(d) {
		bits |= uint16(packTri(*p)) << (2 * i)
	}
	return bits
}

func unpackTransition(bits uint16) api.DesiredTransition {
	var d api.DesiredTransition
	for i, p := range transitions(&d) {
		*p = unpackTri(uint8(bits >> (2 * i) & 3))
	}
	return d
}

func packTri(b *bool) uint8 {
	switch {
	case b == nil:
		return 0
	case *b:
		return 2
	default:
		return 1
	}
}

func unpackTri(v uint8) *bool {
	switch v {
	case 1:
		return new(false)
	case 2:
		return new(true)
	}
	return nil
}

func packUpdate(m *updateMsg, u *api.AllocUpdate) error {
	*m = updateMsg{
		ID: u.ID, Client: u.ClientStatus, Description: u.ClientDescription,
		Health: packTri(u.DeploymentHealthy), HealthTime: packTime(u.HealthTimestamp),
	}
	for name, s := range u.TaskStates {
		t := taskMsg{
			Name: name, State: s.State, Failed: s.Failed, Restarts: s.Restarts, Paused: s.Paused,
			LastRestart: packTime(s.LastRestart), StartedAt: packTime(s.StartedAt), FinishedAt: packTime(s.FinishedAt),
		}
		for _, e := range s.Events {
			t.Events = append(t.Events, eventMsg{Type: e.Type, Time: e.Time, Message: e.Message, Details: e.Details})
		}
		m.Tasks = append(m.Tasks, t)
	}
	var err error
	if len(u.Services) > 0 {
		if m.Services, err = json.Marshal(u.Services); err != nil {
			return err
		}
	}
	if u.NetworkStatus != nil {
		m.Network, err = json.Marshal(u.NetworkStatus)
	}
	return err
}

func unpackUpdate(m *updateMsg) (*api.AllocUpdate, error) {
	u := &api.AllocUpdate{
		ID: m.ID, ClientStatus: m.Client, ClientDescription: m.Description,
		DeploymentHealthy: unpackTri(m.Health), HealthTimestamp: unpackTime(m.HealthTime),
	}
	if len(m.Tasks) > 0 {
		u.TaskStates = make(map[string]*api.TaskState, len(m.Tasks))
	}
	for i := range m.Tasks {
		t := &m.Tasks[i]
		s := &api.TaskState{
			State: t.State, Failed: t.Failed, Restarts: t.Restarts, Paused: t.Paused,
			LastRestart: unpackTime(t.LastRestart), StartedAt: unpackTime(t.StartedAt), FinishedAt: unpackTime(t.FinishedAt),
		}
		for j := range t.Events {
			e := &t.Events[j]
			s.Events = append(s.Events, &api.TaskEvent{Type: e.Type, Time: e.Time, Message: e.Message, Details: e.Details})
		}
		u.TaskStates[t.Name] = s
	}
	if len(m.Network) > 0 {
		u.NetworkStatus = &api.AllocNetworkStatus{}
		if err := json.Unmarshal(m.Network, u.NetworkStatus); err != nil {
			return nil, fmt.Errorf("report of allocation %s: %w", m.ID, err)
		}
	}
	if len(m.Services) > 0 {
		if err := json.Unmarshal(m.Services, &u.Services); err != nil {
			return nil, fmt.Errorf("report of allocation %s: %w", m.ID, err)
		}
	}
	return u, nil
}

func packTime(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func unpackTime(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}
