package task

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
)

// issuer signs identities that count themselves.
type issuer struct {
	mu     sync.Mutex
	ttl    map[string]time.Duration // by identity
	errs   []error                  // of the next requests
	issued int
}

func (i *issuer) identities(t *api.Task) func(context.Context) ([]*api.SignedIdentity, error) {
	return func(context.Context) ([]*api.SignedIdentity, error) {
		i.mu.Lock()
		defer i.mu.Unlock()
		if len(i.errs) > 0 {
			err := i.errs[0]
			i.errs = i.errs[1:]
			return nil, err
		}
		i.issued++
		var out []*api.SignedIdentity
		for _, id := range t.GivenIdentities() {
			s := &api.SignedIdentity{Name: id.Name, Token: fmt.Sprintf("%s-%d", id.Name, i.issued)}
			if ttl := i.ttl[id.Name]; ttl > 0 {
				s.Expires = time.Now().Add(ttl)
			}
			out = append(out, s)
		}
		return out, nil
	}
}

func (i *issuer) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.issued
}

func withIdentities(i *issuer, ids ...*api.WorkloadIdentity) func(*Config, *scripted) {
	return func(c *Config, _ *scripted) {
		c.Task.Identity, c.Task.Identities = ids[0], ids[1:]
		c.Identities = i.identities(c.Task)
	}
}

func (r *rig) secret(path string) string {
	r.t.Helper()
	file := filepath.Join(r.cfg.Dir.Task("main"), path)
	b, err := os.ReadFile(file)
	if err != nil {
		r.t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		r.t.Errorf("%s: %v, %v", path, info, err)
	}
	return string(b)
}

func TestIdentitiesAreGivenToTheTask(t *testing.T) {
	bubble(t, func(t *testing.T) {
		i := &issuer{}
		r := newRig(t, withIdentities(i,
			&api.WorkloadIdentity{Name: "default", Env: true, File: true},
			&api.WorkloadIdentity{Name: "vault", Env: true},
			&api.WorkloadIdentity{Name: "aws", File: true},
			&api.WorkloadIdentity{Name: "gcp", File: true, Filepath: "local/gcp/token"},
			&api.WorkloadIdentity{Name: "unused"},
		))
		r.begin()
		env := r.d.configs[0].Env
		for name, want := range map[string]string{"NOMAD_TOKEN": "default-1", "NOMAD_TOKEN_vault": "vault-1", "NOMAD_TOKEN_aws": "", "NOMAD_TOKEN_unused": ""} {
			if env[name] != want {
				t.Errorf("%s = %q", name, env[name])
			}
		}
		for path, want := range map[string]string{"secrets/nomad_token": "default-1", "secrets/nomad_aws.jwt": "aws-1", "local/gcp/token": "gcp-1"} {
			if got := r.secret(path); got != want {
				t.Errorf("%s: %q", path, got)
			}
		}
		// Another start gets others.
		r.d.last().end(driver.ExitResult{ExitCode: 1})
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if got := r.d.configs[1].Env["NOMAD_TOKEN"]; got != "default-2" {
			t.Errorf("after a restart NOMAD_TOKEN = %q", got)
		}
	})
}

func TestTaskWithoutIdentitiesAsksForNone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		i := &issuer{}
		r := newRig(t, withIdentities(i, &api.WorkloadIdentity{Name: "default"}))
		r.begin()
		if i.count() != 0 || r.d.starts() != 1 {
			t.Errorf("asked %d times, started %d times", i.count(), r.d.starts())
		}
	})
}

