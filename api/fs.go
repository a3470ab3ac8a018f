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

// HeaderLogStart says where the answer to a request for a log begins:
// <number of the file>:<byte in it>. With the files and lengths of the frames
// a reader knows where it stands, and can go on there with the parameter
// "from", whatever rotation has removed meanwhile.
const HeaderLogStart = "X-Drover-Log-Start"

// File events of a StreamFrame. In a log FileDeleted comes when rotation removed
// the file before it was read to its end: bytes are missing there.
const (
	FileDeleted   = "file deleted"
	FileTruncated = "file truncated"
)
