package server

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// Jobs lists jobs by namespace and ID. The next token is "<namespace>.<ID>".
func (s *Server) Jobs(ctx context.Context, opts api.ListOptions, meta bool) (iter.Seq[*api.JobListStub], api.Meta, error) {
	return s.jobs(ctx, opts, "", meta)
}

// jobs lists the jobs of a node pool, "" for all there are.
func (s *Server) jobs(ctx context.Context, opts api.ListOptions, pool string, meta bool) (iter.Seq[*api.JobListStub], api.Meta, error) {
	visible, err := s.visible(ctx, opts, api.CapListJobs)
	if err != nil {
		return nil, api.Meta{}, err
	}
	match, err := newFilter[*api.Job](opts.Filter)
	if err != nil {
		return nil, api.Meta{}, err
	}
	startNS, startID, ok := strings.Cut(opts.NextToken, ".")
	if opts.NextToken != "" && (!ok || !api.IsNamespaceName(startNS)) {
		return nil, api.Meta{}, badToken(opts.NextToken)
	}
	p := pager[*api.Job]{opts: opts, match: match,
		token: func(j *api.Job) string { return j.Namespace + "." + j.ID },
	}
	if opts.NextToken != "" && opts.Reverse {
		p.before = func(j *api.Job) bool {
			return j.Namespace > startNS || j.Namespace == startNS && j.ID > startID
		}
	}
	var next string
	keys := withPool(readKeys(opts.Namespace, store.KeyJobs(), store.KeyJobsOfNamespace), pool)
	seq, out, err := read(ctx, s, opts, keys, func(snap *store.Snapshot) (iter.Seq[*api.JobListStub], uint64, error) {
		index := max(snap.TableIndex(store.TableJobs), snap.TableIndex(store.TableSummaries), poolIndex(snap, pool))
		of, err := poolOf(snap, pool)
		if err != nil {
			return nil, index, err
		}
		p := p
		p.visible = func(j *api.Job) bool {
			return visible(j.Namespace) && strings.HasPrefix(j.ID, opts.Prefix) && (of == nil || of.Holds(j.NodePool))
		}
		seq := snap.JobsFrom(startNS, startID)
		if opts.Reverse {
			seq = snap.JobsReverse()
		}
		jobs, token := p.page(seq)
		next = token
		stubs := func(yield func(*api.JobListStub) bool) {
			for j := range jobs {
				if !yield(j.Stub(snap.Summary(j.Namespace, j.ID), meta)) {
					return
				}
			}
		}
		return stubs, index, nil
	})
	out.NextToken = next
	return seq, out, err
}

// Job reads the current version of a job.
func (s *Server) Job(ctx context.Context, opts api.ListOptions, id string) (*api.Job, api.Meta, error) {
	if err := s.authorize(ctx, opts.Token, api.CapReadJob, opts.Namespace); err != nil {
		return nil, api.Meta{}, err
	}
	return read(ctx, s, opts, []store.Key{store.KeyJob(opts.Namespace, id)}, func(snap *store.Snapshot) (*api.Job, uint64, error) {
		j := snap.Job(opts.Namespace, id)
		if j == nil {
			return nil, snap.TableIndex(store.TableJobs), missing("job")
		}
		return j, j.ModifyIndex, nil
	})
}

// diffTo says which differences a list of versions comes with: of each
// version to the one before, or to one named by tag or number.
type diffTo struct {
	tag     string
	version *uint64
}

// JobVersions lists a job's versions, newest first. With diffs it tells what
// changed in each: against the one before it, or against the version that
// diffTag or diffVersion names.
func (s *Server) JobVersions(ctx context.Context, opts api.ListOptions, id string, diffs bool, diffTag string, diffVersion *uint64) (*api.JobVersionsResponse, api.Meta, error) {
	if err := s.authorize(ctx, opts.Token, api.CapReadJob, opts.Namespace); err != nil {
		return nil, api.Meta{}, err
	}
	to := diffTo{tag: diffTag, version: diffVersion}
	return read(ctx, s, opts, []store.Key{store.KeyJob(opts.Namespace, id)}, func(snap *store.Snapshot) (*api.JobVersionsResponse, uint64, error) {
		versions := snap.JobVersions(opts.Namespace, id)
		if len(versions) == 0 {
			return nil, snap.TableIndex(store.TableJobs), missing("job")
		}
		out := &api.JobVersionsResponse{Versions: versions}
		for _, v := range versions {
			out.Index = max(out.Index, v.ModifyIndex)
		}
		if diffs || to.tag != "" || to.version != nil {
			var err error
			if out.Diffs, err = versionDiffs(versions, to); err != nil {
				return nil, out.Index, err
			}
		}
		return out, out.Index, nil
	})
}

