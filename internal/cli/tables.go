package cli

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
)

// allocTable lists allocations, newest first.
func (e *env) allocTable(list []*api.AllocListStub, verbose bool) *table {
	list = append([]*api.AllocListStub(nil), list...)
	sort.SliceStable(list, func(i, j int) bool { return list[i].CreateIndex > list[j].CreateIndex })
	t := newTable("ID", "Node", "Job", "Group", "Version", "Desired", "Status", "Created", "Modified")
	now := time.Now()
	for _, a := range list {
		node := a.NodeName
		if node == "" || verbose {
			node = idText(a.NodeID, verbose)
		}
		t.row(idText(a.ID, verbose), node, a.JobID, a.TaskGroup, strconv.FormatUint(a.JobVersion, 10),
			a.DesiredStatus, e.out.state(a.ClientStatus)+e.health(a), ago(a.CreateTime, now, verbose), ago(a.ModifyTime, now, verbose))
	}
	return withNamespaces(t, list, func(a *api.AllocListStub) string { return a.Namespace })
}

// withNamespaces puts the namespaces of a table's rows in front, if there is
// more than one.
func withNamespaces[T any](t *table, list []T, of func(T) string) *table {
	one := true
	for _, item := range list {
		one = one && of(item) == of(list[0])
	}
	if one {
		return t
	}
	t.head = append([]string{"Namespace"}, t.head...)
	for i, item := range list {
		t.rows[i] = append([]string{of(item)}, t.rows[i]...)
	}
	return t
}

// health is a mark behind the status while a deployment watches.
func (e *env) health(a *api.AllocListStub) string {
	switch {
	case a.ClientStatus != api.AllocClientRunning:
		return ""
	case a.DeploymentStatus.IsHealthy():
		return e.out.green(" ✓")
	case a.DeploymentStatus.IsUnhealthy():
		return e.out.red(" ✗")
	}
	return ""
}

func (e *env) jobTable(list []*api.JobListStub) *table {
	t := newTable("ID", "Type", "Priority", "Status", "Running", "Submitted")
	now := time.Now()
	for _, j := range list {
		status := e.out.state(j.Status)
		if j.Stop {
			status = e.out.dim(j.Status + " (stopped)")
		}
		kind := j.Type
		switch {
		case j.Periodic:
			kind += "/periodic"
		case j.ParameterizedJob:
			kind += "/parameterized"
		}
		t.row(j.ID, kind, strconv.Itoa(j.Priority), status, runningText(j.JobSummary), ago(j.SubmitTime, now, false))
	}
	return withNamespaces(t, list, func(j *api.JobListStub) string { return j.Namespace })
}

// runningText is "3" or, when something is not running, "1 of 3".
func runningText(s *api.JobSummary) string {
	if s == nil {
		return "-"
	}
	if n := s.Children; n != nil {
		return fmt.Sprintf("%d of %d", n.Running, n.Pending+n.Running+n.Dead)
	}
	running, wanted := 0, 0
	for _, g := range s.Summary {
		running += g.Running
		wanted += g.Running + g.Starting + g.Queued
	}
	if running == wanted {
		return strconv.Itoa(running)
	}
	return strconv.Itoa(running) + " of " + strconv.Itoa(wanted)
}

func (e *env) evalTable(list []*api.Evaluation, verbose bool) *table {
	t := newTable("ID", "Priority", "Triggered by", "Job", "Status", "Placement failures", "Created")
	now := time.Now()
	for _, v := range list {
		failures := strings.Join(keys(v.FailedTGAllocs), ", ")
		if failures != "" {
			failures = e.out.red(failures)
		} else if v.Status != api.EvalStatusPending {
			failures = "none"
		}
		t.row(idText(v.ID, verbose), strconv.Itoa(v.Priority), v.TriggeredBy, orDash(v.JobID), e.out.state(v.Status), orDash(failures), ago(v.CreateTime, now, verbose))
	}
	return withNamespaces(t, list, func(v *api.Evaluation) string { return v.Namespace })
}

func (e *env) deploymentTable(list []*api.Deployment, verbose bool) *table {
	t := newTable("ID", "Job", "Version", "Status", "Description")
	for _, d := range list {
		t.row(idText(d.ID, verbose), d.JobID, strconv.FormatUint(d.JobVersion, 10), e.out.state(d.Status), d.StatusDescription)
	}
	return withNamespaces(t, list, func(d *api.Deployment) string { return d.Namespace })
}

func (e *env) nodeTable(list []*api.NodeListStub, verbose bool) *table {
	t := newTable("ID", "Name", "Datacenter", "Pool", "Class", "Address", "Drain", "Eligibility", "Status")
	for _, n := range list {
		t.row(idText(n.ID, verbose), n.Name, n.Datacenter, orDash(n.NodePool), orDash(n.NodeClass), n.Address,
			strconv.FormatBool(n.Drain), e.out.state(n.SchedulingEligibility), e.out.state(n.Status))
	}
	return t
}
