package server

import (
	"context"
	"fmt"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/auth"
)

// ExplainACL tells how the policies of a token decide about a request: about
// all of asks. Anybody may ask about his own token and about requests without
// one (the accessor "anonymous"), management about every token.
func (s *Server) ExplainACL(ctx context.Context, token, accessor string, asks []api.ACLAsk) (*api.ACLExplanation, error) {
	if !s.ACLEnabled() {
		return &api.ACLExplanation{Allowed: true, Summary: "access control is off: everybody may do everything"}, nil
	}
	asker, err := s.rights(ctx, token)
	if err != nil {
		return nil, err
	}
	rights := asker
	switch {
	case accessor == "" || accessor == asker.Caller.AccessorID:
	case accessor == api.ACLAnonymousPolicy:
		rights, err = s.rights(ctx, "")
	case !asker.Manages():
		return nil, notYours("token", accessor)
	default:
		rights, err = s.cfg.ACL.Rights.RightsOf(accessor)
	}
	if err != nil {
		return nil, err
	}
	out := &api.ACLExplanation{Allowed: true, AccessorID: rights.Caller.AccessorID, TokenName: rights.Caller.Name, Policies: rights.Policies}
	var notes []string
	for _, ask := range asks {
		object := ask.Object
		if ask.Noun != "" {
			if object, err = s.namespaceOf(asker, ask.Noun, ask.ID); err != nil {
				return nil, err
			}
		}
		allowed, note := explainAsk(out, rights, ask, object)
		out.Allowed = out.Allowed && allowed
		notes = append(notes, note)
	}
	out.Summary = strings.Join(notes, "; ")
	if len(asks) == 0 {
		out.Summary = "everybody may do that"
	}
	return out, nil
}

// explainAsk adds the reasons of one ask to out.
func explainAsk(out *api.ACLExplanation, rights *auth.Rights, ask api.ACLAsk, object string) (allowed bool, note string) {
	if len(ask.Any) == 0 {
		if ask.Filters {
			return true, "answered with what belongs to the token"
		}
		return ownsToken(rights) == nil, "any token may do that, and nobody else"
	}
	if object != "" {
		out.Object = object
	}
	note = "no rule allows it"
	for _, c := range ask.Any {
		r := rights.ACL.Explain(c, object, ask.Variable)
		out.Decisions = append(out.Decisions, r)
		if allowed = allowed || r.Allowed; r.Allowed {
			note = fmt.Sprintf("%s: %s", c, r.Reason)
		}
	}
	if !allowed && len(out.Decisions) > 0 {
		note = fmt.Sprintf("%s is missing: %s", ask.Any[0], out.Decisions[len(out.Decisions)-len(ask.Any)].Reason)
	}
	if ask.Filters && !allowed {
		return true, "answered without what the token may not see: " + note
	}
	return allowed, note
}

// namespaceOf returns the namespace of an object, which for who may not read
// it does not exist.
func (s *Server) namespaceOf(asker *auth.Rights, noun, id string) (string, error) {
	snap := s.store.Snapshot()
	ns, found := "", false
	switch noun {
	case "alloc":
		if a := snap.Alloc(id); a != nil {
			ns, found = a.Namespace, true
		}
	case "eval":
		if e := snap.Eval(id); e != nil {
			ns, found = e.Namespace, true
		}
	case "deployment":
		if d := snap.Deployment(id); d != nil {
			ns, found = d.Namespace, true
		}
	}
	if !found || !asker.ACL.Allow(api.CapReadJob, ns) {
		return "", missing(noun)
	}
	return ns, nil
}
