package keys

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// Maker makes root keys.
type Maker interface {
	// NewKey makes a root key wrapped for the servers of the region.
	NewKey(id, signing string) (*api.WrappedRootKey, error)
	// Rewrap returns the forms of a key for the servers of the region that it
	// is not yet wrapped for; none when it is for all.
	Rewrap(row *api.WrappedRootKey) (map[string][]byte, error)
	// Err tells why this server can't use a root key, or nil.
	Err() error
}

// Config is what a Keeper needs.
type Config struct {
	Store      *store.Store
	Proposer   store.Proposer
	Maker      Maker
	Log        *slog.Logger
	Now        func() time.Time
	NewID      func() string
	Joined     func() <-chan struct{}                                          // closed when there are further servers; nil: never
	Reseal     func(context.Context, *store.ACLToken) (*store.ACLToken, error) // by the active key
	Interval   time.Duration                                                   // between looks for old keys that nothing uses any more
	Thresholds Thresholds
}

// Keeper keeps the keyring.
type Keeper struct{ cfg Config }

// New returns a Keeper.
func New(cfg Config) *Keeper { return &Keeper{cfg} }

// again is how long Run waits after a change that could not be made: what else
// a leader does must not suffer from a key that is out of reach.
const again = 10 * time.Second

// Run keeps the keyring until ctx ends; it is for the leader.
func (k *Keeper) Run(ctx context.Context) error {
	if err := k.cfg.Maker.Err(); err != nil {
		k.cfg.Log.Error("this server can't use every root key: what they sealed is out of reach until its server key is back", "error", err)
	}
	for ctx.Err() == nil {
		var joined <-chan struct{}
		if k.cfg.Joined != nil {
			joined = k.cfg.Joined()
		}
		if err := k.rewrap(ctx); err != nil && ctx.Err() == nil {
			k.cfg.Log.Error("root keys can't be wrapped for another server", "error", err, "retry", k.cfg.Interval)
		}
		w := k.cfg.Store.Watch(store.KeyRootKeys())
		todo, next := decide(k.cfg.Store.Snapshot(), k.cfg.Now(), k.cfg.Thresholds)
		if todo != (step{}) {
			w.Close()
			err := k.do(ctx, todo)
			if err == nil || ctx.Err() != nil {
				continue
			}
			k.cfg.Log.Error("the keyring can't be changed", "error", err, "retry", again)
			w, next = k.cfg.Store.Watch(store.KeyRootKeys()), k.cfg.Now().Add(again)
		}
		pause := k.cfg.Interval
		if !next.IsZero() {
			pause = min(pause, next.Sub(k.cfg.Now()))
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
			w.Close()
		case <-w.C():
			timer.Stop()
		case <-joined:
			timer.Stop()
			w.Close()
		case <-ctx.Done():
			timer.Stop()
			w.Close()
			return nil
		}
	}
	return nil
}

// rewrap gives every root key to every server.
func (k *Keeper) rewrap(ctx context.Context) error {
	rows, _ := k.cfg.Store.Snapshot().RootKeys()
	for _, row := range rows {
		wrapped, err := k.cfg.Maker.Rewrap(row)
		if err != nil {
			return err
		}
		if len(wrapped) == 0 {
			continue
		}
		if _, err := k.cfg.Proposer.Propose(ctx, &store.WrapRootKey{KeyID: row.KeyID, Wrapped: wrapped}); err != nil {
			return err
		}
		k.cfg.Log.Info("a root key is wrapped for further servers", "key", row.KeyID, "servers", len(wrapped))
	}
	return nil
}

func (k *Keeper) do(ctx context.Context, todo step) error {
	cmd, text, id, err := k.command(ctx, todo)
	if err != nil {
		return err
	}
	if _, err := k.cfg.Proposer.Propose(ctx, cmd); err != nil && !api.IsNotFound(err) {
		return fmt.Errorf("keyring: %w", err)
	}
	k.cfg.Log.Info(text, "key", id)
	return nil
}

func (k *Keeper) command(ctx context.Context, todo step) (cmd store.Command, text, id string, err error) {
	now := k.cfg.Now().UnixNano()
	switch {
	case todo.create != nil:
		key, err := k.cfg.Maker.NewKey(k.cfg.NewID(), todo.create.signing)
		if err != nil {
			return nil, "", "", err
		}
		key.State, key.PublishTime = todo.create.state, todo.create.publish
		return &store.PutRootKey{Key: key, Now: now}, "made a root key, which is " + string(key.State), key.KeyID, nil
	case todo.activate != "":
		return &store.ActivateRootKey{KeyID: todo.activate, Now: now}, "a root key became active", todo.activate, nil
	case todo.reseal != "":
		cmd, err := k.reseal(ctx, todo.reseal)
		return cmd, "sealed tokens again, which a root key had sealed", todo.reseal, err
	case todo.retire != "":
		return &store.RetireRootKey{KeyID: todo.retire}, "nothing is sealed with a root key any more", todo.retire, nil
	}
	return &store.DeleteRootKey{KeyID: todo.remove}, "removed a root key that nothing uses", todo.remove, nil
}

// reseal makes the command for the next tokens that a key sealed.
func (k *Keeper) reseal(ctx context.Context, key string) (*store.ResealACLTokens, error) {
	cmd := &store.ResealACLTokens{Key: key}
	for row := range k.cfg.Store.Snapshot().ACLTokens() {
		if !row.SealedWith(key) {
			continue
		}
		again, err := k.cfg.Reseal(ctx, row)
		if err != nil {
			return nil, err
		}
		if cmd.Tokens = append(cmd.Tokens, again); len(cmd.Tokens) == store.MaxReseal {
			break
		}
	}
	return cmd, nil
}
