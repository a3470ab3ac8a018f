package api

import (
	"crypto/sha256"
	"io"
)

// SavedState is a file of the whole state of a region. Who reads it closes it.
type SavedState struct {
	File   io.ReadCloser // at its beginning
	Size   int64
	Digest [sha256.Size]byte
	Index  uint64 // of the state
}
