package api

import "time"

// AllocFileInfo is a file of an allocation.
type AllocFileInfo struct {
	Name        string
	IsDir       bool
	Size        int64
	FileMode    string
	ModTime     time.Time
	ContentType string `json:",omitempty"`
}

// StreamFrame is a piece of a streamed file; an empty frame is a heartbeat.
type StreamFrame struct {
	Offset    int64  `json:",omitempty"`
	Data      []byte `json:",omitempty"`
	File      string `json:",omitempty"`
	FileEvent string `json:",omitempty"`
}

// File events of a StreamFrame.
const (
	FileDeleted   = "file deleted"
	FileTruncated = "file truncated"
)
