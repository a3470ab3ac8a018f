package certs

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// folder holds an authority and what it signed.
type folder struct {
	t   *testing.T
	dir string
	ca  *Authority
}

func newFolder(t *testing.T) *folder {
	pair := must(NewAuthority("test", now, 365))
	f := &folder{t, t.TempDir(), must(ParseAuthority(pair))}
	f.write("ca", pair)
	return f
}

func (f *folder) write(name string, p *Pair) {
	f.t.Helper()
	for file, text := range map[string][]byte{name + ".pem": p.Cert, name + "-key.pem": p.Key} {
		if err := os.WriteFile(filepath.Join(f.dir, file), text, 0o600); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *folder) issue(name string, req Request, at time.Time) {
	f.t.Helper()
	f.write(name, must(f.ca.Issue(req, at)))
}

func (f *folder) files(name string) Files {
	return Files{CA: filepath.Join(f.dir, "ca.pem"), Cert: filepath.Join(f.dir, name+".pem"), Key: filepath.Join(f.dir, name+"-key.pem")}
}

func (f *folder) open(name string, roles ...Role) (*Keeper, error) {
	return Open(Config{Files: f.files(name), Region: "eu", Roles: roles, Now: func() time.Time { return now }})
}

func TestCertificatesThatWouldFailAreRefusedAtOnce(t *testing.T) {
	f := newFolder(t)
	f.issue("server", Request{Role: Server, Region: "eu", Days: 10}, now)
	f.issue("client", Request{Role: Client, Region: "eu", Days: 10}, now)
	f.issue("cli", Request{Role: CLI, Region: "eu", Days: 10}, now)
	f.issue("elsewhere", Request{Role: Server, Region: "us", Days: 10}, now)
	f.issue("longer", Request{Role: Client, Region: "eu", Names: []string{"server.eu.nomad.example.org", "*.eu.nomad", "xserver.eu.nomad"}, Days: 10}, now)
	f.issue("old", Request{Role: Server, Region: "eu", Days: 10}, now.AddDate(0, 0, -11))
	f.issue("early", Request{Role: Server, Region: "eu", Days: 10}, now.AddDate(0, 0, 1))
	other := must(ParseAuthority(must(NewAuthority("other", now, 365))))
	f.write("foreign", must(other.Issue(Request{Role: Server, Region: "eu", Days: 10}, now)))
	mixed := must(f.ca.Issue(Request{Role: Server, Region: "eu", Days: 10}, now))
	mixed.Key = must(f.ca.Issue(Request{Role: Server, Region: "eu", Days: 10}, now)).Key
	f.write("mixed", mixed)

	for _, c := range []struct {
		name  string
		roles []Role
		want  string // "": taken
	}{
		{"server", []Role{Server}, ""},
		{"client", []Role{Client, Server}, ""},
		{"server", []Role{Client, Server}, ""},
		{"client", nil, ""},
		{"client", []Role{Server}, "not for server.eu.nomad"},
		{"longer", []Role{Server}, "not for server.eu.nomad"},
		{"elsewhere", []Role{Server}, "not for server.eu.nomad"},
		{"cli", []Role{Client, Server}, "would refuse it"},
		{"foreign", []Role{Server}, "would refuse it"},
		{"old", nil, "it ended on 2026-11-23"},
		{"early", nil, "it begins on 2026-11-25"},
		{"mixed", nil, "private key does not match"},
		{"absent", nil, "no such file"},
	} {
		_, err := f.open(c.name, c.roles...)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s as %v: %v, want %q", c.name, c.roles, err, c.want)
		}
	}
}

// meet connects a client to a server and returns how each side sees it. In TLS
// 1.3 a client learns of its refusal when it reads.
func meet(t *testing.T, server, client *tls.Config) (clientErr, serverErr error) {
	t.Helper()
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		defer c.Close()
		s := tls.Server(c, server)
		if err := s.Handshake(); err != nil {
			done <- err
			return
		}
		_, err = s.Write([]byte("x"))
		done <- err
	}()
	raw := must(net.Dial("tcp", l.Addr().String()))
	defer raw.Close()
	conn := tls.Client(raw, client)
	if clientErr = conn.Handshake(); clientErr == nil {
		var b [1]byte
		_, clientErr = conn.Read(b[:])
	}
	_ = raw.Close()
	return clientErr, <-done
}

