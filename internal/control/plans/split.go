package plans

import "github.com/drover-org/drover/api"

// Bounds of one log entry, so that it stays below 256 KiB: a placement costs
// at most 200 bytes, a stop about as much in JSON, an in-place update 17.
const (
	maxPlacements = 1000
	maxStops      = 1000
	maxInPlace    = 5000
)

// split cuts a plan into parts that each fit one log entry. Stops come before
// placements, and the outcome of the evaluation comes with the last part. A
// small plan is one part.
func split(p *api.Plan) []*api.Plan {
	var parts []*api.Plan
	part := &api.Plan{EvalID: p.EvalID, Job: p.Job, Followups: p.Followups, Deployment: p.Deployment, DeploymentUpdates: p.DeploymentUpdates}
	cut := func() {
		parts = append(parts, part)
		part = &api.Plan{EvalID: p.EvalID, Job: p.Job}
	}
	for stops := p.Stops; len(stops) > 0; {
		n := min(len(stops), maxStops)
		part.Stops, stops = stops[:n], stops[n:]
		if len(stops) > 0 {
			cut()
		}
	}
	for ids := p.InPlace; len(ids) > 0; {
		n := min(len(ids), maxInPlace)
		part.InPlace, ids = ids[:n], ids[n:]
		if len(ids) > 0 {
			cut()
		}
	}
	room := maxPlacements
	for _, g := range p.Placements {
		for allocs := g.Allocs; len(allocs) > 0; {
			if room == 0 {
				cut()
				room = maxPlacements
			}
			n := min(len(allocs), room)
			piece := *g
			piece.Allocs, allocs = allocs[:n], allocs[n:]
			part.Placements = append(part.Placements, &piece)
			room -= n
		}
	}
	part.Eval, part.Evals = p.Eval, p.Evals
	return append(parts, part)
}
