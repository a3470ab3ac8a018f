package plans

import "github.com/drover-org/drover/api"

// maxEntry is how much a part of a plan may hold, so that its log entry stays
// below 256 KiB. Sizes are estimates on the safe side.
const maxEntry = 200 << 10

// Estimated bytes in the log.
const (
	sizeStop      = 250
	sizeInPlace   = 17
	sizeFollowup  = 120
	sizePlacement = 200 // with scores of five nodes
	sizeNetwork   = 400
	sizePort      = 200
	sizeEvent     = 200 // of a reschedule tracker
	sizePreempt   = 40
)

// splitter cuts a plan into parts.
type splitter struct {
	plan  *api.Plan
	parts []*api.Plan
	part  *api.Plan
	room  int
}

// split cuts a plan into parts that each fit one log entry and hold placements
// of one job version. Stops come before placements, and the outcome of the
// evaluation comes with the last part. A small plan is one part.
func split(p *api.Plan) []*api.Plan {
	s := &splitter{plan: p}
	s.open(p.Job)
	s.part.Deployment, s.part.DeploymentUpdates = p.Deployment, p.DeploymentUpdates
	for _, stop := range p.Stops {
		s.take(sizeStop)
		s.part.Stops = append(s.part.Stops, stop)
	}
	for _, f := range p.Followups {
		s.take(sizeFollowup)
		s.part.Followups = append(s.part.Followups, f)
	}
	for _, id := range p.InPlace {
		s.take(sizeInPlace)
		s.part.InPlace = append(s.part.InPlace, id)
	}
	for _, g := range p.Placements {
		job := p.Job
		if g.Job != nil {
			job = g.Job
		}
		if job != s.part.Job {
			s.open(job)
		}
		s.group(g)
	}
	s.part.Eval, s.part.Evals = p.Eval, p.Evals
	return append(s.parts, s.part)
}

// open starts a part with a job version.
func (s *splitter) open(job *api.Job) {
	if s.part != nil {
		s.parts = append(s.parts, s.part)
	}
	s.part = &api.Plan{EvalID: s.plan.EvalID, Job: job}
	s.room = maxEntry
}

// take makes room for size bytes, and reports whether that began a part.
func (s *splitter) take(size int) bool {
	begin := size > s.room
	if begin {
		s.open(s.part.Job)
	}
	s.room -= size
	return begin
}

func (s *splitter) group(g *api.PlanGroup) {
	var piece *api.PlanGroup
	for _, p := range g.Allocs {
		if begin := s.take(sizeOf(p)); begin || piece == nil {
			c := *g
			c.Allocs, c.Job = nil, nil
			piece = &c
			s.part.Placements = append(s.part.Placements, piece)
		}
		piece.Allocs = append(piece.Allocs, p)
	}
}

func sizeOf(p *api.Placement) int {
	n := sizePlacement + sizePort*len(p.Ports) + sizeNetwork*(len(p.Networks)+len(p.TaskNetwork)+len(p.TaskCores)) + sizePreempt*len(p.Preempts)
	if p.Tracker != nil {
		n += sizeEvent * (1 + len(p.Tracker.Events))
	}
	return n
}
