package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/savefile"
	"github.com/drover-org/drover/internal/store"
)

// SaveState writes the state, as this server has it, into a file.
func (s *Server) SaveState(ctx context.Context, token string) (_ *api.SavedState, err error) {
	if err := s.authorize(ctx, token, api.CapOperatorSnapshotSave, ""); err != nil {
		return nil, err
	}
	release, err := s.oneState()
	if err != nil {
		return nil, err
	}
	defer release()
	f, err := savefile.Temp(s.cfg.TempDir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	snap, sum := s.store.Snapshot(), sha256.New()
	meta := savefile.Meta{
		Version: s.cfg.Version, Region: s.cfg.Region, Index: snap.Index(), Term: s.cfg.Cluster.Position().Term, Created: s.now().UTC(), Counts: snap.Counts(),
	}
	if err := savefile.Write(io.MultiWriter(f, sum), s.cfg.TempDir, meta, snap.Persist); err != nil {
		return nil, err
	}
	out := &api.SavedState{File: f, Index: snap.Index()}
	sum.Sum(out.Digest[:0])
	if out.Size, err = f.Seek(0, io.SeekCurrent); err != nil {
		return nil, err
	}
	_, err = f.Seek(0, io.SeekStart)
	return out, err
}

// RestoreState puts the state of a file in the place of this region's, after the
// whole of it has been read. What was done since it was saved is gone; nodes keep
// what they run and are told anew what they ought to.
func (s *Server) RestoreState(ctx context.Context, token string, in io.Reader) (index uint64, err error) {
	if err := s.authorize(ctx, token, api.CapManagement, ""); err != nil {
		return 0, err
	}
	release, err := s.oneState()
	if err != nil {
		return 0, err
	}
	defer release()
	meta, state, err := savefile.Read(in, s.cfg.TempDir)
	if err != nil {
		return 0, api.Errorf(api.CodeInvalid, "the state can't be restored, nothing was changed: %w", err)
	}
	defer func() { _ = state.Close() }()
	if meta.Region != s.cfg.Region {
		return 0, api.Errorf(api.CodeInvalid, "the state is that of region %q and can't be restored in %q", meta.Region, s.cfg.Region)
	}
	if err := store.New().Restore(state); err != nil { // a log that can't apply it would end every server
		return 0, api.Errorf(api.CodeInvalid, "the state can't be restored, nothing was changed: %w", err)
	}
	if _, err := state.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	if err := s.cfg.Cluster.Restore(ctx, meta.Index, state, meta.Size); err != nil {
		return 0, err
	}
	s.cfg.Log.Warn("the state was restored from a file", "saved", meta.Created, "saved_index", meta.Index, "index", s.store.Snapshot().Index())
	return s.store.Snapshot().Index(), nil
}

// oneState takes the place of the one saving or restoring there may be: each
// takes the disk the state's size, a restore also the memory.
func (s *Server) oneState() (release func(), err error) {
	select {
	case s.states <- struct{}{}:
		return func() { <-s.states }, nil
	default:
		return nil, api.Errorf(api.CodeLimited, "another state is being saved or restored by this server: try again when that is done")
	}
}
