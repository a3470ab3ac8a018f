package store

import (
	"maps"
	"slices"

	"github.com/drover-org/drover/api"
)

// Knows reports whether a node's report of one of its allocations tells nothing
// new.
func (s *Snapshot) Knows(u *api.AllocUpdate) bool {
	a := s.Alloc(u.ID)
	return a != nil && known(a, u, s.healthSettled(a)) && s.servesAlready(a, u.Services)
}

// known reports whether a node's report tells nothing that the allocation does
// not say already. It compares meanings, never representations (time zones,
// nil or empty maps), which may differ between a server that applied the log
// and one that began with a snapshot: both must decide alike. With settled, the
// allocation's health can't change any more.
func known(a *api.Allocation, u *api.AllocUpdate, settled bool) bool {
	return a.ClientStatus == u.ClientStatus && a.ClientDescription == u.ClientDescription &&
		(u.NetworkStatus == nil || sameNetwork(a.NetworkStatus, u.NetworkStatus)) &&
		(settled || healthKnown(a, u)) && maps.EqualFunc(a.TaskStates, u.TaskStates, sameTaskState)
}

func healthKnown(a *api.Allocation, u *api.AllocUpdate) bool {
	switch {
	case a.DeploymentID == "":
		return true
	case u.ClientStatus == api.AllocClientFailed:
		return a.DeploymentStatus.IsUnhealthy()
	case u.DeploymentHealthy == nil:
		return true
	case *u.DeploymentHealthy:
		return a.DeploymentStatus.IsHealthy()
	}
	return a.DeploymentStatus.IsUnhealthy()
}

func sameNetwork(x, y *api.AllocNetworkStatus) bool {
	if x == nil || y == nil {
		return x == y
	}
	return x.InterfaceName == y.InterfaceName && x.Address == y.Address && x.AddressIPv6 == y.AddressIPv6 && sameDNS(x.DNS, y.DNS)
}

func sameDNS(x, y *api.DNSConfig) bool {
	if x == nil || y == nil {
		return x == y
	}
	return slices.Equal(x.Servers, y.Servers) && slices.Equal(x.Searches, y.Searches) && slices.Equal(x.Options, y.Options)
}

func sameTaskState(x, y *api.TaskState) bool {
	if x == nil || y == nil {
		return x == y
	}
	return x.State == y.State && x.Failed == y.Failed && x.Restarts == y.Restarts && x.Paused == y.Paused &&
		x.LastRestart.Equal(y.LastRestart) && x.StartedAt.Equal(y.StartedAt) && x.FinishedAt.Equal(y.FinishedAt) &&
		slices.EqualFunc(x.Events, y.Events, sameEvent)
}

func sameEvent(x, y *api.TaskEvent) bool {
	return x.Type == y.Type && x.Time == y.Time && x.Message == y.Message && maps.Equal(x.Details, y.Details)
}
