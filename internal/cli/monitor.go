package cli

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

// exitUnplaced tells that the request was taken but did not come to its
// desired state.
const exitUnplaced = 2

const (
	maxAllocLines = 20                     // allocations told one by one, unless -verbose
	frameEvery    = 120 * time.Millisecond // of the animation

	// settled is how long an allocation without a deployment must run to
	// count as started: one that fails at once is then still seen.
	settled = time.Second
)

// monitor shows how an evaluation becomes running allocations.
type monitor struct {
	e       *env
	c       *client.Client
	live    *live
	verbose bool

	ns, job string
	version uint64
	since   uint64 // CreateIndex of the evaluation: older allocations aren't its
	started time.Time

	allocs     map[string]*seenAlloc
	hidden     int // allocations that were not told one by one
	stubs      []*api.AllocListStub
	deployment *api.Deployment
	told       string // the deployment's state that was last printed
	frame      int
}

// seenAlloc is what was already said of an allocation.
type seenAlloc struct {
	status string
	ran    time.Time        // when it was first seen running
	events map[string]int64 // newest event told, by task
	logged map[string]bool  // tasks whose log tail was shown
	quiet  bool
}

func (e *env) newMonitor(c *client.Client, verbose bool) *monitor {
	return &monitor{e: e, c: c, verbose: verbose, live: newLive(e.Out, e.out), started: time.Now(), allocs: map[string]*seenAlloc{}}
}

// watch follows the evaluation until the job is as wanted or can't be. The
// error carries exitUnplaced in the second case.
func (m *monitor) watch(ctx context.Context, evalID string) error {
	defer m.live.block()
	m.live.line("%s evaluation %s", m.e.out.cyan("==>"), idText(evalID, m.verbose))
	eval, err := m.evaluated(ctx, evalID)
	if err != nil {
		return err
	}
	if eval.Status != api.EvalStatusComplete {
		return &exit{exitUnplaced, api.Errorf(api.CodeConflict, "evaluation %s is %s: %s", short(eval.ID), eval.Status, eval.StatusDescription)}
	}
	m.ns, m.job, m.since = eval.Namespace, eval.JobID, eval.CreateIndex
	m.failures(eval)
	job, _, err := m.c.Jobs().Info(ctx, m.job, api.ListOptions{Namespace: m.ns})
	switch {
	case api.IsNotFound(err):
		return nil // purged: there is nothing more to see
	case err != nil:
		return err
	}
	m.version = job.Version
	if job.Stop || job.IsParameterized() || job.IsPeriodicActive() {
		return nil
	}
	deployment, err := m.deploymentOf(ctx, eval)
	if err != nil {
		return err
	}
	outcome := m.follow(ctx, eval, deployment)
	if outcome == nil && len(eval.FailedTGAllocs) > 0 {
		return &exit{code: exitUnplaced}
	}
	return outcome
}

// rollout follows a deployment from where it is now.
func (m *monitor) rollout(ctx context.Context, d *api.Deployment) error {
	defer m.live.block()
	m.ns, m.job, m.version, m.since = d.Namespace, d.JobID, d.JobVersion, d.CreateIndex
	return m.follow(ctx, &api.Evaluation{}, d.ID)
}

// deploymentOf returns the ID of the deployment that rolls the version out, or
// nothing.
func (m *monitor) deploymentOf(ctx context.Context, eval *api.Evaluation) (string, error) {
	if eval.DeploymentID != "" {
		return eval.DeploymentID, nil
	}
	d, _, err := m.c.Jobs().LatestDeployment(ctx, m.job, api.ListOptions{Namespace: m.ns})
	if err != nil || d == nil || d.JobVersion != m.version || !d.Active() && d.CreateIndex < m.since {
		return "", err
	}
	return d.ID, nil
}

// evaluated waits for the end of an evaluation.
func (m *monitor) evaluated(ctx context.Context, id string) (*api.Evaluation, error) {
	var last *api.Evaluation
	read := func(ctx context.Context, o api.ListOptions) (*api.Evaluation, api.Meta, error) {
		return m.c.Evals().Info(ctx, id, false, o)
	}
	err := client.Follow(ctx, api.ListOptions{}, read, func(v *api.Evaluation, _ api.Meta) bool {
		last = v
		m.live.block(m.e.out.dim("    waiting for the scheduler: " + v.Status))
		return !v.Terminal() && v.Status != api.EvalStatusBlocked
	})
	return last, err
}

