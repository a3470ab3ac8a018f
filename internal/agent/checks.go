package agent

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
	"github.com/drover-org/drover/internal/agent/check"
)

// maxProbes is how many checks of a node ask at the same time: enough that
// slow ones don't hold up the others, few enough for a small machine.
const maxProbes = 64

// check resolves the i-th check of a service of a task, or of the group, whose
// addresses are those of the task in.
func (r *resolver) check(o *offer, s *api.Service, i int, in string, expand func(string) string) {
	c := *s.Checks[i]
	c.Name, c.PortLabel, c.Path, c.Command, c.Method = expand(c.Name), expand(c.PortLabel), expand(c.Path), expand(c.Command), expand(c.Method)
	c.Body, c.Protocol, c.TLSServerName, c.GRPCService = expand(c.Body), expand(c.Protocol), expand(c.TLSServerName), expand(c.GRPCService)
	c.Args = expandAll(c.Args, expand)
	header := make(map[string][]string, len(c.Header))
	for name, values := range c.Header {
		header[name] = expandAll(values, expand)
	}
	label := cmp.Or(c.PortLabel, expand(s.PortLabel))
	mode := cmp.Or(c.AddressMode, "host")
	if _, err := strconv.Atoi(label); err == nil && c.AddressMode == "" {
		mode = s.AddressMode // the number is one of the service's network
	}
	host, port, ok := r.address(in, mode, label)
	address := net.JoinHostPort(host, strconv.Itoa(port))

	spec := &check.Spec{
		Service: o.service.Name, Name: c.Name, Group: r.alloc.TaskGroup, Task: o.task, OnUpdate: c.OnUpdate, Initial: c.InitialStatus,
		Interval: c.Interval.D(), Timeout: c.Timeout.D(), Restarts: cmp.Or(o.task, c.TaskName, s.TaskName),
		Rule: check.Rule{
			SuccessBeforePassing: c.SuccessBeforePassing, FailuresBeforeWarning: c.FailuresBeforeWarning, FailuresBeforeCritical: c.FailuresBeforeCritical,
		},
	}
	if cr := c.CheckRestart; cr != nil {
		spec.Rule.RestartAfter, spec.Rule.IgnoreWarnings = cr.Limit, cr.IgnoreWarnings
		if cr.Grace != nil {
			spec.Rule.Grace = cr.Grace.D()
		}
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{o.service.ID, strconv.Itoa(i), c.Name}, "\x00")))
	spec.ID = hex.EncodeToString(sum[:16])
	spec.Key = fmt.Sprintf("%s %+v %+v %+v", address, c, header, spec.Rule)
	trust := check.TLS{SkipVerify: c.TLSSkipVerify, ServerName: c.TLSServerName}
	switch {
	case c.Type == api.CheckScript:
		name := spec.Restarts
		o.scripts[spec.ID] = name
		spec.Probe = check.Script(append([]string{c.Command}, c.Args...), r.exec(name))
	case !ok:
		spec.Probe = func(context.Context) check.Answer {
			return check.Answer{Level: check.Critical, Output: "the task has no address of its own, which AddressMode " + mode + " asks for"}
		}
	case c.Type == api.CheckHTTP:
		url := cmp.Or(c.Protocol, "http") + "://" + address + "/" + strings.TrimPrefix(c.Path, "/")
		spec.Probe = check.HTTP(check.HTTPRequest{Method: cmp.Or(c.Method, http.MethodGet), URL: url, Header: header, Body: c.Body, TLS: trust})
	case c.Type == api.CheckGRPC:
		spec.Probe = check.GRPC(address, c.GRPCService, c.GRPCUseTLS, trust)
	default:
		spec.Probe = check.TCP(address)
	}
	o.checks = append(o.checks, spec)
}

// script returns what runs a command in a task.
func (r *runner) script(name string) check.Exec {
	return func(ctx context.Context, command []string, out io.Writer) (int, error) {
		t := r.task(name)
		if t == nil {
			return 0, fmt.Errorf("there is no task %q", name)
		}
		res, err := t.Exec(ctx, &driver.ExecOptions{Command: command, Stdout: out, Stderr: out})
		if err != nil {
			return 0, err
		}
		return res.ExitCode, nil
	}
}

// restartFor restarts what a check says does not work: its task or the one it
// names, or else the main tasks of its group.
func (r *runner) restartFor(_ context.Context, s *check.Spec, reason string) {
	names := []string{s.Restarts}
	if s.Restarts == "" {
		names = nil
		for _, v := range r.views() {
			if v.role() == roleMain && v.serving {
				names = append(names, v.name)
			}
		}
	}
	for _, name := range names {
		if t := r.task(name); t != nil {
			t.RestartFailing(reason)
		}
	}
}

// checkView is what health needs to know of a check.
type checkView struct {
	name    string
	service string
	healthy bool
	since   time.Time
	output  string
	asked   bool
}

// checkViews describes the checks that a rollout waits for.
func (r *runner) checkViews() []checkView {
	r.mu.Lock()
	specs := r.specs
	r.mu.Unlock()
	states := r.checks.States()
	var list []checkView
	for _, s := range specs {
		if s.OnUpdate == api.OnUpdateIgnore {
			continue
		}
		st := states[s.ID]
		list = append(list, checkView{
			name: s.Name, service: s.Service, healthy: st.Level.Healthy(s.OnUpdate), since: st.Since, output: st.Brief(), asked: !st.At.IsZero(),
		})
	}
	return list
}

// ill tells why an allocation is not healthy by its deadline: the first task or
// check that is not.
func ill(mode string, tasks []view, checks []checkView, least time.Duration) string {
	for i := range tasks {
		if v := &tasks[i]; v.role() == roleMain && v.state.State != api.TaskStateRunning {
			return fmt.Sprintf("task %q is %s at the healthy deadline", v.name, v.state.State)
		}
	}
	if mode == api.HealthCheckChecks {
		for _, c := range checks {
			switch {
			case c.healthy:
			case !c.asked:
				return fmt.Sprintf("check %q of service %q has not answered by the healthy deadline", c.name, c.service)
			default:
				return fmt.Sprintf("check %q of service %q fails at the healthy deadline: %s", c.name, c.service, c.output)
			}
		}
	}
	return fmt.Sprintf("not healthy for the minimum of %s by the healthy deadline", least)
}

// unhealthy notes at the tasks why the allocation is unhealthy.
func (l *loop) unhealthy(reason string) {
	for _, name := range l.r.taskNames() {
		if t := l.r.task(name); t.State().State != api.TaskStateDead {
			t.Note(api.NewTaskEvent(api.EventAllocUnhealthy, l.r.a.cfg.Now(), api.DetailMessage, reason))
		}
	}
}

// newChecks makes the set of a runner's checks.
func (r *runner) newChecks() *check.Set {
	c := &r.a.cfg
	return check.NewSet(check.Config{
		Now: c.Now, After: time.After, Rand: c.Rand, Slots: r.a.probes, Changed: r.nudge, Restart: r.restartFor,
	})
}

// checkResults serves what the node knows of an allocation's checks.
func (a *Agent) checkResults(req *http.Request) (any, error) {
	r, err := a.find(req.PathValue("id"))
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	specs := slices.Clone(r.specs)
	r.mu.Unlock()
	return r.checks.Results(specs), nil
}
