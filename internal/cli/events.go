package cli

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

type eventsOptions struct {
	json    bool
	verbose bool
	topics  listFlag
	index   uint64
	backlog bool
	limit   int
}

func eventsVerb() *verb {
	var o eventsOptions
	return &verb{
		name: "events", args: "[options]",
		short: "Show what happens, as it happens",
		long: `Shows one line per event: when an evaluation, allocation, job, deployment or node changes, how, and by what kind of change.
It goes on until it is interrupted. When the connection breaks off it connects again and goes on after the last index it has seen, so
that no event is lost or shown twice; if the server no longer keeps some of them, a line says which are missing.

-json prints the stream's own lines instead, one JSON object per index. With -namespace '*' it shows every namespace you may read.`,
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&o.json, "json", false, "print the stream's JSON lines")
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs")
			fs.Var(&o.topics, "topic", "only `TOPIC`, or TOPIC:KEY for one object (an ID, or a job's name for what belongs to it); may be given several times")
			fs.Uint64Var(&o.index, "index", 0, "begin with what happened at index `N`, if it is still kept")
			fs.BoolVar(&o.backlog, "backlog", false, "begin with the oldest event that is kept")
			fs.IntVar(&o.limit, "limit", 0, "end after `N` events")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runEvents(ctx, e, &o, args) },
	}
}

// reconnectEvery is how long to wait between attempts to go on with a stream.
const reconnectEvery = time.Second

func runEvents(ctx context.Context, e *env, o *eventsOptions, args []string) error {
	if err := none(args); err != nil {
		return err
	}
	opts := api.EventOptions{Index: o.index, Now: o.index == 0 && !o.backlog, Topics: map[api.Topic][]string{}}
	for _, t := range o.topics {
		name, key, found := strings.Cut(t, ":")
		if !found {
			key = api.EventKeyAll
		}
		opts.Topics[api.Topic(name)] = append(opts.Topics[api.Topic(name)], key)
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	left := o.limit
	for first := true; ; first = false {
		err := e.eventStream(ctx, c, o, &opts, &left, first)
		if err == nil || ctx.Err() != nil || api.ErrorCode(err) != api.CodeUnavailable || first && !e.opened {
			return err
		}
		e.note("%s %s", e.err.yellow("Note:"), visible(err.Error()))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(reconnectEvery):
		}
	}
}

// eventStream shows one stream until it breaks off or the limit is reached,
// and notes in opts where to go on. The first connection must succeed.
func (e *env) eventStream(ctx context.Context, c *client.Client, o *eventsOptions, opts *api.EventOptions, left *int, first bool) error {
	s, err := c.EventStream(ctx, *opts)
	if err != nil {
		if first {
			e.opened = true
			return &exit{exitFailed, err}
		}
		return err
	}
	defer func() { _ = s.Close() }()
	for {
		events, err := s.Next()
		if err != nil {
			return err
		}
		opts.Index, opts.Now = events.Index+1, false
		if o.json {
			if err := json.NewEncoder(e.Out).Encode(events); err != nil {
				return err
			}
		}
		if events.Gap != nil && !o.json {
			e.say("%s events of index %d to %d are missing: %s", e.out.red("gap"), events.Gap.From, events.Gap.To, visible(events.Gap.Reason))
		}
		for i := range events.Events {
			if !o.json {
				e.say("%s", e.eventLine(&events.Events[i], o.verbose))
			}
			if *left--; *left == 0 {
				return nil
			}
		}
	}
}

// eventLine is one event for people: index, topic, object, what it is now and
// which kind of change that was.
func (e *env) eventLine(ev *api.Event, verbose bool) string {
	key := visible(ev.Key)
	if _, ok := api.ParseID(ev.Key); ok {
		key = idText(ev.Key, verbose)
	}
	if ev.Namespace != "" && ev.Namespace != api.DefaultNamespace {
		key += " (" + visible(ev.Namespace) + ")"
	}
	return fmt.Sprintf("%s  %s  %s  %s  %s", e.out.dim(fmt.Sprintf("%6d", ev.Index)), e.out.cyan(fmt.Sprintf("%-10s", ev.Topic)),
		e.out.bold(key), e.eventState(ev), e.out.dim(visible(ev.Type)))
}

// eventState says in a few words what an object is now.
func (e *env) eventState(ev *api.Event) string {
	var p struct {
		Job        *api.Job
		Evaluation *api.Evaluation
		Allocation *api.Allocation
		Deployment *api.Deployment
		Node       *api.Node
		Deleted    bool
	}
	if err := json.Unmarshal(ev.Payload, &p); err != nil {
		return ""
	}
	state := func(status string) string { return e.out.state(visible(status)) }
	switch {
	case p.Job != nil && p.Deleted:
		return e.out.dim("purged")
	case p.Job != nil && p.Job.Stop:
		return fmt.Sprintf("version %d %s, stopped", p.Job.Version, state(p.Job.Status))
	case p.Job != nil:
		return fmt.Sprintf("version %d %s", p.Job.Version, state(p.Job.Status))
	case p.Evaluation != nil:
		return fmt.Sprintf("of %s (%s) %s", visible(p.Evaluation.JobID), visible(p.Evaluation.TriggeredBy), state(p.Evaluation.Status))
	case p.Allocation != nil:
		a := p.Allocation
		text := fmt.Sprintf("%s on %s, wanted %s, is %s", visible(a.Name), visible(a.NodeName), visible(a.DesiredStatus), state(a.ClientStatus))
		if latest := latestTaskEvent(a); latest != "" {
			text += ": " + visible(latest)
		}
		return text
	case p.Deployment != nil:
		return fmt.Sprintf("of %s %s", visible(p.Deployment.JobID), state(p.Deployment.Status))
	case p.Node != nil:
		return fmt.Sprintf("%s %s, %s", visible(p.Node.Name), state(p.Node.Status), state(p.Node.SchedulingEligibility))
	}
	return ""
}

// latestTaskEvent is what last happened to one of an allocation's tasks.
func latestTaskEvent(a *api.Allocation) string {
	var last *api.TaskEvent
	task := ""
	for name, s := range a.TaskStates {
		for _, ev := range s.Events {
			if last == nil || ev.Time > last.Time || ev.Time == last.Time && name < task {
				last, task = ev, name
			}
		}
	}
	if last == nil {
		return ""
	}
	return task + " " + last.Type
}
