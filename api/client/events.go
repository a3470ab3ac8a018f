package client

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/drover-org/drover/api"
)

// EventStream are the events that an agent tells, until Close.
type EventStream struct {
	ctx  context.Context
	body io.ReadCloser
	dec  *json.Decoder
}

// EventStream opens a stream of events. To go on after a stream broke off,
// open one whose Index is one more than that of the last Events taken: none is
// lost or doubled, or a gap says which are missing.
func (c *Client) EventStream(ctx context.Context, opts api.EventOptions) (*EventStream, error) {
	params := url.Values{}
	if opts.Region != "" {
		params.Set("region", opts.Region)
	}
	if opts.Namespace != "" {
		params.Set("namespace", opts.Namespace)
	}
	switch {
	case opts.Now:
		params.Set("index", "now")
	case opts.Index > 0:
		params.Set("index", strconv.FormatUint(opts.Index, 10))
	}
	for topic, keys := range opts.Topics {
		for _, key := range keys {
			params.Add("topic", string(topic)+":"+key)
		}
	}
	if opts.Token != "" {
		c = c.with(opts.Token)
	}
	resp, err := c.open(ctx, http.MethodGet, "/v1/event/stream", params, nil, nil)
	if err != nil {
		return nil, err
	}
	return &EventStream{ctx: ctx, body: resp.Body, dec: json.NewDecoder(resp.Body)}, nil
}

// Next waits for the next events or gap. The error is ctx's or says that the
// stream broke off, as it does when the token lost a right.
func (s *EventStream) Next() (*api.Events, error) {
	for {
		e := &api.Events{}
		if err := s.dec.Decode(e); err != nil {
			if s.ctx.Err() != nil {
				return nil, s.ctx.Err()
			}
			return nil, api.Errorf(api.CodeUnavailable, "the event stream broke off: %w", err)
		}
		if e.Gap != nil || len(e.Events) > 0 {
			return e, nil
		}
	}
}

// Close ends the stream.
func (s *EventStream) Close() error { return s.body.Close() }
