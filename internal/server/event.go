package server

import (
	"context"
	"encoding/json"
	"slices"
	"sync/atomic"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/events"
)

// topicRights are the rights that topics need; namespaced ones in the
// namespace of the event. A topic that is not named, and api.TopicAll, needs
// CapManagement.
var topicRights = map[api.Topic]struct {
	right      api.Capability
	namespaced bool
}{
	api.TopicJob:        {api.CapReadJob, true},
	api.TopicEvaluation: {api.CapReadJob, true},
	api.TopicAllocation: {api.CapReadJob, true},
	api.TopicDeployment: {api.CapReadJob, true},
	api.TopicService:    {api.CapReadJob, true},
	api.TopicHostVolume: {api.CapHostVolumeRead, true},
	api.TopicCSIVolume:  {api.CapCSIReadVolume, true},
	api.TopicCSIPlugin:  {api.CapReadJob, true},
	api.TopicNode:       {api.CapNodeRead, false},
	api.TopicOperator:   {api.CapOperatorRead, false},
}

// Events opens a stream of events. next returns the events of the next index
// that has any to show, or a gap, or when tick fires first neither, with the
// index up to which there was nothing more. Its error ends the stream: the
// caller went or lost a right. stop must be called. Whoever lacks a right for
// one of the topics gets no stream.
func (s *Server) Events(ctx context.Context, opts api.EventOptions) (next func(tick <-chan time.Time) (*api.RawEvents, error), stop func(), err error) {
	if err := s.checkRegion(opts.Region); err != nil {
		return nil, nil, err
	}
	var filter atomic.Pointer[eventFilter]
	ctx, cancel, err := s.While(ctx, opts.Token, func(ctx context.Context) error {
		f, err := s.eventFilter(ctx, opts)
		if err == nil {
			filter.Store(f)
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if s.cfg.Events == nil {
		cancel()
		return nil, nil, api.Errorf(api.CodeUnsupported, "this server keeps no events: set server.enable_event_broker = true")
	}
	current := s.store.Snapshot().Index()
	if opts.Now {
		opts.Index = current + 1
	}
	sub, err := s.cfg.Events.Subscribe(opts.Index, current)
	if err != nil {
		cancel()
		return nil, nil, err
	}
	next = func(tick <-chan time.Time) (*api.RawEvents, error) {
		for {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			batch, gap := sub.Take()
			switch {
			case gap != nil:
				return &api.RawEvents{Index: gap.To, Gap: gap}, nil
			case batch != nil:
				out, err := filter.Load().apply(ctx, batch)
				if err != nil || len(out.Events) > 0 {
					return out, err
				}
			default:
				select {
				case <-sub.Ready():
				case <-tick:
					return &api.RawEvents{Index: sub.Seen()}, nil
				case <-ctx.Done():
				}
			}
		}
	}
	return next, func() { sub.Close(); cancel() }, nil
}

// eventFilter is what one stream shows.
type eventFilter struct {
	server *Server
	opts   api.EventOptions
	all    bool                // the token may see everything
	may    map[eventScope]bool // what was asked already, with api.AllNamespaces
}

type eventScope struct {
	right     api.Capability
	namespace string
}

// eventFilter checks the rights that a stream needs to be opened and to go on.
// With api.AllNamespaces one namespace must be allowed; the others are asked
// for when there is an event of theirs.
func (s *Server) eventFilter(ctx context.Context, opts api.EventOptions) (*eventFilter, error) {
	f := &eventFilter{server: s, opts: opts, may: map[eventScope]bool{}}
	if f.all = s.authorize(ctx, opts.Token, api.CapManagement, "") == nil; f.all {
		return f, nil
	}
	for topic := range opts.Topics {
		t, ok := topicRights[topic]
		var err error
		switch {
		case !ok:
			err = s.authorize(ctx, opts.Token, api.CapManagement, "")
		case !t.namespaced:
			err = s.authorize(ctx, opts.Token, t.right, "")
		case opts.Namespace != api.AllNamespaces:
			err = s.authorize(ctx, opts.Token, t.right, opts.Namespace)
		default:
			err = s.anyNamespace(ctx, opts.Token, t.right)
		}
		if err != nil {
			return nil, err
		}
	}
	return f, nil
}

// anyNamespace returns nil when a right is there in some namespace.
func (s *Server) anyNamespace(ctx context.Context, token string, c api.Capability) error {
	names := []string{api.DefaultNamespace} // its error is the one to tell
	for ns := range s.store.Snapshot().Namespaces("", false) {
		names = append(names, ns.Name)
	}
	var first error
	for _, name := range slices.Compact(names) {
		err := s.authorize(ctx, token, c, name)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// apply returns the events of a batch that are to be shown.
func (f *eventFilter) apply(ctx context.Context, batch *events.Batch) (*api.RawEvents, error) {
	out := &api.RawEvents{Index: batch.Index}
	for _, e := range batch.Events() {
		if !f.asked(e) || !f.allowed(ctx, e) {
			continue
		}
		text, err := e.JSON()
		if err != nil {
			return nil, err
		}
		out.Events = append(out.Events, json.RawMessage(text))
	}
	return out, nil
}

// asked reports whether the stream is about an event.
func (f *eventFilter) asked(e *events.Event) bool {
	return slices.ContainsFunc(f.opts.Topics[e.Topic], e.Matches) || slices.ContainsFunc(f.opts.Topics[api.TopicAll], e.Matches)
}

// allowed reports whether an event is of a namespace that is to be shown.
func (f *eventFilter) allowed(ctx context.Context, e *events.Event) bool {
	if f.opts.Namespace != api.AllNamespaces {
		return e.Namespace == "" || e.Namespace == f.opts.Namespace
	}
	t, ok := topicRights[e.Topic]
	if f.all || ok && !t.namespaced {
		return true
	}
	if !ok {
		return false
	}
	at := eventScope{t.right, e.Namespace}
	may, known := f.may[at]
	if !known {
		may = f.server.authorize(ctx, f.opts.Token, t.right, e.Namespace) == nil
		f.may[at] = may
	}
	return may
}
