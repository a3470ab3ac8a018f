package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/drover-org/drover/internal/savefile"
)

func snapshotSaveVerb() *verb {
	var stale bool
	return &verb{
		name: "operator snapshot save", args: "[options] [FILE]", argKind: "file",
		short: "Save the state of the region in a file",
		long: `
Saves everything that servers know of the region: jobs, allocations, nodes, access
control, keys. The file must not exist; without a name it has the time in it.

Secrets in it are sealed by root keys, and those by the key file of each server,
<server.data_dir>/keyring.key, which is not in it: save one of those files as well,
and keep both where only operators can read.`,
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&stale, "stale", false, "any server may answer, also while none leads")
		},
		run: func(ctx context.Context, e *env, args []string) error { return runSnapshotSave(ctx, e, stale, args) },
	}
}

func runSnapshotSave(ctx context.Context, e *env, stale bool, args []string) error {
	path, err := optional(args, "file")
	if err != nil {
		return err
	}
	if path == "" {
		path = "drover-" + time.Now().UTC().Format("20060102-150405") + ".snap"
	}
	c, err := e.client()
	if err != nil {
		return err
	}
	f, err := createNew(path, 0o600)
	if err != nil {
		return err
	}
	meta, err := saveTo(f, func() error { return c.Operator().SaveState(ctx, stale, f) })
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	e.say("State at index %d saved in %s.", meta.Index, path)
	return nil
}

// saveTo fills a file and reads it again, to its last byte.
func saveTo(f *os.File, fill func() error) (*savefile.Meta, error) {
	if err := fill(); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, 0); err != nil {
		return nil, err
	}
	meta, state, err := savefile.Read(f, "")
	if err != nil {
		return nil, err
	}
	return meta, state.Close()
}

func snapshotRestoreVerb() *verb {
	return &verb{
		name: "operator snapshot restore", args: "[options] FILE", argKind: "file",
		short: "Put a saved state in the place of the region's",
		long: `
Restores a state that "drover operator snapshot save" saved: what was done since
then is undone on all servers. Nodes keep what they run, and are told what they
ought to run. The servers need a key file of those that had the state.`,
		run: func(ctx context.Context, e *env, args []string) error {
			path, err := one(args, "file")
			if err != nil {
				return err
			}
			meta, err := readSaved(path)
			if err != nil {
				return err
			}
			c, err := e.client()
			if err != nil {
				return err
			}
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer func() { _ = f.Close() }()
			if err := c.Operator().RestoreState(ctx, f); err != nil {
				return err
			}
			e.say("The state of %s is restored.", when(meta.Created))
			return nil
		},
	}
}

func snapshotInspectVerb() *verb {
	var o machine
	return &verb{
		name: "operator snapshot inspect", args: "[options] FILE", argKind: "file", offline: true,
		short: "Check a file with a saved state, and say what is in it",
		long:  "Reads a file of \"drover operator snapshot save\" to its end, checks it, and tells what it holds.",
		flags: func(fs *flag.FlagSet) { o.flags(fs) },
		run: func(_ context.Context, e *env, args []string) error {
			path, err := one(args, "file")
			if err != nil {
				return err
			}
			meta, err := readSaved(path)
			if err != nil {
				return err
			}
			if o.wanted() {
				return o.write(e.Out, meta)
			}
			f := &facts{}
			f.add("Saved", when(meta.Created))
			f.add("Version", meta.Version)
			f.add("Region", meta.Region)
			f.add("Index", strconv.FormatUint(meta.Index, 10))
			f.add("Term", strconv.FormatUint(meta.Term, 10))
			f.add("Size", strconv.FormatInt(meta.Size, 10)+" bytes")
			e.show(f)
			t := newTable("Kind", "Objects")
			for _, k := range keys(meta.Counts) {
				t.row(k, strconv.Itoa(meta.Counts[k]))
			}
			e.say("")
			e.show(t)
			return nil
		},
	}
}

// readSaved checks a file and tells what it holds.
func readSaved(path string) (*savefile.Meta, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	meta, state, err := savefile.Read(f, "")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return meta, state.Close()
}
