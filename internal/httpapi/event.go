package httpapi

import (
	"bytes"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

func (a *routes) eventRoutes() []web.Route {
	return []web.Route{{
		Methods: "GET", Pattern: "/v1/event/stream", Raw: http.HandlerFunc(a.streamEvents),
		Needs: web.Region(api.CapManagement), // for all topics; for single ones see docs/api/events.md
	}}
}

const (
	eventHeartbeat = 30 * time.Second // proxies cut what is silent for longer
	eventDeadline  = 40 * time.Second // for one write: then the reader is gone, or as good as
)

// streamEvents serves the event stream: one JSON object per line, or for who
// accepts text/event-stream Server-Sent Events. Nothing is written before the
// caller's rights are known.
func (a *routes) streamEvents(w http.ResponseWriter, r *http.Request) {
	sse := acceptsSSE(r)
	opts, err := eventOptions(r, sse)
	if err != nil {
		web.WriteError(w, err)
		return
	}
	next, stop, err := a.Server.Events(r.Context(), opts)
	if err != nil {
		web.WriteError(w, err)
		return
	}
	defer stop()
	out := &eventWriter{w: w, control: http.NewResponseController(w), sse: sse}
	if out.begin() != nil {
		return
	}
	for tick := a.after(eventHeartbeat); ; {
		line, err := next(tick)
		if err != nil {
			return
		}
		if len(line.Events) == 0 && line.Gap == nil {
			tick = a.after(eventHeartbeat)
			err = out.heartbeat(line.Index)
		} else {
			err = out.line(line)
		}
		if err != nil {
			return
		}
	}
}

// after is Config.After or the real clock.
func (a *routes) after(d time.Duration) <-chan time.Time {
	if a.After != nil {
		return a.After(d)
	}
	return time.After(d)
}

func acceptsSSE(r *http.Request) bool {
	for _, accept := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(accept, ",") {
			if kind, _, err := mime.ParseMediaType(part); err == nil && kind == "text/event-stream" {
				return true
			}
		}
	}
	return false
}

// eventOptions reads what a stream is to show. A browser that reconnects says
// where it was in Last-Event-ID.
func eventOptions(r *http.Request, sse bool) (api.EventOptions, error) {
	p := web.ParamsOf(r)
	opts := api.EventOptions{Region: p.String("region"), Namespace: p.Namespace(), Token: web.Token(r)}
	if p.String("index") == "now" {
		opts.Now = true
	} else {
		opts.Index = p.Uint64("index")
	}
	if err := p.Err(); err != nil {
		return opts, err
	}
	if last := r.Header.Get("Last-Event-ID"); sse && last != "" {
		n, err := strconv.ParseUint(last, 10, 63)
		if err != nil {
			return opts, api.Errorf(api.CodeInvalid, "header Last-Event-ID is %q: it must be the index that came last", last)
		}
		opts.Index, opts.Now = n+1, false
	}
	topics, err := eventTopics(r.URL.Query()["topic"])
	opts.Topics = topics
	return opts, err
}

// maxEventTopics bounds the topics and keys of one stream: each is compared
// with every event.
const maxEventTopics = 256

// eventTopics reads topic parameters, Topic or Topic:key. None means all.
func eventTopics(params []string) (map[api.Topic][]string, error) {
	if len(params) == 0 {
		return map[api.Topic][]string{api.TopicAll: {api.EventKeyAll}}, nil
	}
	if len(params) > maxEventTopics {
		return nil, api.Errorf(api.CodeInvalid, "Invalid topic query: %d topics are more than the %d that one stream may have", len(params), maxEventTopics)
	}
	out := map[api.Topic][]string{}
	for _, param := range params {
		name, key, found := strings.Cut(param, ":")
		if !found {
			key = api.EventKeyAll
		}
		if name == "" || key == "" {
			return nil, api.Errorf(api.CodeInvalid, "Invalid topic query %q: write it as Topic or Topic:key, like Job or Job:web", param)
		}
		if strings.HasPrefix(key, ":") { // "Topic::key" is a slip, and no object's name begins like that
			return nil, api.Errorf(api.CodeInvalid, "Invalid key value pair %q for topic: write it as Topic:key, like Job:web", param)
		}
		if !slices.Contains(api.Topics(), api.Topic(name)) {
			return nil, api.Errorf(api.CodeInvalid, "Invalid topic query %q: the topics are %s", param, topicNames())
		}
		if t := api.Topic(name); !slices.Contains(out[t], key) {
			out[t] = append(out[t], key)
		}
	}
	return out, nil
}

func topicNames() string {
	var names []string
	for _, t := range api.Topics() {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}

// eventWriter writes a stream in one of its two forms.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	sse     bool
	buf     bytes.Buffer
}

// begin writes the head and a first sign of life.
func (o *eventWriter) begin() error {
	h := o.w.Header()
	h.Set("Content-Type", "application/json")
	if o.sse {
		h.Set("Content-Type", "text/event-stream")
		h.Set("X-Accel-Buffering", "no") // proxies that would wait for more
	}
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	return o.heartbeat(0)
}

// heartbeat says that the stream lives, to a browser also where it would go
// on: up to index there was nothing more to show.
func (o *eventWriter) heartbeat(index uint64) error {
	o.buf.Reset()
	switch {
	case !o.sse:
		o.buf.WriteString("{}\n")
	case index == 0:
		o.buf.WriteString(":\n\n")
	default:
		o.buf.WriteString("id: " + strconv.FormatUint(index, 10) + "\n\n")
	}
	return o.flush()
}

func (o *eventWriter) line(e *api.RawEvents) error {
	o.buf.Reset()
	if o.sse {
		if e.Gap != nil {
			o.buf.WriteString("event: gap\n")
		}
		o.buf.WriteString("id: ")
		o.buf.WriteString(strconv.FormatUint(e.Index, 10))
		o.buf.WriteString("\ndata: ")
	}
	o.buf.WriteString(`{"Index":`)
	o.buf.WriteString(strconv.FormatUint(e.Index, 10))
	o.buf.WriteString(`,"Events":[`)
	for i, text := range e.Events {
		if i > 0 {
			o.buf.WriteByte(',')
		}
		o.buf.Write(text)
	}
	o.buf.WriteByte(']')
	if e.Gap != nil {
		o.buf.WriteString(`,"Gap":`)
		if err := web.EncodeJSON(&o.buf, e.Gap); err != nil {
			return err
		}
	}
	o.buf.WriteString("}\n")
	if o.sse {
		o.buf.WriteByte('\n')
	}
	return o.flush()
}

// maxEventBuffer is what a stream keeps for its next line.
const maxEventBuffer = 64 << 10

func (o *eventWriter) flush() error {
	if err := o.control.SetWriteDeadline(time.Now().Add(eventDeadline)); err != nil && !isUnsupported(err) {
		return err
	}
	if _, err := o.w.Write(o.buf.Bytes()); err != nil {
		return err
	}
	if o.buf.Cap() > maxEventBuffer {
		o.buf = bytes.Buffer{}
	}
	return o.control.Flush()
}

// isUnsupported reports that a connection has no deadlines: one in memory.
func isUnsupported(err error) bool { return errors.Is(err, http.ErrNotSupported) }
