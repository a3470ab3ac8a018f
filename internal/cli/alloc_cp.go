package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	units "github.com/docker/go-units"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
	"github.com/drover-org/drover/internal/archive"
)

func allocCpVerb() *verb {
	return &verb{
		name: "alloc cp", args: "SRC DST", argKind: "alloc",
		short: "Copy files into or out of an allocation",
		long: `
Copies a file or a directory. Exactly one of SRC and DST is in an allocation:

  ALLOC:PATH       from the allocation's root, for example 5fc1:alloc/data
  ALLOC/TASK:PATH  from the directory of a task, for example 5fc1/web:local

Everything else is a file here; one whose name has a colon is written with its
directory, as ./a:b. If DST is a directory that exists, SRC is copied into it,
otherwise to this name.

Permissions and times are kept, owners are not: what is copied into the directory
of a task belongs to the task's user. Links are copied as links, but not those
that lead out of what is copied. Secrets and logs are not written to.

It takes the capability alloc-copy, and read-fs to copy out.`,
		run: runAllocCp,
	}
}

// copyLimits bound what is unpacked and packed here.
var copyLimits = archive.Limits{Bytes: 256 << 30, Entries: 100_000}

// remotePath is a side of a copy that is in an allocation.
type remotePath struct{ alloc, task, path string }

var remoteForm = regexp.MustCompile(`^([0-9A-Fa-f-]+)(?:/([^/:]+))?:(.*)$`)

// parseRemote reports whether an argument names a file of an allocation.
func parseRemote(arg string) (remotePath, bool) {
	m := remoteForm.FindStringSubmatch(arg)
	if m == nil {
		return remotePath{}, false
	}
	return remotePath{m[1], m[2], m[3]}, true
}

// within is the path from the allocation's root.
func (r remotePath) within() string {
	p := r.path
	if r.task != "" {
		p = r.task + "/" + strings.TrimPrefix(p, "/")
	}
	if p == "" {
		p = "/"
	}
	return p
}

func runAllocCp(ctx context.Context, e *env, args []string) error {
	if len(args) != 2 {
		return usagef("a source and a destination are expected")
	}
	from, out := parseRemote(args[0])
	to, in := parseRemote(args[1])
	if in == out {
		return usagef("exactly one of %q and %q must be in an allocation, written as ALLOC:PATH", args[0], args[1])
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	at := from
	if in {
		at = to
	}
	a, _, err := e.chooseAlloc(ctx, c, false, "", []string{at.alloc})
	if err != nil {
		return err
	}
	if at.task != "" && (a.Group() == nil || a.Group().Task(at.task) == nil) {
		return usagef("allocation %s has no task %q", short(a.ID), at.task)
	}
	var n *api.AllocCopyResponse
	if in {
		n, err = copyIn(ctx, c, a.ID, args[0], at.within())
	} else {
		n, err = copyOut(ctx, c, a.ID, at.within(), args[1])
	}
	if err != nil {
		return err
	}
	for _, name := range n.Skipped {
		e.warn(name + " is left out: it is a link that leads out, a special file, or a secret")
	}
	e.say("copied %d files, %s", n.Files, units.BytesSize(float64(n.Bytes)))
	return nil
}

// copyIn sends a file or directory of this machine.
func copyIn(ctx context.Context, c *client.Client, alloc, src, dst string) (*api.AllocCopyResponse, error) {
	as, err := filepath.Abs(src)
	if err != nil {
		return nil, err
	}
	at, err := filepath.EvalSymlinks(as) // the operator's own link
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(filepath.Dir(at))
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	name := filepath.Base(at)
	if at == string(filepath.Separator) {
		return nil, usagef("the root of this machine is not copied")
	}
	r, w := io.Pipe()
	type packed struct {
		stats archive.Stats
		err   error
	}
	done := make(chan packed, 1)
	go func() {
		stats, err := archive.Write(ctx, w, root, name, filepath.Base(as), nil, copyLimits)
		_ = w.CloseWithError(err) // nil is the end
		done <- packed{stats, err}
	}()
	n, err := c.Allocs().CopyIn(ctx, alloc, dst, r)
	_ = r.CloseWithError(errCopyEnded)
	p := <-done
	if err != nil {
		if p.err != nil && !errors.Is(p.err, errCopyEnded) {
			return nil, p.err // the cause is here
		}
		return nil, err
	}
	n.Skipped = append(n.Skipped, p.stats.Skipped...)
	return n, nil
}

var errCopyEnded = errors.New("the copy ended")

// copyOut fetches a file or directory.
func copyOut(ctx context.Context, c *client.Client, alloc, src, dst string) (*api.AllocCopyResponse, error) {
	o := archive.Options{Limits: copyLimits}
	dir := dst
	info, err := os.Stat(dst)
	switch {
	case err == nil && info.IsDir():
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return nil, err
	case strings.HasSuffix(dst, string(filepath.Separator)):
		return nil, usagef("%s is not a directory", dst)
	default:
		dir, o.As = filepath.Dir(dst), filepath.Base(dst)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	stream, err := c.Allocs().CopyOut(ctx, alloc, src)
	if err != nil {
		return nil, err
	}
	defer func() { _ = stream.Close() }()
	stats, err := archive.Extract(ctx, stream, root, o)
	if err != nil {
		return nil, err
	}
	return &api.AllocCopyResponse{Files: stats.Files, Bytes: stats.Bytes, Skipped: stats.Skipped}, nil
}