func versionDiffs(versions []*api.Job, to diffTo) ([]*api.JobDiff, error) {
	var base *api.Job
	for _, v := range versions {
		if to.tag != "" && v.VersionTag != nil && v.VersionTag.Name == to.tag || to.version != nil && v.Version == *to.version {
			base = v
		}
	}
	switch {
	case base == nil && to.tag != "":
		return nil, api.Errorf(api.CodeNotFound, "diff_tag: the job has no version tagged %q", to.tag)
	case base == nil && to.version != nil:
		return nil, api.Errorf(api.CodeNotFound, "diff_version: the job has no version %d", *to.version)
	}
	var diffs []*api.JobDiff
	for i, v := range versions {
		old := base
		if old == nil {
			if i+1 == len(versions) {
				break
			}
			old = versions[i+1]
		}
		diffs = append(diffs, api.DiffJobs(old, v))
	}
	return diffs, nil
}

// JobSummary counts a job's allocations.
func (s *Server) JobSummary(ctx context.Context, opts api.ListOptions, id string) (*api.JobSummary, api.Meta, error) {
	if err := s.authorize(ctx, opts.Token, api.CapReadJob, opts.Namespace); err != nil {
		return nil, api.Meta{}, err
	}
	keys := []store.Key{store.KeySummary(opts.Namespace, id)}
	return read(ctx, s, opts, keys, func(snap *store.Snapshot) (*api.JobSummary, uint64, error) {
		sum := snap.Summary(opts.Namespace, id)
		if sum == nil {
			return nil, snap.TableIndex(store.TableSummaries), missing("job")
		}
		return sum, sum.ModifyIndex, nil
	})
}

// JobSubmission reads the source a version was registered from.
func (s *Server) JobSubmission(ctx context.Context, opts api.ListOptions, id string, version uint64) (*api.JobSubmission, api.Meta, error) {
	if err := s.authorize(ctx, opts.Token, api.CapReadJob, opts.Namespace); err != nil {
		return nil, api.Meta{}, err
	}
	return read(ctx, s, opts, []store.Key{store.KeyJob(opts.Namespace, id)}, func(snap *store.Snapshot) (*api.JobSubmission, uint64, error) {
		sub := snap.Submission(opts.Namespace, id, version)
		if sub == nil {
			return nil, snap.TableIndex(store.TableJobs), missing("job source")
		}
		return sub, sub.JobModifyIndex, nil
	})
}

// JobAllocs lists a job's allocations by ID; without all only those of the job
// of that name that exists now.
func (s *Server) JobAllocs(ctx context.Context, opts api.ListOptions, id string, all bool) (iter.Seq[*api.Allocation], api.Meta, error) {
	if err := s.authorize(ctx, opts.Token, api.CapReadJob, opts.Namespace); err != nil {
		return nil, api.Meta{}, err
	}
	of := parent{keys: []store.Key{store.KeyAllocsOfJob(opts.Namespace, id), store.KeyJobLife(opts.Namespace, id)}}
	of.allocs = func(snap *store.Snapshot) iter.Seq[*api.Allocation] { return snap.AllocsByJob(opts.Namespace, id) }
	of.index = func(snap *store.Snapshot) uint64 { return lifeIndex(snap, opts.Namespace, id) }
	of.keep = func(snap *store.Snapshot, a *api.Allocation) bool {
		if all {
			return true
		}
		job := snap.Job(opts.Namespace, id)
		return job == nil || a.Job == nil || a.Job.CreateIndex == job.CreateIndex
	}
	return s.allocsOf(ctx, opts, of)
}

// lifeIndex is for lists of what the job of a name has that exists now: an
// index no lower than that at which it came or was forgotten.
func lifeIndex(snap *store.Snapshot, ns, id string) uint64 {
	if j := snap.Job(ns, id); j != nil {
		return j.CreateIndex
	}
	return snap.TableIndex(store.TableJobs)
}

