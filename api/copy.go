package api

// AllocCopyResponse tells what was copied into an allocation.
type AllocCopyResponse struct {
	Files   int
	Bytes   int64
	Skipped []string `json:",omitempty"` // links that lead out and special files: the first few
}