// failures says which groups could not be placed, and why.
func (m *monitor) failures(eval *api.Evaluation) {
	for _, g := range keys(eval.FailedTGAllocs) {
		for i, line := range explain(g, eval.FailedTGAllocs[g]) {
			if i == 0 {
				line = m.e.out.yellow(line)
			}
			m.live.line("    %s", line)
		}
	}
	if len(eval.FailedTGAllocs) > 0 && eval.BlockedEval != "" {
		m.live.line("    %s", m.e.out.dim("evaluation "+idText(eval.BlockedEval, m.verbose)+" waits for room and places the rest when there is some"))
	}
}

// update is news from one of the two watches.
type update struct {
	allocs     []*api.AllocListStub
	listed     bool
	deployment *api.Deployment
	err        error
}

// follow tells what happens until the outcome is known.
func (m *monitor) follow(ctx context.Context, eval *api.Evaluation, deployment string) error {
	ctx, cancel := context.WithCancel(ctx)
	news := make(chan update)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { m.watchAllocs(ctx, news) })
	wg.Go(func() { m.watchDeployment(ctx, deployment, news) })
	tick := time.NewTicker(frameEvery)
	defer tick.Stop()
	listed := false
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			m.frame++ // and what has settled meanwhile counts below
		case u := <-news:
			if u.err != nil {
				return u.err
			}
			if u.listed {
				m.stubs, listed = u.allocs, true
				m.tellAllocs(ctx)
			}
			if u.deployment != nil {
				m.deployment = u.deployment
				m.tellDeployment()
			}
		}
		if listed {
			if done, err := m.outcome(eval, deployment); done {
				return err
			}
		}
		m.live.block(m.board()...)
	}
}

func (m *monitor) watchAllocs(ctx context.Context, news chan<- update) {
	read := func(ctx context.Context, o api.ListOptions) ([]*api.AllocListStub, api.Meta, error) {
		return m.c.Jobs().Allocations(ctx, m.job, false, o)
	}
	err := client.Follow(ctx, api.ListOptions{Namespace: m.ns}, read, func(list []*api.AllocListStub, _ api.Meta) bool {
		return send(ctx, news, update{allocs: m.ours(list), listed: true})
	})
	if err != nil {
		send(ctx, news, update{err: err})
	}
}

func (m *monitor) watchDeployment(ctx context.Context, id string, news chan<- update) {
	if id == "" {
		return
	}
	read := func(ctx context.Context, o api.ListOptions) (*api.Deployment, api.Meta, error) {
		return m.c.Deployments().Info(ctx, id, o)
	}
	err := client.Follow(ctx, api.ListOptions{}, read, func(d *api.Deployment, _ api.Meta) bool {
		return send(ctx, news, update{deployment: d}) && d.Active()
	})
	if err != nil {
		send(ctx, news, update{err: err})
	}
}

func send[T any](ctx context.Context, to chan<- T, v T) bool {
	select {
	case to <- v:
		return true
	case <-ctx.Done():
		return false
	}
}

// ours keeps the allocations that this evaluation and its successors made.
func (m *monitor) ours(list []*api.AllocListStub) []*api.AllocListStub {
	var out []*api.AllocListStub
	for _, a := range list {
		if a.JobVersion == m.version && a.CreateIndex >= m.since {
			out = append(out, a)
		}
	}
	return out
}

// outcome decides whether there is anything left to wait for.
func (m *monitor) outcome(eval *api.Evaluation, deployment string) (done bool, err error) {
	if deployment == "" || len(eval.FailedTGAllocs) > 0 {
		return m.allStarted(len(eval.FailedTGAllocs) > 0)
	}
	d := m.deployment
	switch {
	case d == nil:
		return false, nil
	case d.Status == api.DeploymentSuccessful:
		m.live.line("%s deployed in %s", m.e.out.green("==>"), m.took())
		return true, nil
	case d.Status == api.DeploymentPaused:
		m.live.line("%s the deployment is paused: \"drover deployment resume %s\" lets it go on", m.e.out.yellow("==>"), short(d.ID))
		return true, nil
	case !d.Active():
		return true, &exit{exitUnplaced, api.Errorf(api.CodeConflict, "deployment %s %s: %s", short(d.ID), d.Status, d.StatusDescription)}
	case needsPromotion(d):
		m.live.line("%s the canaries are healthy: \"drover deployment promote %s\" replaces the old version", m.e.out.green("==>"), short(d.ID))
		return true, nil
	}
	return false, nil
}