// JobScaleStatus tells how each group of a job is scaled.
func (s *Server) JobScaleStatus(ctx context.Context, opts api.ListOptions, id string) (*api.JobScaleStatus, api.Meta, error) {
	if err := s.authorize(ctx, opts.Token, api.CapReadJobScaling, opts.Namespace); err != nil {
		return nil, api.Meta{}, err
	}
	keys := []store.Key{store.KeyJob(opts.Namespace, id), store.KeyAllocsOfJob(opts.Namespace, id)}
	return read(ctx, s, opts, keys, func(snap *store.Snapshot) (*api.JobScaleStatus, uint64, error) {
		j := snap.Job(opts.Namespace, id)
		if j == nil {
			return nil, snap.TableIndex(store.TableJobs), missing("job")
		}
		return scaleStatus(snap, j), max(j.ModifyIndex, snap.TableIndex(store.TableScaling), snap.TableIndex(store.TableAllocs)), nil
	})
}

func scaleStatus(snap *store.Snapshot, j *api.Job) *api.JobScaleStatus {
	out := &api.JobScaleStatus{
		JobID: j.ID, Namespace: j.Namespace, JobCreateIndex: j.CreateIndex, JobModifyIndex: j.JobModifyIndex,
		JobStopped: j.Stop, TaskGroups: make(map[string]api.TaskGroupScaleStatus, len(j.TaskGroups)),
	}
	events := snap.ScalingEvents(j.Namespace, j.ID)
	for _, g := range j.TaskGroups {
		out.TaskGroups[g.Name] = api.TaskGroupScaleStatus{Desired: g.CountOf(), Events: events[g.Name]}
	}
	for a := range snap.AllocsByJob(j.Namespace, j.ID) {
		g, ok := out.TaskGroups[a.TaskGroup]
		if !ok || a.Terminal() || a.Job.CreateIndex != j.CreateIndex {
			continue
		}
		g.Placed++
		if a.ClientStatus == api.AllocClientRunning {
			g.Running++
		}
		if a.DeploymentStatus.IsHealthy() {
			g.Healthy++
		}
		if a.DeploymentStatus.IsUnhealthy() {
			g.Unhealthy++
		}
		out.TaskGroups[a.TaskGroup] = g
	}
	return out
}

// JobActions lists the commands that a job's tasks name.
func (s *Server) JobActions(ctx context.Context, opts api.ListOptions, id string) ([]api.JobAction, api.Meta, error) {
	j, meta, err := s.Job(ctx, opts, id)
	if err != nil {
		return nil, meta, err
	}
	var out []api.JobAction
	for _, g := range j.TaskGroups {
		for _, t := range g.Tasks {
			for _, a := range t.Actions {
				out = append(out, api.JobAction{Name: a.Name, Command: a.Command, Args: a.Args, TaskGroupName: g.Name, TaskName: t.Name})
			}
		}
	}
	return out, meta, nil
}

// JobStatuses tells for some jobs, or with none named for all of a page, what
// user interfaces show of a job and its allocations. Newest changes first.
func (s *Server) JobStatuses(ctx context.Context, opts api.ListOptions, jobs []api.NamespacedID) ([]*api.JobStatusStub, api.Meta, error) {
	visible, err := s.visible(ctx, opts, api.CapReadJob)
	if err != nil {
		return nil, api.Meta{}, err
	}
	match, err := newFilter[*api.Job](opts.Filter)
	if err != nil {
		return nil, api.Meta{}, err
	}
	wanted := map[api.NamespacedID]bool{}
	for _, j := range jobs {
		if j.Namespace == "" {
			j.Namespace = api.DefaultNamespace
		}
		wanted[j] = true
	}
	p := pager[*api.Job]{opts: opts, match: match,
		visible: func(j *api.Job) bool {
			if len(wanted) > 0 {
				return wanted[j.Key()] && s.authorize(ctx, opts.Token, api.CapReadJob, j.Namespace) == nil
			}
			return visible(j.Namespace) && j.ParentID == "" && strings.HasPrefix(j.ID, opts.Prefix)
		},
		token: func(j *api.Job) string { return uintText(j.ModifyIndex) + "." + j.Namespace + "." + j.ID },
	}
	if opts.NextToken != "" {
		start, whole, err := parseChangeToken(opts.NextToken)
		if err != nil {
			return nil, api.Meta{}, err
		}
		p.before = func(j *api.Job) bool {
			if j.ModifyIndex == start.ModifyIndex && !whole {
				return false
			}
			return newestChange(j, start) < 0 != opts.Reverse && newestChange(j, start) != 0
		}
	}
	var next string
	keys := []store.Key{store.KeyJobs(), store.KeyAllocs(), store.KeyDeployments()}
	if ns := opts.Namespace; len(wanted) == 0 && ns != api.AllNamespaces {
		keys = []store.Key{store.KeyJobsOfNamespace(ns), store.KeyAllocsOfNamespace(ns), store.KeyDeploymentsOfNamespace(ns)}
	}
	out, meta, err := read(ctx, s, opts, keys, func(snap *store.Snapshot) ([]*api.JobStatusStub, uint64, error) {
		all := slices.SortedFunc(snap.Jobs(), newestChange)
		if opts.Reverse {
			slices.Reverse(all)
		}
		seq, token := p.page(slices.Values(all))
		next = token
		out := []*api.JobStatusStub{}
		for j := range seq {
			out = append(out, jobStatus(snap, j))
		}
		return out, max(snap.TableIndex(store.TableJobs), snap.TableIndex(store.TableAllocs), snap.TableIndex(store.TableDeployments)), nil
	})
	meta.NextToken = next
	return out, meta, err
}

