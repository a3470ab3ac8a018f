package auth

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/store"
	"github.com/drover-org/drover/internal/store/storetest"
)

// signed are identities by secret.
type signed map[string]*Identity

func (s signed) Identify(_ context.Context, secret string) (*Identity, error) {
	if secret == "forged" {
		return nil, errors.New("the signature is wrong")
	}
	return s[secret], nil
}

// sealer is a Sealer with one key, the keyring in its simplest form. It hashes
// for good and only marks what it seals.
type sealer string

func (k sealer) Seal(_ context.Context, label string, secret []byte) ([]byte, error) {
	return append([]byte(label+"\x00"), secret...), nil
}

func (k sealer) Open(label string, sealed []byte) ([]byte, error) {
	secret, ok := bytes.CutPrefix(sealed, []byte(label+"\x00"))
	if !ok {
		return nil, errors.New("sealed for something else")
	}
	return secret, nil
}

func (k sealer) Hash(_ context.Context, label string, secret []byte) ([]byte, error) {
	return k.Hashes(label, secret)[0], nil
}

func (k sealer) Hashes(label string, secret []byte) [][]byte {
	mac := hmac.New(sha256.New, []byte(k))
	_, _ = mac.Write(append([]byte(label+"\x00"), secret...))
	return [][]byte{mac.Sum(nil)}
}

type world struct {
	t testing.TB
	*storetest.Proposer
	key sealer
	*Resolver
}

func newWorld(t *testing.T, ids Identities) *world {
	t.Helper()
	key := sealer("a key")
	p := storetest.New()
	return &world{t, p, key, New(Config{Store: p.Store, Sealer: key, Identities: ids, Log: slog.New(slog.DiscardHandler), Now: time.Now})}
}

func (w *world) do(c store.Command) {
	w.t.Helper()
	if _, err := w.Propose(context.Background(), c); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) policy(name, rules string, job *api.JobACL) {
	w.do(&store.UpsertACLPolicy{Policy: &api.ACLPolicy{Name: name, Rules: rules, JobACL: job}})
}

func (w *world) token(secret string, expires *time.Time, policies ...string) {
	hash, err := w.key.Hash(context.Background(), LabelToken, []byte(secret))
	if err != nil {
		w.t.Fatal(err)
	}
	w.do(&store.UpsertACLToken{Token: &store.ACLToken{Hash: hash, Token: &api.ACLToken{AccessorID: api.NewID(), Type: "client", Policies: policies, ExpirationTime: expires}}})
}

func (w *world) may(secret string, c api.Capability, object string) bool {
	return w.Authorize(context.Background(), secret, c, object) == nil
}

const read = `namespace "default" { policy = "read" }`

// A policy of a job belongs to its tasks by whole names, never by their
// beginnings.
func TestWorkloadsHaveThePoliciesOfTheirJob(t *testing.T) {
	id := func(ns, job, group, task string) *Identity {
		return &Identity{Kind: api.CallerWorkload, ID: job, Name: task, Namespace: ns, JobID: job, Group: group, Task: task}
	}
	w := newWorld(t, signed{
		"exact": id("default", "api", "g", "t"), "other task": id("default", "api", "g", "t2"), "other group": id("default", "api", "g2", "t"),
		"longer": id("default", "api-admin", "g", "t"), "other namespace": id("other", "api", "g", "t"),
		"node": {Kind: api.CallerNode, ID: "n", Name: "n"},
	})
	w.policy("anonymous", read, nil)
	w.policy("namespace", `namespace "default" { capabilities = ["list-jobs"] }`, &api.JobACL{Namespace: "default"})
	w.policy("job", `namespace "default" { capabilities = ["read-job"] }`, &api.JobACL{Namespace: "default", JobID: "api"})
	w.policy("group", `namespace "default" { capabilities = ["read-logs"] }`, &api.JobACL{Namespace: "default", JobID: "api", Group: "g"})
	w.policy("task", `namespace "default" { capabilities = ["alloc-exec"] }`, &api.JobACL{Namespace: "default", JobID: "api", Group: "g", Task: "t"})
	caps := []api.Capability{api.CapListJobs, api.CapReadJob, api.CapReadLogs, api.CapAllocExec}
	for secret, n := range map[string]int{"exact": 4, "other task": 3, "other group": 2, "longer": 1, "other namespace": 0, "node": 0} {
		for i, c := range caps {
			if got := w.may(secret, c, "default"); got != (i < n) {
				t.Errorf("%s: %s %v", secret, c, got)
			}
		}
	}
	if c, err := w.Caller(t.Context(), "exact"); err != nil || c.Kind != api.CallerWorkload || c.Name != "t" {
		t.Errorf("%+v %v", c, err)
	}
	if w.may("forged", api.CapListJobs, "default") || w.may("unknown", api.CapListJobs, "default") {
		t.Error("a bad secret is taken for none")
	}
}

