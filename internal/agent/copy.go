package agent

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/user"
	"path"
	"strconv"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/agent/allocdir"
	"github.com/drover-org/drover/internal/archive"
	"github.com/drover-org/drover/internal/web"
)

// Bounds of copies.
const (
	maxCopies      = 16        // at the same time on a node: each keeps a disk busy
	maxCopyEntries = 100_000   // files of one copy
	maxCopyOut     = 256 << 30 // bytes; more is a backup, for which there are tools
)

// copyOut sends a file or a directory of an allocation as a tar stream.
func (a *Agent) copyOut(w http.ResponseWriter, r *http.Request) {
	out := &lateWriter{w: w}
	if err := a.writeArchive(out, r); err != nil {
		if out.begun {
			panic(http.ErrAbortHandler) // half a copy must not look like a whole one
		}
		web.WriteError(w, err)
	}
}

func (a *Agent) writeArchive(w io.Writer, r *http.Request) error {
	run, err := a.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	name, err := pathParam(r)
	if err != nil {
		return err
	}
	if !a.copies.tryAcquire() {
		return errCopies
	}
	defer a.copies.release()
	parent, last, err := run.dir.Parent(name)
	if err != nil {
		return err
	}
	defer func() { _ = parent.Close() }()
	as, at := last, strings.TrimPrefix(path.Clean("/"+name), "/")
	if last == "." {
		as = run.id
	}
	hidden := func(below string) bool { return allocdir.Private(path.Join(at, below)) }
	_, err = archive.Write(r.Context(), w, parent, last, as, hidden, archive.Limits{Bytes: maxCopyOut, Entries: maxCopyEntries})
	if errors.Is(err, fs.ErrNotExist) {
		return api.Errorf(api.CodeNotFound, "path %q does not exist in the allocation", name)
	}
	return err
}

var errCopies = api.Errorf(api.CodeLimited, "%d copies are under way on this node, which is the most: try again later", maxCopies)

// lateWriter sets the headers of an archive when its first bytes come.
type lateWriter struct {
	w     http.ResponseWriter
	begun bool
}

func (l *lateWriter) Write(p []byte) (int, error) {
	if !l.begun {
		l.begun = true
		l.w.Header().Set("Content-Type", "application/x-tar")
		l.w.Header().Set("X-Content-Type-Options", "nosniff")
	}
	return l.w.Write(p)
}

// copyIn unpacks a tar stream in an allocation: into the directory that path
// names, or else under that name.
func (a *Agent) copyIn(r *http.Request) (any, error) {
	run, err := a.find(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	name, err := pathParam(r)
	if err != nil {
		return nil, err
	}
	if run.terminal() {
		return nil, api.Errorf(api.CodeConflict, "allocation %s has ended; nothing is copied into it", run.id)
	}
	if !a.copies.tryAcquire() {
		return nil, errCopies
	}
	defer a.copies.release()
	alloc := run.allocation()
	o := archive.Options{Limits: archive.Limits{Bytes: diskOf(alloc), Entries: maxCopyEntries}}
	root, at, err := destination(run.dir, name, &o)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	o.Hidden = func(below string) bool { return !writable(path.Join(at, below), run.taskNames()) }
	if err := setOwner(&o, alloc, at); err != nil {
		return nil, err
	}
	stats, err := archive.Extract(r.Context(), r.Body, root, o)
	if err != nil {
		return nil, err
	}
	return &api.AllocCopyResponse{Files: stats.Files, Bytes: stats.Bytes, Skipped: stats.Skipped}, nil
}

// diskOf is how much a copy may bring: what the group asked for.
func diskOf(alloc *api.Allocation) int64 {
	if alloc.AllocatedResources == nil {
		return 0
	}
	return alloc.AllocatedResources.Shared.DiskMB << 20
}

// destination returns the directory to unpack in and its path.
func destination(dir *allocdir.Dir, name string, o *archive.Options) (*os.Root, string, error) {
	at := strings.TrimPrefix(path.Clean("/"+name), "/")
	info, err := dir.Stat(name)
	switch {
	case err == nil && info.IsDir:
		root, err := dir.Root(name)
		return root, at, err
	case err != nil && !api.IsNotFound(err):
		return nil, "", err
	case strings.HasSuffix(name, "/"):
		return nil, "", api.Errorf(api.CodeNotFound, "directory %q does not exist in the allocation", name)
	}
	root, last, err := dir.Parent(name)
	if err != nil {
		return nil, "", err
	}
	o.As = last
	return root, path.Dir(at), nil
}

// writable reports whether a file may be copied to a clean path: into the
// shared directory, except where the logs are, or into a task's.
func writable(name string, tasks []string) bool {
	parts := strings.Split(name, "/")
	if len(parts) < 2 || allocdir.Private(name) {
		return false
	}
	if parts[0] == allocdir.SharedName {
		return parts[1] != allocdir.LogsName
	}
	for _, t := range tasks {
		if parts[0] == t {
			return true
		}
	}
	return false
}

// setOwner makes the user of a task own what is copied into the task's
// directory.
func setOwner(o *archive.Options, alloc *api.Allocation, at string) error {
	top, _, _ := strings.Cut(at, "/")
	spec := alloc.Group().Task(top)
	if spec == nil || spec.User == "" || os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup(spec.User)
	if err != nil {
		return nil // a user of the task's image, whom this machine does not know
	}
	var errUID, errGID error
	o.UID, errUID = strconv.Atoi(u.Uid)
	o.GID, errGID = strconv.Atoi(u.Gid)
	o.Chown = true
	return errors.Join(errUID, errGID)
}
