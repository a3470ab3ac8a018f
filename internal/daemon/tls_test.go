package daemon

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"github.com/drover-org/drover/internal/certs"
	"github.com/drover-org/drover/internal/config"
	"github.com/drover-org/drover/internal/link"
)

// peer is a connection that showed a certificate of the role.
func peerWith(t *testing.T, role certs.Role, region string, names ...string) *tls.ConnectionState {
	t.Helper()
	pair, err := certs.NewAuthority("test", time.Now(), 2)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := certs.ParseAuthority(pair)
	if err != nil {
		t.Fatal(err)
	}
	made, err := ca.Issue(certs.Request{Role: role, Region: region, Names: names, Days: 1}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	chain, err := certs.Parse(made.Cert)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.ConnectionState{PeerCertificates: chain}
}

// The log is for servers alone, and the other protocols for agents of the
// region, whatever else the authority has signed. A server of another region
// passes on what its callers ask, with their tokens.
func TestRolesOnTheRPCPort(t *testing.T) {
	several := config.Default()
	several.Server.BootstrapExpect = 3
	alone := config.Default()
	server, node := peerWith(t, certs.Server, "global"), peerWith(t, certs.Client, "global")
	for name, c := range map[string]struct {
		cfg  *config.Config
		peer *tls.ConnectionState
		want map[byte]bool
	}{
		"a server":           {several, server, map[byte]bool{link.ProtoRaft: true, link.ProtoPeer: true, link.ProtoControl: true, link.ProtoDialBack: true, link.ProtoHTTP: true}},
		"a node":             {several, node, map[byte]bool{link.ProtoControl: true, link.ProtoDialBack: true, link.ProtoHTTP: true}},
		"a user":             {several, peerWith(t, certs.CLI, "global"), nil},
		"a foreign server":   {several, peerWith(t, certs.Server, "else"), map[byte]bool{link.ProtoHTTP: true}},
		"a similar name":     {several, peerWith(t, certs.CLI, "global", "server.global.nomad.example.org", "*.global.nomad", "aserver.global.nomad"), nil},
		"without a name":     {several, &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{}}}, nil},
		"no certificate":     {several, &tls.ConnectionState{}, nil},
		"a server to one":    {alone, server, map[byte]bool{link.ProtoControl: true, link.ProtoDialBack: true, link.ProtoHTTP: true}},
		"plain to one":       {alone, nil, map[byte]bool{link.ProtoControl: true, link.ProtoDialBack: true, link.ProtoHTTP: true}},
		"a node as a server": {alone, node, map[byte]bool{link.ProtoControl: true, link.ProtoDialBack: true, link.ProtoHTTP: true}},
	} {
		d := &daemon{cfg: Config{Config: c.cfg}}
		for _, proto := range []byte{link.ProtoRaft, link.ProtoPeer, link.ProtoControl, link.ProtoDialBack, link.ProtoHTTP} {
			if err := d.allowRPC(proto, c.peer); (err == nil) != c.want[proto] {
				t.Errorf("%s, protocol %d: %v", name, proto, err)
			}
		}
	}
}