func TestAPolicyThatCannotBeReadAllowsNothing(t *testing.T) {
	w := newWorld(t, nil)
	w.policy("good", read, nil)
	w.policy("later", `namespace "default" { policy = "of a later version" }`, nil)
	w.token("s", nil, "good", "later")
	if w.may("s", api.CapReadJob, "default") {
		t.Error("what it may deny is left out")
	}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	w := newWorld(t, nil)
	w.policy("p", read, nil)
	for range maxTokens + 10 {
		secret := api.NewID()
		w.token(secret, nil, "p")
		if !w.may(secret, api.CapReadJob, "default") {
			t.Fatal(secret)
		}
	}
	if len(w.tokens) > maxTokens || len(w.compiled) != 1 {
		t.Errorf("%d tokens, %d compiled", len(w.tokens), len(w.compiled))
	}
	for i := range maxCompiled + 10 {
		w.policy("p", strings.Repeat(" ", i+1)+read, nil) // the same name at another index
		w.may("", api.CapReadJob, "default")
		w.token("x", nil, "p")
		w.may("x", api.CapReadJob, "default")
		w.do(&store.DeleteACLToken{AccessorID: w.tokens[string(w.key.Hashes(LabelToken, []byte("x"))[0])].Caller.AccessorID})
	}
	if len(w.compiled) > maxCompiled {
		t.Errorf("%d compiled", len(w.compiled))
	}
}

// Who waits learns of the expiry of his own token, and of every change.
func TestChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = w.Run(ctx)
		}()
		defer func() {
			cancel()
			<-done
		}()
		synctest.Wait()
		w.policy("p", read, nil)
		hour, day := time.Now().Add(time.Hour), time.Now().Add(24*time.Hour)
		w.token("day", &day, "p")
		w.token("hour", &hour, "p")
		w.token("ever", nil, "p")
		synctest.Wait()
		fired := func(c <-chan struct{}) bool {
			synctest.Wait()
			select {
			case <-c:
				return true
			default:
				return false
			}
		}
		ever := w.Changed(t.Context(), "ever")
		time.Sleep(48 * time.Hour)
		if fired(ever) {
			t.Error("nothing that is waited for expired")
		}
		w.policy("q", read, nil)
		if !fired(ever) {
			t.Error("a policy changed")
		}
		hour2 := time.Now().Add(time.Hour)
		day2 := time.Now().Add(24 * time.Hour)
		w.token("day2", &day2, "p")
		w.token("hour2", &hour2, "p")
		synctest.Wait()
		day2Changed := w.Changed(t.Context(), "day2")
		synctest.Wait()
		hour2Changed := w.Changed(t.Context(), "hour2") // comes closer than the one waited for
		time.Sleep(time.Hour - 1)
		if fired(hour2Changed) {
			t.Error("too early")
		}
		time.Sleep(time.Nanosecond)
		if !fired(hour2Changed) || !fired(day2Changed) || w.may("hour2", api.CapReadJob, "default") {
			t.Error("a token expired")
		}
		again := w.Changed(t.Context(), "day2")
		time.Sleep(23 * time.Hour)
		if !fired(again) || w.may("day2", api.CapReadJob, "default") {
			t.Error("the later one expired")
		}
	})
}

func BenchmarkAuthorize(b *testing.B) {
	key := sealer("a key")
	w := &world{t: b, Proposer: storetest.New(), key: key}
	w.Resolver = New(Config{Store: w.Store, Sealer: key, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	w.policy("p", read, nil)
	w.token("s", nil, "p")
	b.ReportAllocs()
	for b.Loop() {
		if !w.may("s", api.CapReadJob, "default") {
			b.Fatal("not allowed")
		}
	}
}