// newestChange orders jobs by their last change, the newest first; one command
// may have changed several.
func newestChange(a, b *api.Job) int {
	return cmp.Or(cmp.Compare(b.ModifyIndex, a.ModifyIndex), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.ID, b.ID))
}

// parseChangeToken reads a token of JobStatuses: an index, namespace and ID, or
// the index alone, which user interfaces make up themselves.
func parseChangeToken(token string) (start *api.Job, whole bool, err error) {
	index, rest, whole := strings.Cut(token, ".")
	ns, id, ok := strings.Cut(rest, ".")
	n, err := strconv.ParseUint(index, 10, 64)
	if err != nil || whole && (!ok || !api.IsNamespaceName(ns)) {
		return nil, false, badToken(token)
	}
	return &api.Job{ModifyIndex: n, Namespace: ns, ID: id}, whole, nil
}

func jobStatus(snap *store.Snapshot, j *api.Job) *api.JobStatusStub {
	out := &api.JobStatusStub{
		NamespacedID: j.Key(), Name: j.Name, Type: j.Type, NodePool: j.NodePool, Datacenters: j.Datacenters,
		Priority: j.Priority, Version: j.Version, SubmitTime: j.SubmitTime, ModifyIndex: j.ModifyIndex,
		Stop: j.Stop, Status: j.Status, ParentID: j.ParentID, ChildStatuses: []string{},
		GroupCountSum: 0, Allocs: []api.JobStatusAlloc{},
	}
	for _, g := range j.TaskGroups {
		out.GroupCountSum += g.CountOf()
	}
	for a := range snap.AllocsByJob(j.Namespace, j.ID) {
		st := api.JobStatusAlloc{
			ID: a.ID, Group: a.TaskGroup, ClientStatus: a.ClientStatus, NodeID: a.NodeID, JobVersion: a.Job.Version,
			FollowupEvalID: a.FollowupEvalID, HasPausedTask: false,
		}
		if a.DeploymentStatus != nil {
			st.DeploymentStatus = api.JobStatusAllocDeployment{Canary: a.DeploymentStatus.Canary, Healthy: a.DeploymentStatus.Healthy}
		}
		out.Allocs = append(out.Allocs, st)
	}
	if d := snap.LatestDeployment(j.Namespace, j.ID); d != nil && d.JobCreateIndex == j.CreateIndex {
		ld := &api.JobStatusDeployment{ID: d.ID, IsActive: d.Active(), JobVersion: d.JobVersion, Status: d.Status, StatusDescription: d.StatusDescription, AllAutoPromote: true}
		for _, name := range slices.Sorted(maps.Keys(d.TaskGroups)) {
			g := d.TaskGroups[name]
			ld.AllAutoPromote = ld.AllAutoPromote && g.AutoPromote
			ld.RequiresPromotion = ld.RequiresPromotion || g.DesiredCanaries > 0 && !g.Promoted
		}
		out.LatestDeployment = ld
	}
	return out
}

func uintText(n uint64) string { return strconv.FormatUint(n, 10) }
