package task

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
)

// Waits between attempts to get identities.
const (
	minIdentityWait = 250 * time.Millisecond
	maxIdentityWait = 15 * time.Second
)

// identify gives the task its identities before it starts. While no server
// answers it waits: a task that expects a token can't do without.
func (t *Task) identify(ctx context.Context, spec *api.Task) (phase, time.Duration) {
	if len(spec.GivenIdentities()) == 0 {
		return starting, 0
	}
	ctx, cancel := t.untilKilled(ctx)
	defer cancel()
	told := false
	for wait := minIdentityWait; ; wait = min(2*wait, maxIdentityWait) {
		_, err := t.obtain(ctx, spec)
		switch {
		case err == nil:
			return starting, 0
		case errors.Is(context.Cause(ctx), errKilled):
			return t.dieUnstarted(), 0
		case ctx.Err() != nil:
			return left, 0
		case permanent(err):
			t.event(api.EventSetupFailure, api.DetailSetupError, "identities: "+err.Error())
			return t.conclude(outcome{permanent: true})
		case !told:
			told = true
			t.event(api.EventTaskSetup, api.DetailMessage, "Waiting for the task's identities: "+err.Error())
		}
		if !pause(ctx, wait) {
			wait = 0 // ctx ended, which the next turn tells apart
		}
	}
}

// permanent reports whether asking again can't help.
func permanent(err error) bool {
	switch api.ErrorCode(err) {
	case api.CodeInvalid, api.CodeForbidden, api.CodeNotFound:
		return true
	}
	return false
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// obtain gets new tokens, puts them where the task looks for them and notes
// when to renew them: when half of the shortest life is over. It returns the
// identities that have an end and so changed before theirs.
func (t *Task) obtain(ctx context.Context, spec *api.Task) (renewed []*api.WorkloadIdentity, err error) {
	list, err := t.cfg.Identities(ctx)
	if err != nil {
		return nil, err
	}
	signed := make(map[string]*api.SignedIdentity, len(list))
	for _, s := range list {
		signed[s.Name] = s
	}
	tokens, now, renew := map[string]string{}, t.cfg.Now(), time.Time{}
	for _, id := range spec.GivenIdentities() {
		name := id.Name
		if name == "" {
			name = api.DefaultIdentity
		}
		s := signed[name]
		if s == nil {
			return nil, api.Errorf(api.CodeNotFound, "the servers' version of the job has no identity %q", name)
		}
		if id.Env {
			tokens[id.EnvName()] = s.Token
		}
		if id.File {
			if err := t.cfg.Dir.WriteSecret(spec.Name, id.FilePath(), spec.User, []byte(s.Token)); err != nil {
				return nil, fmt.Errorf("identity %q: %w", name, err)
			}
		}
		if !s.Expires.IsZero() {
			renewed = append(renewed, id)
			if at := now.Add(s.Expires.Sub(now) / 2); renew.IsZero() || at.Before(renew) {
				renew = at
			}
		}
	}
	t.mu.Lock()
	t.tokens, t.renew = tokens, renew
	t.mu.Unlock()
	return renewed, nil
}

// renewIdentities renews the identities of a running task until ctx ends. When
// no server answers it tries again; a task whose identities can't be renewed
// lives on.
func (t *Task) renewIdentities(ctx context.Context) {
	wait := minIdentityWait
	for {
		t.mu.Lock()
		at, spec := t.renew, t.spec
		t.mu.Unlock()
		if at.IsZero() || !pause(ctx, at.Sub(t.cfg.Now())) {
			return
		}
		renewed, err := t.obtain(ctx, spec)
		if err != nil {
			if ctx.Err() == nil {
				t.cfg.Log.Warn("a task's identities can't be renewed yet", "alloc", t.cfg.Alloc.ID, "task", spec.Name, "error", err, "retry", wait)
			}
			if !pause(ctx, wait) {
				return
			}
			wait = min(2*wait, maxIdentityWait)
			continue
		}
		wait = minIdentityWait
		if err := t.cfg.Save(); err != nil {
			t.cfg.Log.Error("the node's state can't be written", "alloc", t.cfg.Alloc.ID, "error", err)
		}
		t.tellRenewal(ctx, renewed)
	}
}

// tellRenewal does what the renewed identities' change modes say: one restart
// for all, or each signal once.
func (t *Task) tellRenewal(ctx context.Context, renewed []*api.WorkloadIdentity) {
	var names []string
	signals := map[string]bool{}
	for _, id := range renewed {
		switch id.ChangeMode {
		case api.ChangeModeRestart:
			names = append(names, id.Name)
		case api.ChangeModeSignal:
			signals[id.ChangeSignal] = true
		}
	}
	if len(names) > 0 {
		// It ends this watching, so nobody waits for it here.
		go func() { _ = t.Restart(context.WithoutCancel(ctx), "Identity renewed: "+strings.Join(names, ", ")) }()
		return
	}
	for s := range signals {
		if err := t.Signal(ctx, s); err != nil && ctx.Err() == nil {
			t.cfg.Log.Warn("a task can't be told of its renewed identities", "alloc", t.cfg.Alloc.ID, "task", t.cfg.Task.Name, "signal", s, "error", err)
		}
	}
}
