package keys

import (
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
)

// Thresholds say when the keyring changes by itself.
type Thresholds struct {
	Rotate  time.Duration // age of the active key at which another takes its place
	Collect time.Duration // how long a key must have been inactive before it goes
}

// maxPublication is how long before it signs a key is published at most.
const maxPublication = 24 * time.Hour

// Publication is how long before it signs a key is published, when nobody says
// another time. Those who verify must look for new keys twice as often.
func (t Thresholds) Publication() time.Duration { return min(t.Rotate/10, maxPublication) }

// step is one change of the keyring. At most one member is set.
type step struct {
	create   *creation
	activate string // ID of a prepublished key
	reseal   string // ID of a key that is rekeying: its tokens are to be sealed again
	retire   string // ID of a key that is rekeying and has nothing left
	remove   string // ID of an inactive key
}

type creation struct {
	state   api.RootKeyState
	signing string
	publish int64
}

// leftovers is how often a key is looked at that seals only what goes by
// itself.
const leftovers = time.Minute

// decide returns what is to do now, and otherwise when to look again for
// reasons of time; the zero time says never.
func decide(snap *store.Snapshot, now time.Time, age Thresholds) (todo step, next time.Time) {
	keys, _ := snap.RootKeys()
	var active, published *api.WrappedRootKey
	soonest := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	for _, k := range keys {
		switch k.State {
		case api.RootKeyActive:
			active = k
		case api.RootKeyPrepublished:
			published = k
		}
	}
	switch {
	case published != nil:
		due := time.Unix(0, published.PublishTime)
		if active == nil || !now.Before(due) {
			return step{activate: published.KeyID}, next
		}
		soonest(due)
	case active == nil:
		return step{create: &creation{state: api.RootKeyActive, signing: api.SigningEdDSA}}, next
	default:
		over := time.Unix(0, max(active.CreateTime, active.PublishTime)).Add(age.Rotate)
		begin := over.Add(-age.Publication())
		if !now.Before(begin) {
			if late := now.Add(age.Publication()); over.Before(late) {
				over = late
			}
			return step{create: &creation{state: api.RootKeyPrepublished, signing: active.SigningAlgorithm, publish: over.UnixNano()}}, next
		}
		soonest(begin)
	}
	for _, k := range keys {
		if k.State == api.RootKeyRekeying {
			for t := range snap.ACLTokens() {
				if t.SealedWith(k.KeyID) {
					return step{reseal: k.KeyID}, next
				}
			}
			// What is left goes by itself: one-time tokens.
			if snap.RootKeySeals(k.KeyID) == "" {
				return step{retire: k.KeyID}, next
			}
			soonest(now.Add(leftovers))
		}
		if k.State != api.RootKeyInactive {
			continue
		}
		due := time.Unix(0, k.InactiveTime).Add(age.Collect)
		if now.Before(due) {
			soonest(due)
		} else if snap.RootKeyUse(k.KeyID) == "" {
			return step{remove: k.KeyID}, next
		}
	}
	return step{}, next
}
