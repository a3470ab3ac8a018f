package web

import (
	"slices"
	"strings"

	"github.com/drover-org/drover/api"
)

// Needs is what a route asks of its caller: all of it. It documents and
// explains a route and is what tests hold it against; enforcing it is up to
// the use case, which knows the object.
type Needs []Right

// Right is one part of it: any one of the capabilities, or one that contains
// it.
type Right struct {
	Of   Scope
	Caps []api.Capability
}

// Scope says what a capability is asked for.
type Scope uint8

// The scopes.
const (
	OfNobody    Scope = iota // nothing is asked
	OfToken                  // any token of the state will do
	OfRegion                 // capabilities of no object
	OfNamespace              // in the namespace of the request
	OfObject                 // in the namespace of the object that the path names, which is hidden from others
	OfShown                  // whoever lacks it is answered without what he may not see
	OfPool                   // for the node pool that the path names
)

// Everyone may ask.
func Everyone() Needs { return Needs{{Of: OfNobody}} }

// AnyToken will do.
func AnyToken() Needs { return Needs{{Of: OfToken}} }

// Region asks for one of the capabilities of no object.
func Region(caps ...api.Capability) Needs { return Needs{{OfRegion, caps}} }

// Namespace asks for one of the capabilities in the request's namespace.
func Namespace(caps ...api.Capability) Needs { return Needs{{OfNamespace, caps}} }

// Object asks for one of the capabilities in the object's namespace.
func Object(caps ...api.Capability) Needs { return Needs{{OfObject, caps}} }

// Shown answers everybody, with what he has one of the capabilities for.
func Shown(caps ...api.Capability) Needs { return Needs{{OfShown, caps}} }

// Pool asks for one of the capabilities for the node pool in the path.
func Pool(caps ...api.Capability) Needs { return Needs{{OfPool, caps}} }

// And asks for both.
func (n Needs) And(more Needs) Needs { return slices.Concat(n, more) }

// String writes it for documentation: the capabilities with those that contain
// them.
func (n Needs) String() string {
	var parts []string
	for _, r := range n {
		parts = append(parts, r.String())
	}
	return strings.Join(parts, " and ")
}

// String writes the right for documentation.
func (r Right) String() string {
	var names []string
	for _, c := range r.Caps {
		for _, c := range append([]api.Capability{c}, c.Broader()...) {
			if !slices.Contains(names, string(c)) {
				names = append(names, string(c))
			}
		}
	}
	text := strings.Join(names, ", ")
	switch r.Of {
	case OfNobody:
		return "-"
	case OfToken:
		return "any token"
	case OfShown:
		if text == "" {
			return "own ones"
		}
		return text + " (filtered)"
	}
	return text
}

// Leaves returns the rows of a table that serve requests: those of Rows in
// place of the row that has them.
func Leaves(table []Route) []Route {
	var out []Route
	for _, r := range table {
		if len(r.Rows) > 0 {
			out = append(out, Leaves(r.Rows)...)
		} else {
			out = append(out, r)
		}
	}
	return out
}
