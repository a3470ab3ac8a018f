package api

// ExecInput is a frame from the caller of an exec session. An empty frame is
// a heartbeat.
type ExecInput struct {
	Stdin   *ExecStream   `json:"stdin,omitempty"`
	TTYSize *TerminalSize `json:"tty_size,omitempty"`
}

// ExecOutput is a frame to the caller of an exec session. The one with Exited
// is the last.
type ExecOutput struct {
	Stdout *ExecStream `json:"stdout,omitempty"`
	Stderr *ExecStream `json:"stderr,omitempty"`
	Exited bool        `json:"exited,omitempty"`
	Result *ExecResult `json:"result,omitempty"`
}

// ExecStream is data of one stream, its end, or both.
type ExecStream struct {
	Data  []byte `json:"data,omitempty"`
	Close bool   `json:"close,omitempty"`
}

// TerminalSize is in characters.
type TerminalSize struct {
	Height int `json:"height"`
	Width  int `json:"width"`
}

// ExecResult is how the command ended.
type ExecResult struct {
	ExitCode  int  `json:"exit_code"`
	Signal    int  `json:"signal,omitempty"`
	OOMKilled bool `json:"oom_killed,omitempty"`
}

// ExecHandshake is the first frame when ws_handshake is set.
type ExecHandshake struct {
	Version   int    `json:"version"`
	AuthToken string `json:"auth_token"`
}

// AttrIsolated names the attribute of a node that is set when a driver's tasks
// don't share the node's file system. Without it, a command in such a task
// takes alloc-node-exec.
func AttrIsolated(driver string) string { return "driver." + driver + ".isolated" }
