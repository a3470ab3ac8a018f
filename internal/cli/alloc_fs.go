package cli

import (
	"context"
	"flag"
	"io"
	"sort"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

type allocFSOptions struct {
	job                         bool
	stat, human, follow, toTail bool
	verbose, raw                bool
	lines, bytes                int64
}

func allocFSVerb() *verb {
	var o allocFSOptions
	return &verb{
		name: "alloc fs", aliases: []string{"fs"}, args: "[options] ALLOC [PATH]", argKind: "alloc",
		short: "List and read the files of an allocation",
		long: `
Lists the folder PATH of an allocation or prints the file, the allocation's root
without PATH. -tail prints the end of a file, -f goes on as it grows.`,
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&o.job, "job", false, "the first argument is a job: use one of its allocations")
			fs.BoolVar(&o.stat, "stat", false, "describe the file instead of printing it")
			fs.BoolVar(&o.human, "H", false, "sizes in units people read (the default on a terminal)")
			fs.BoolVar(&o.follow, "f", false, "go on as the file grows")
			fs.BoolVar(&o.toTail, "tail", false, "print the end of the file")
			fs.Int64Var(&o.lines, "n", -1, "with -tail: the last `N` lines")
			fs.Int64Var(&o.bytes, "c", -1, "with -tail: the last `N` bytes")
			fs.BoolVar(&o.raw, "raw", false, "leave control characters as they are on a terminal")
			fs.BoolVar(&o.verbose, "verbose", false, "full IDs")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runAllocFS(ctx, e, &o, args) },
	}
}

func runAllocFS(ctx context.Context, e *env, o *allocFSOptions, args []string) error {
	c, err := e.client()
	if err != nil {
		return err
	}
	a, rest, err := e.chooseAlloc(ctx, c, o.job, "", args)
	if err != nil {
		return err
	}
	path, err := optional(rest, "path")
	if err != nil {
		return err
	}
	if path == "" {
		path = "/"
	}
	info, err := c.FS().Stat(ctx, a.ID, path)
	if err != nil {
		return err
	}
	human := o.human || e.out.tty
	switch {
	case o.stat:
		e.fileTable([]*api.AllocFileInfo{info}, human)
		return nil
	case info.IsDir:
		list, err := c.FS().List(ctx, a.ID, path)
		if err != nil {
			return err
		}
		e.fileTable(list, human)
		return nil
	}
	w := e.safeOut(o.raw)
	if !o.follow && !o.toTail {
		r, err := c.FS().Cat(ctx, a.ID, path)
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }()
		_, err = io.Copy(w, r)
		return err
	}
	from, lines := tailFrom(o.toTail, o.lines, o.bytes)
	from.Follow = o.follow
	return printStream(ctx, w, func(so client.StreamOptions) (*client.Stream, error) {
		return c.FS().Stream(ctx, a.ID, path, so)
	}, from, lines)
}

func (e *env) fileTable(list []*api.AllocFileInfo, human bool) {
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	t := newTable("Mode", "Size", "Modified", "Name")
	for _, f := range list {
		name := visible(f.Name)
		if f.IsDir {
			name = e.out.cyan(strings.TrimSuffix(name, "/") + "/")
		}
		t.row(f.FileMode, sizeText(f.Size, human), when(f.ModTime), name)
	}
	e.show(t)
}

func sizeText(n int64, human bool) string {
	if human && n >= 0 {
		return bytesText(uint64(n))
	}
	return itoa(n)
}

const (
	bytesPerLine = 200 // guessed, to find the last lines from the end
	defaultTail  = 10  // lines
)

// tailFrom is where reading starts and how many lines are wanted of what
// comes then; 0 lines means all of it.
func tailFrom(tail bool, lines, bytes int64) (o client.StreamOptions, last int) {
	switch {
	case bytes >= 0:
		return client.StreamOptions{Origin: client.FromEnd, Offset: bytes}, 0
	case lines >= 0:
		return client.StreamOptions{Origin: client.FromEnd, Offset: max(lines, 1) * bytesPerLine}, int(lines)
	case tail:
		return client.StreamOptions{Origin: client.FromEnd, Offset: defaultTail * bytesPerLine}, defaultTail
	}
	return client.StreamOptions{}, 0
}
