package client

import (
	"context"
	"net/url"
	"strconv"
)

// MonitorOptions say whose log is read, and what of it.
type MonitorOptions struct {
	Level    string // and above; empty: info
	NodeID   string // the agent of a node; with ServerID empty too: the agent that is asked
	ServerID string // a server by its name, or "leader"
	JSON     bool   // an object per line
	Location bool   // where in the program each line comes from
}

// Monitor reads the log of an agent from now on, until Close. A slow reader
// misses lines; one in their place says how many.
func (a Agent) Monitor(ctx context.Context, o MonitorOptions) (*Stream, error) {
	params := url.Values{}
	for name, value := range map[string]string{"log_level": o.Level, "node_id": o.NodeID, "server_id": o.ServerID} {
		if value != "" {
			params.Set(name, value)
		}
	}
	for name, value := range map[string]bool{"log_json": o.JSON, "log_include_location": o.Location} {
		if value {
			params.Set(name, strconv.FormatBool(value))
		}
	}
	return a.c.FS().stream(ctx, "/v1/agent/monitor", params)
}