// allStarted is the outcome of jobs without a deployment, and of what could be
// placed when something could not.
func (m *monitor) allStarted(partly bool) (done bool, err error) {
	failed := 0
	for _, a := range m.stubs {
		wanted := a.DesiredStatus == api.AllocDesiredRun
		switch {
		case wanted && a.ClientStatus == api.AllocClientPending,
			wanted && a.ClientStatus == api.AllocClientRunning && time.Since(m.allocs[a.ID].ran) < settled:
			return false, nil
		case a.ClientStatus == api.AllocClientFailed && a.NextAllocation == "":
			failed++
		}
	}
	if failed > 0 {
		return true, &exit{exitUnplaced, api.Errorf(api.CodeConflict, "%s failed: see \"drover alloc status ID\"", plural(failed, "allocation"))}
	}
	switch {
	case len(m.stubs) > 0 && partly:
		m.live.line("%s only a part is placed", m.e.out.yellow("==>"))
	case len(m.stubs) > 0:
		m.live.line("%s started in %s", m.e.out.green("==>"), m.took())
	}
	return true, nil
}

func (m *monitor) took() string {
	d := time.Since(m.started)
	if d < 10*time.Second {
		return d.Round(time.Millisecond).String()
	}
	return brief(d)
}

// needsPromotion reports whether a deployment waits for its user.
func needsPromotion(d *api.Deployment) bool {
	waits := false
	for _, s := range d.TaskGroups {
		if s.DesiredCanaries == 0 || s.Promoted {
			continue
		}
		if s.AutoPromote || s.HealthyAllocs < s.DesiredCanaries {
			return false
		}
		waits = true
	}
	return waits
}

// tellDeployment prints a deployment's progress where lines are all there is.
func (m *monitor) tellDeployment() {
	if m.live.st.tty {
		return
	}
	parts := []string{m.deployment.Status}
	for _, g := range keys(m.deployment.TaskGroups) {
		parts = append(parts, groupProgress(g, m.deployment.TaskGroups[g]))
	}
	if text := strings.Join(parts, "; "); text != m.told {
		m.told = text
		m.live.line("    deployment %s: %s", idText(m.deployment.ID, m.verbose), text)
	}
}

func groupProgress(name string, s *api.DeploymentState) string {
	text := fmt.Sprintf("%s %d of %d healthy", name, s.HealthyAllocs, s.DesiredTotal)
	if s.UnhealthyAllocs > 0 {
		text += fmt.Sprintf(", %d unhealthy", s.UnhealthyAllocs)
	}
	return text
}

var spinner = [...]string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

// board is the block under the lines: one row for each group of the
// deployment, or the count of what has started.
func (m *monitor) board() []string {
	turn := m.e.out.cyan(spinner[m.frame%len(spinner)])
	if d := m.deployment; d != nil {
		out := []string{fmt.Sprintf("  %s deployment %s  %s  %s", turn, short(d.ID), m.e.out.state(d.Status), m.e.out.dim(brief(time.Since(m.started))))}
		for _, g := range keys(d.TaskGroups) {
			s := d.TaskGroups[g]
			out = append(out, fmt.Sprintf("    %s %s", bar(m.e.out, s), groupProgress(g, s)))
		}
		return out
	}
	count := map[string]int{}
	for _, a := range m.stubs {
		count[a.ClientStatus]++
	}
	var parts []string
	for _, k := range keys(count) {
		parts = append(parts, fmt.Sprintf("%d %s", count[k], m.e.out.state(k)))
	}
	if len(parts) == 0 {
		parts = []string{m.e.out.dim("waiting for allocations")}
	}
	return []string{fmt.Sprintf("  %s %s", turn, strings.Join(parts, ", "))}
}

const barWidth = 20

// bar draws how much of a group is healthy.
func bar(st style, s *api.DeploymentState) string {
	total := max(s.DesiredTotal, s.DesiredCanaries, 1)
	good := min(s.HealthyAllocs*barWidth/total, barWidth)
	bad := min(s.UnhealthyAllocs*barWidth/total, barWidth-good)
	return st.green(strings.Repeat("█", good)) + st.red(strings.Repeat("█", bad)) + st.dim(strings.Repeat("░", barWidth-good-bad))
}
