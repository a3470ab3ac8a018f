package audit

import (
	"context"
	"sync"

	"github.com/drover-org/drover/api"
)

// note is what becomes known of a request while it is served.
type note struct {
	mu      sync.Mutex // guards all below
	rec     *Record
	token   string // whose caller rec.Caller is
	known   bool   // the caller is
	secrets []string
}

type noteKey struct{}

func noteOf(ctx context.Context) *note {
	n, _ := ctx.Value(noteKey{}).(*note)
	return n
}

// edit calls f on the record that ctx carries, if there is one.
func edit(ctx context.Context, f func(*Record)) {
	if n := noteOf(ctx); n != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		f(n.rec)
	}
}

// SetObject says what a request is about when its path does not.
func SetObject(ctx context.Context, namespace, object string) {
	edit(ctx, func(r *Record) { r.Namespace, r.Object = bounded(namespace), bounded(object) })
}

// Failed says why a session ended that has no status any more.
func Failed(ctx context.Context, reason string) {
	edit(ctx, func(r *Record) { r.Error = bounded(reason) })
}

// Exited says with which code a session's command ended.
func Exited(ctx context.Context, code int) {
	edit(ctx, func(r *Record) { r.ExitCode = &code })
}

// Moved says how many bytes a session carried to and from an allocation.
func Moved(ctx context.Context, in, out int64) {
	edit(ctx, func(r *Record) { r.BytesIn, r.BytesOut = in, out })
}

// Recorded says in which file, on the allocation's node, a session is recorded.
func Recorded(ctx context.Context, file string) {
	edit(ctx, func(r *Record) { r.Recording = bounded(file) })
}

// Rights decides, as server.Authorizer does.
type Rights interface {
	Authorize(ctx context.Context, token string, c api.Capability, namespace string) error
	Caller(ctx context.Context, token string) (*api.Caller, error)
	Changed(ctx context.Context, token string) <-chan struct{}
}

// Authorizer notes on the request's record which rights were asked for, and by
// whom: the token of a session may come only after it was opened.
type Authorizer struct{ Rights }

// Authorize asks the inner one.
func (a Authorizer) Authorize(ctx context.Context, token string, c api.Capability, namespace string) error {
	err := a.Rights.Authorize(ctx, token, c, namespace)
	n := noteOf(ctx)
	if n == nil {
		return err
	}
	n.identify(ctx, token, a.Caller)
	right := Right{Capability: c, Namespace: bounded(namespace), Denied: err != nil}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.rec.Rights {
		if r == right {
			return err
		}
	}
	if len(n.rec.Rights) < maxRights {
		n.rec.Rights = append(n.rec.Rights, right)
	}
	return err
}

// identify notes whose token a request showed.
func (n *note) identify(ctx context.Context, token string, callerOf func(context.Context, string) (*api.Caller, error)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known && n.token == token || callerOf == nil {
		return
	}
	n.known, n.token = true, token
	if token != "" {
		n.secrets = append(n.secrets, token)
	}
	n.rec.Caller = nil // of a token that nobody owns
	if c, err := callerOf(ctx, token); err == nil && c != nil {
		n.rec.Caller = &api.Caller{Kind: c.Kind, AccessorID: c.AccessorID, Name: bounded(c.Name)}
	}
}