func TestServersAndNodesVerifyEachOther(t *testing.T) {
	f, g := newFolder(t), newFolder(t)
	for _, f := range []*folder{f, g} {
		f.issue("server", Request{Role: Server, Region: "eu", Days: 10}, now)
		f.issue("client", Request{Role: Client, Region: "eu", Days: 10}, now)
	}
	server, node, foreign := must(f.open("server", Server)), must(f.open("client", Client)), must(g.open("client", Client))
	if c, s := meet(t, server.RPC(), node.DialServer()); c != nil || s != nil {
		t.Fatal(c, s)
	}
	if c, s := meet(t, server.RPC(), server.DialServer()); c != nil || s != nil {
		t.Fatal(c, s)
	}
	if c, _ := meet(t, node.RPC(), node.DialServer()); c == nil || !strings.Contains(c.Error(), "not what it should be") {
		t.Errorf("a node passed for a server: %v", c)
	}
	if c, s := meet(t, server.RPC(), foreign.DialServer()); c == nil || s == nil {
		t.Errorf("a node of another authority came in: %v, %v", c, s)
	}
	noCert := node.DialServer()
	noCert.GetClientCertificate = nil
	if c, s := meet(t, server.RPC(), noCert); c == nil || s == nil {
		t.Errorf("a node without a certificate came in: %v, %v", c, s)
	}
	old := node.DialServer()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if c, s := meet(t, server.RPC(), old); c == nil || s == nil {
		t.Errorf("TLS 1.1 was spoken: %v, %v", c, s)
	}
	twelve := node.DialServer()
	twelve.MaxVersion = tls.VersionTLS12
	if c, s := meet(t, server.RPC(), twelve); c != nil || s != nil {
		t.Errorf("TLS 1.2 was not spoken: %v, %v", c, s)
	}
}

func TestReloadChangesTheNextHandshakeOnly(t *testing.T) {
	f := newFolder(t)
	f.issue("server", Request{Role: Server, Region: "eu", Days: 10}, now)
	k := must(f.open("server", Server))
	serving, dialing := k.RPC(), k.DialServer() // as made before the reload
	before := k.NotAfter()

	if err := os.WriteFile(k.cfg.Files.Cert, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := k.Reload(k.cfg.Files); err == nil || !k.NotAfter().Equal(before) {
		t.Fatalf("garbage was taken over: %v", err)
	}
	if c, s := meet(t, serving, dialing); c != nil || s != nil {
		t.Fatal(c, s)
	}

	// Another authority, all at once: both ends move together.
	g := newFolder(t)
	g.issue("server", Request{Role: Server, Region: "eu", Days: 20}, now)
	if err := k.Reload(g.files("server")); err != nil || k.NotAfter().Equal(before) {
		t.Fatalf("not reloaded: %v", err)
	}
	if c, s := meet(t, serving, dialing); c != nil || s != nil {
		t.Fatal(c, s)
	}
	f.issue("client", Request{Role: Client, Region: "eu", Days: 10}, now)
	if c, _ := meet(t, serving, must(f.open("client", Client)).DialServer()); c == nil {
		t.Error("the old authority is still trusted")
	}
}

func TestWithoutAuthorityNobodyIsVerified(t *testing.T) {
	f := newFolder(t)
	f.issue("server", Request{Role: Server, Region: "eu", Days: 10}, now)
	files := f.files("server")
	files.CA = ""
	k := must(Open(Config{Files: files, Region: "eu", Now: func() time.Time { return now }}))
	if c, s := meet(t, k.HTTPS(true), k.DialServer()); c == nil || s == nil {
		t.Errorf("the machine's own authorities were used: %v, %v", c, s)
	}
}
