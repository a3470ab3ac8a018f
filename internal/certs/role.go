package certs

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"strings"

	"github.com/drover-org/drover/api"
)

// Role is what the owner of a certificate is.
type Role string

// The roles.
const (
	Server Role = "server" // keeps the state; may be a node as well
	Client Role = "client" // a node
	CLI    Role = "cli"    // a person or program that uses the API
)

// domains end the names of roles: that of the ecosystem, and our own.
var domains = []string{"nomad", "drover"}

// Names returns the DNS names that make a certificate one of the role.
func (r Role) Names(region string) []string {
	var out []string
	for _, d := range domains {
		out = append(out, string(r)+"."+region+"."+d)
	}
	return out
}

// Peer is the other side of a connection, after its certificate was verified.
type Peer struct{ leaf *x509.Certificate }

// PeerOf returns the other side of a connection; without a certificate it has
// no role.
func PeerOf(state tls.ConnectionState) Peer {
	if len(state.PeerCertificates) == 0 {
		return Peer{}
	}
	return Peer{state.PeerCertificates[0]}
}

// Is reports whether the peer has one of the roles in the region.
func (p Peer) Is(region string, roles ...Role) bool {
	if p.leaf == nil {
		return false
	}
	return slices.ContainsFunc(roles, func(r Role) bool { return hasRole(p.leaf, region, r) })
}

// InAnyRegion reports whether the peer has the role in some region.
func (p Peer) InAnyRegion(r Role) bool {
	if p.leaf == nil {
		return false
	}
	return slices.ContainsFunc(p.leaf.DNSNames, func(name string) bool {
		parts := strings.Split(strings.ToLower(name), ".")
		return len(parts) == 3 && parts[0] == string(r) && parts[1] != "" && parts[1] != "*" && slices.Contains(domains, parts[2])
	})
}

// Names returns the names in the peer's certificate, for messages.
func (p Peer) Names() []string {
	if p.leaf == nil {
		return nil
	}
	return p.leaf.DNSNames
}

// hasRole compares whole names: a wildcard in a certificate is no role.
func hasRole(leaf *x509.Certificate, region string, r Role) bool {
	return slices.ContainsFunc(r.Names(region), func(name string) bool {
		return slices.ContainsFunc(leaf.DNSNames, func(n string) bool { return strings.EqualFold(n, name) })
	})
}

// roleError says that a certificate lacks the names of all of the roles.
func roleError(leaf *x509.Certificate, region string, roles ...Role) error {
	var want []string
	for _, r := range roles {
		want = append(want, r.Names(region)[0])
	}
	return api.Errorf(api.CodeInvalid, "its certificate is for %s, not for %s: make one with \"drover tls cert create -%s -region %s\"",
		nameList(leaf), strings.Join(want, " or "), roles[0], region)
}

func nameList(leaf *x509.Certificate) string {
	if len(leaf.DNSNames) == 0 {
		return "no name at all"
	}
	return strings.Join(leaf.DNSNames, ", ")
}