func TestIdentitiesAreRenewedAtHalfLife(t *testing.T) {
	for mode, restarts := range map[string]int{api.ChangeModeNoop: 0, api.ChangeModeSignal: 0, api.ChangeModeRestart: 1} {
		bubble(t, func(t *testing.T) {
			i := &issuer{ttl: map[string]time.Duration{"short": time.Hour}}
			id := &api.WorkloadIdentity{Name: "short", File: true, Env: true, ChangeMode: mode, ChangeSignal: "SIGHUP"}
			r := newRig(t, withIdentities(i, &api.WorkloadIdentity{Name: "default", Env: true}, id))
			r.begin()
			time.Sleep(29 * time.Minute)
			if got := r.secret("secrets/nomad_short.jwt"); got != "short-1" {
				t.Errorf("%s: before half life %q", mode, got)
			}
			i.mu.Lock()
			i.errs = []error{api.Errorf(api.CodeUnavailable, "no server"), api.Errorf(api.CodeUnavailable, "no server")}
			i.mu.Unlock()
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			if got := r.secret("secrets/nomad_short.jwt"); got == "short-1" {
				t.Errorf("%s: after half life it is still the first", mode)
			}
			if got := r.d.starts() - 1; got != restarts {
				t.Errorf("%s: %d restarts", mode, got)
			}
			signalled := false
			for _, e := range r.task.State().Events {
				signalled = signalled || e.Type == api.EventSignaling
			}
			if signalled != (mode == api.ChangeModeSignal) {
				t.Errorf("%s: signalled %v", mode, signalled)
			}
			if at := r.task.Record().Renew; !at.After(time.Now()) || at.After(time.Now().Add(30*time.Minute)) {
				t.Errorf("%s: the next renewal is at %v", mode, at)
			}
		})
	}
}

// An agent that starts again goes on to renew.
func TestRenewalAcrossAgents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		i := &issuer{ttl: map[string]time.Duration{"default": time.Hour}}
		given := withIdentities(i, &api.WorkloadIdentity{Name: "default", File: true})
		first := newRig(t, given)
		first.begin()
		process, rec := first.d.last(), first.task.Record()
		first.stop()
		first.wg.Wait()
		second := newRig(t, func(c *Config, d *scripted) {
			given(c, d)
			c.Record, c.Restore = rec, true
			d.recover = func(driver.Handle) (driver.Task, error) { return process, nil }
			if err := c.Dir.BuildTask("main", ""); err != nil {
				t.Fatal(err)
			}
		})
		synctest.Wait()
		if i.count() != 1 {
			t.Fatalf("asked %d times", i.count())
		}
		time.Sleep(31 * time.Minute)
		synctest.Wait()
		if got := second.secret("secrets/nomad_token"); got != "default-2" {
			t.Errorf("%q", got)
		}
	})
}

func TestATaskWaitsForItsIdentities(t *testing.T) {
	bubble(t, func(t *testing.T) {
		i := &issuer{errs: []error{api.Errorf(api.CodeUnavailable, "no server"), api.Errorf(api.CodeUnavailable, "no server")}}
		r := newRig(t, withIdentities(i, &api.WorkloadIdentity{Name: "default", Env: true}))
		r.begin()
		r.expect("pending", "Received", "Task Setup", "Task Setup")
		time.Sleep(time.Second)
		r.expect("running", "Received", "Task Setup", "Task Setup", "Started")
	})
	bubble(t, func(t *testing.T) {
		i := &issuer{errs: []error{api.Errorf(api.CodeForbidden, "not yours")}}
		r := newRig(t, withIdentities(i, &api.WorkloadIdentity{Name: "default", Env: true}))
		r.begin()
		r.expect("dead", "Received", "Task Setup", "Setup Failure", "Not Restarting")
	})
	bubble(t, func(t *testing.T) {
		i := &issuer{errs: make([]error, 0)}
		for range 100 {
			i.errs = append(i.errs, api.Errorf(api.CodeUnavailable, "no server"))
		}
		r := newRig(t, withIdentities(i, &api.WorkloadIdentity{Name: "default", Env: true}))
		r.begin()
		r.task.Kill(Order{})
		synctest.Wait()
		r.expect("dead", "Received", "Task Setup", "Task Setup")
	})
}
