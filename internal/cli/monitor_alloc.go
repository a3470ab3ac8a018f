package cli

import (
	"bufio"
	"context"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

const (
	tailLines   = 10              // of a failing task's log
	tailBytes   = 8 << 10         // read for them
	tailTimeout = 3 * time.Second // the report must not wait for a lost node
)

// tellAllocs prints what is new in the allocations.
func (m *monitor) tellAllocs(ctx context.Context) {
	sort.SliceStable(m.stubs, func(i, j int) bool { return m.stubs[i].CreateIndex < m.stubs[j].CreateIndex })
	for _, a := range m.stubs {
		s := m.allocs[a.ID]
		if s == nil {
			s = &seenAlloc{events: map[string]int64{}, logged: map[string]bool{}, quiet: !m.verbose && len(m.allocs) >= maxAllocLines}
			m.allocs[a.ID] = s
			if !s.quiet {
				m.live.line("    allocation %s %s on node %s%s", m.allocName(a), m.e.out.dim("placed"), a.NodeName, successor(a))
			} else if m.hidden++; m.hidden == 1 {
				m.live.line("    %s", m.e.out.dim("… more allocations; only their failures are shown (-verbose shows all)"))
			}
		}
		for _, task := range keys(a.TaskStates) {
			m.tellEvents(ctx, a, task, s)
		}
		if a.ClientStatus != s.status {
			bad := a.ClientStatus == api.AllocClientFailed || a.ClientStatus == api.AllocClientLost
			if a.ClientStatus != api.AllocClientPending && (!s.quiet || bad) {
				m.live.line("    allocation %s %s", m.allocName(a), m.e.out.state(a.ClientStatus))
			}
			if s.status = a.ClientStatus; s.ran.IsZero() && s.status == api.AllocClientRunning {
				s.ran = time.Now()
			}
		}
	}
}

func (m *monitor) allocName(a *api.AllocListStub) string {
	return m.e.out.bold(idText(a.ID, m.verbose)) + " (" + a.TaskGroup + ")"
}

func successor(a *api.AllocListStub) string {
	if a.PreviousAllocation == "" {
		return ""
	}
	return ", replaces " + short(a.PreviousAllocation)
}

// tellEvents prints a task's new events that matter to somebody who waits.
func (m *monitor) tellEvents(ctx context.Context, a *api.AllocListStub, task string, s *seenAlloc) {
	state := a.TaskStates[task]
	for _, ev := range state.Events {
		if ev.Time <= s.events[task] {
			continue
		}
		s.events[task] = ev.Time
		bad := failing(ev)
		if !bad && (s.quiet || !m.worthTelling(ev)) {
			continue
		}
		text := ev.Type + ": " + visible(ev.DisplayMessage())
		if bad {
			text = m.e.out.red(text)
		}
		m.live.line("    allocation %s task %q: %s", m.e.out.bold(idText(a.ID, m.verbose)), task, text)
		if bad && !s.logged[task] && ev.Type == api.EventTerminated {
			s.logged[task] = true
			m.tail(ctx, a, task)
		}
	}
}

// failing reports whether an event tells of something going wrong.
func failing(ev *api.TaskEvent) bool {
	switch ev.Type {
	case api.EventDriverFailure, api.EventSetupFailure, api.EventFailedValidation, api.EventFailedArtifactDownload,
		api.EventNotRestarting, api.EventHookFailed, api.EventFailedRestoring, api.EventSiblingFailed, api.EventDiskResourcesExceeded,
		api.EventAllocUnhealthy:
		return true
	case api.EventRestartSignaled:
		return strings.HasPrefix(ev.Details[api.DetailRestartReason], "check_restart:")
	case api.EventTerminated:
		d := ev.Details
		code, sig := d[api.DetailExitCode], d[api.DetailSignal]
		return code != "" && code != "0" || sig != "" && sig != "0" || d[api.DetailOOMKilled] == "true"
	}
	return ev.FailsTask()
}

func (m *monitor) worthTelling(ev *api.TaskEvent) bool {
	switch ev.Type {
	case api.EventDriver, api.EventRestarting, api.EventDownloadingArtifacts:
		return true
	}
	return m.verbose
}

// tail shows the last lines that a failed task wrote.
func (m *monitor) tail(ctx context.Context, a *api.AllocListStub, task string) {
	ctx, cancel := context.WithTimeout(ctx, tailTimeout)
	defer cancel()
	for _, kind := range []string{client.Stderr, client.Stdout} {
		lines := lastLines(ctx, m.c, a.ID, task, kind)
		if len(lines) == 0 {
			continue
		}
		m.live.line("      %s", m.e.out.dim(fmt.Sprintf("last lines of %s:", kind)))
		for _, l := range lines {
			m.live.line("      %s %s", m.e.out.dim("│"), visible(l))
		}
	}
}

// lastLines reads the end of a log; nothing when it can't be had, for it is
// only the illustration of a failure that has been told already.
func lastLines(ctx context.Context, c *client.Client, alloc, task, kind string) []string {
	st, err := c.FS().Logs(ctx, alloc, task, kind, client.StreamOptions{Origin: client.FromEnd, Offset: tailBytes})
	if err != nil {
		return nil
	}
	defer func() { _ = st.Close() }()
	var lines []string
	sc := bufio.NewScanner(st)
	for sc.Scan() {
		lines = append(lines, strings.TrimRight(sc.Text(), "\r"))
		if len(lines) > tailLines {
			lines = lines[1:]
		}
	}
	return lines
}
