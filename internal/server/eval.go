package server

import (
	"context"
	"iter"
	"slices"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// Evals lists evaluations: by create index, or with a prefix by ID. A status
// and a job narrow the list; they do not go with a filter.
func (s *Server) Evals(ctx context.Context, opts api.ListOptions, status, jobID string) (iter.Seq[*api.Evaluation], api.Meta, error) {
	if opts.Filter != "" && status+jobID != "" {
		return nil, api.Meta{}, api.Errorf(api.CodeInvalid, "Filter expression cannot be used with other filter parameters")
	}
	visible, err := s.visible(ctx, opts, api.CapReadJob)
	if err != nil {
		return nil, api.Meta{}, err
	}
	match, err := newFilter[*api.Evaluation](opts.Filter)
	if err != nil {
		return nil, api.Meta{}, err
	}
	p := pager[*api.Evaluation]{opts: opts, match: match, visible: func(e *api.Evaluation) bool {
		return visible(e.Namespace) && (status == "" || e.Status == status) && (jobID == "" || e.JobID == jobID)
	}}
	scan, err := evalScan(opts, &p)
	if err != nil {
		return nil, api.Meta{}, err
	}
	keys := readKeys(opts.Namespace, store.KeyEvals(), store.KeyEvalsOfNamespace)
	if jobID != "" && opts.Namespace != api.AllNamespaces {
		keys = []store.Key{store.KeyEvalsOfJob(opts.Namespace, jobID)}
	}
	var next string
	seq, meta, err := read(ctx, s, opts, keys, func(snap *store.Snapshot) (iter.Seq[*api.Evaluation], uint64, error) {
		var seq iter.Seq[*api.Evaluation]
		seq, next = p.page(scan(snap))
		return seq, snap.TableIndex(store.TableEvals), nil
	})
	meta.NextToken = next
	return seq, meta, err
}

// evalScan returns the sequence a list walks and sets its tokens in p.
func evalScan(opts api.ListOptions, p *pager[*api.Evaluation]) (func(*store.Snapshot) iter.Seq[*api.Evaluation], error) {
	if opts.Prefix != "" {
		prefix, err := api.ParseIDPrefix(opts.Prefix)
		if err != nil {
			return nil, err
		}
		before, err := beforeID(opts)
		if err != nil {
			return nil, err
		}
		if before != nil {
			p.before = func(e *api.Evaluation) bool { return before(e.ID) }
		}
		p.token = func(e *api.Evaluation) string { return e.ID }
		return func(snap *store.Snapshot) iter.Seq[*api.Evaluation] { return snap.EvalsFrom(prefix, opts.Reverse) }, nil
	}
	p.token = func(e *api.Evaluation) string { return createToken(e.CreateIndex, e.ID) }
	if opts.NextToken != "" {
		index, id, err := parseCreateToken(opts.NextToken)
		if err != nil {
			return nil, err
		}
		text := id.String()
		p.before = func(e *api.Evaluation) bool {
			if e.CreateIndex != index {
				return (e.CreateIndex < index) != opts.Reverse
			}
			return e.ID != text && (e.ID < text) != opts.Reverse
		}
	}
	return func(snap *store.Snapshot) iter.Seq[*api.Evaluation] { return snap.EvalsByCreate(opts.Reverse) }, nil
}

// CountEvals counts the evaluations a list would show.
func (s *Server) CountEvals(ctx context.Context, opts api.ListOptions, status, jobID string) (int, api.Meta, error) {
	opts.PerPage, opts.NextToken = 0, ""
	seq, meta, err := s.Evals(ctx, opts, status, jobID)
	if err != nil {
		return 0, meta, err
	}
	n := 0
	for range seq {
		n++
	}
	return n, meta, nil
}

// Eval reads one evaluation, with related ones of its chain if asked.
func (s *Server) Eval(ctx context.Context, opts api.ListOptions, id string, related bool) (*api.Evaluation, api.Meta, error) {
	if err := checkID("evaluation", id); err != nil {
		return nil, api.Meta{}, err
	}
	return read(ctx, s, opts, []store.Key{store.KeyEval(id)}, func(snap *store.Snapshot) (*api.Evaluation, uint64, error) {
		e := snap.Eval(id)
		if e == nil {
			return nil, snap.TableIndex(store.TableEvals), missing("eval")
		}
		if err := s.seen(ctx, opts, api.CapReadJob, e.Namespace, "eval"); err != nil {
			return nil, snap.TableIndex(store.TableEvals), err
		}
		if related {
			e = e.Copy()
			e.RelatedEvals = relatedEvals(snap, e)
		}
		return e, e.ModifyIndex, nil
	})
}

// maxRelated bounds how far a chain of evaluations is followed.
const maxRelated = 100

// relatedEvals follows the links of an evaluation, nearest first.
func relatedEvals(snap *store.Snapshot, e *api.Evaluation) []*api.EvaluationStub {
	seen := map[string]bool{e.ID: true}
	queue := []string{e.NextEval, e.PreviousEval, e.BlockedEval}
	var out []*api.EvaluationStub
	for len(queue) > 0 && len(out) < maxRelated {
		id := queue[0]
		queue = queue[1:]
		if id == "" || seen[id] {
			continue
		}
		seen[id] = true
		if r := snap.Eval(id); r != nil && r.Namespace == e.Namespace {
			out = append(out, r.Stub())
			queue = append(queue, r.NextEval, r.PreviousEval, r.BlockedEval)
		}
	}
	return out
}

// EvalAllocs lists the allocations an evaluation placed.
func (s *Server) EvalAllocs(ctx context.Context, opts api.ListOptions, id string) (iter.Seq[*api.Allocation], api.Meta, error) {
	if err := checkID("evaluation", id); err != nil {
		return nil, api.Meta{}, err
	}
	return s.allocsOf(ctx, opts, parent{keys: []store.Key{store.KeyAllocsOfEval(id)}, allocs: func(snap *store.Snapshot) iter.Seq[*api.Allocation] {
		return snap.AllocsByEval(id)
	}})
}

// JobEvals lists a job's evaluations, newest first.
func (s *Server) JobEvals(ctx context.Context, opts api.ListOptions, jobID string) ([]*api.Evaluation, api.Meta, error) {
	if err := s.authorize(ctx, opts.Token, api.CapReadJob, opts.Namespace); err != nil {
		return nil, api.Meta{}, err
	}
	return read(ctx, s, opts, []store.Key{store.KeyEvalsOfJob(opts.Namespace, jobID)}, func(snap *store.Snapshot) ([]*api.Evaluation, uint64, error) {
		evals := slices.Collect(snap.EvalsByJob(opts.Namespace, jobID))
		slices.Reverse(evals)
		return evals, snap.TableIndex(store.TableEvals), nil
	})
}

// jobEval makes a pending evaluation of a job.
func (s *Server) jobEval(job *api.Job, trigger string) *api.Evaluation {
	now := s.now().UnixNano()
	return &api.Evaluation{
		ID: s.cfg.NewID(), Namespace: job.Namespace, JobID: job.ID, Priority: job.Priority, Type: job.Type,
		TriggeredBy: trigger, Status: api.EvalStatusPending, JobModifyIndex: job.JobModifyIndex, CreateTime: now, ModifyTime: now,
	}
}

// DeleteEvals deletes the evaluations with these IDs, or those that match a
// filter, and returns how many. Scheduling must be paused.
func (s *Server) DeleteEvals(ctx context.Context, token string, req *api.EvalDeleteRequest) (count int, index uint64, err error) {
	if err := s.authorize(ctx, token, api.CapManagement, ""); err != nil {
		return 0, 0, err
	}
	if (len(req.EvalIDs) == 0) == (req.Filter == "") {
		return 0, 0, api.Errorf(api.CodeInvalid, "give either EvalIDs or Filter: the evaluations to delete")
	}
	for _, id := range req.EvalIDs {
		if err := checkID("evaluation", id); err != nil {
			return 0, 0, err
		}
	}
	ids := req.EvalIDs
	if req.Filter != "" {
		match, err := newFilter[*api.Evaluation](req.Filter)
		if err != nil {
			return 0, 0, err
		}
		for e := range s.store.Snapshot().EvalsByCreate(false) {
			if match(e) {
				ids = append(ids, e.ID)
			}
		}
	}
	for part := range slices.Chunk(ids, store.MaxReap) {
		res, err := s.propose(ctx, &store.DeleteEvals{IDs: part})
		if err != nil {
			return count, index, err
		}
		count, index = count+len(part), res.Index
	}
	return count, max(index, s.store.Snapshot().Index()), nil
}
