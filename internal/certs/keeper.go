package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/drover-org/drover/api"
)

// Files name PEM files.
type Files struct {
	CA        string // empty: peers can't be verified
	Cert, Key string
}

// Config is what a Keeper needs.
type Config struct {
	Files  Files
	Region string
	// Roles, if any, are those that the certificate must have one of, and be
	// signed by Files.CA: it is for use among servers and nodes.
	Roles []Role

	MinVersion   uint16   // 0: TLS 1.2
	CipherSuites []uint16 // of TLS 1.2; nil: the library's choice

	Now func() time.Time
}

// Keeper holds an agent's certificate and authority. Safe for concurrent use.
type Keeper struct {
	cfg     Config
	current atomic.Pointer[held]
}

// held is what the files said together.
type held struct {
	cert  tls.Certificate
	roots *x509.CertPool // nil without a CA file
}

// Open reads the files.
func Open(cfg Config) (*Keeper, error) {
	if cfg.MinVersion == 0 {
		cfg.MinVersion = tls.VersionTLS12
	}
	k := &Keeper{cfg: cfg}
	return k, k.Reload(cfg.Files)
}

// Reload reads the files, which may be others than before. After an error the
// Keeper holds what it held.
func (k *Keeper) Reload(files Files) error {
	h, err := k.cfg.read(files)
	if err != nil {
		return err
	}
	k.current.Store(h)
	return nil
}

// NotAfter is when the certificate ends.
func (k *Keeper) NotAfter() time.Time { return k.current.Load().cert.Leaf.NotAfter }

// Names are those in the certificate.
func (k *Keeper) Names() []string { return k.current.Load().cert.Leaf.DNSNames }

func (c *Config) read(f Files) (*held, error) {
	certText, err := os.ReadFile(f.Cert)
	if err != nil {
		return nil, fmt.Errorf("tls.cert_file: %w", err)
	}
	keyText, err := os.ReadFile(f.Key)
	if err != nil {
		return nil, fmt.Errorf("tls.key_file: %w", err)
	}
	h := &held{}
	if h.cert, err = tls.X509KeyPair(certText, keyText); err != nil {
		return nil, api.Errorf(api.CodeInvalid, "tls.cert_file %s and tls.key_file %s: %w", f.Cert, f.Key, err)
	}
	if f.CA != "" {
		if h.roots, err = readPool(f.CA); err != nil {
			return nil, err
		}
	}
	if err := c.check(h); err != nil {
		return nil, fmt.Errorf("tls.cert_file %s: %w", f.Cert, err)
	}
	return h, nil
}

// check refuses a certificate that would fail at every handshake.
func (c *Config) check(h *held) error {
	leaf, now := h.cert.Leaf, c.Now()
	switch {
	case now.After(leaf.NotAfter):
		return api.Errorf(api.CodeInvalid, "it ended on %s: make a new one", leaf.NotAfter.Format(time.DateTime))
	case now.Before(leaf.NotBefore):
		return api.Errorf(api.CodeInvalid, "it begins on %s: is this machine's clock right?", leaf.NotBefore.Format(time.DateTime))
	case len(c.Roles) == 0:
		return nil
	}
	if h.roots == nil {
		return errors.New("tls.ca_file is needed to verify other agents")
	}
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		if err := verify(h.roots, certificates(h.cert), usage, now); err != nil {
			return api.Errorf(api.CodeInvalid, "other agents with the same tls.ca_file would refuse it: %w", err)
		}
	}
	if !(Peer{leaf}).Is(c.Region, c.Roles...) {
		return roleError(leaf, c.Region, c.Roles...)
	}
	return nil
}

func certificates(pair tls.Certificate) []*x509.Certificate {
	out := []*x509.Certificate{pair.Leaf}
	for _, der := range pair.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			out = append(out, c)
		}
	}
	return out
}

func readPool(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("tls.ca_file: %w", err)
	}
	list, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("tls.ca_file %s: %w", file, err)
	}
	pool := x509.NewCertPool()
	for _, c := range list {
		pool.AddCert(c)
	}
	return pool, nil
}

func verify(roots *x509.CertPool, chain []*x509.Certificate, usage x509.ExtKeyUsage, now time.Time) error {
	o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(o)
	return err
}

// HTTPS returns how the API is served. With clients set, a caller needs a
// certificate of the authority.
func (k *Keeper) HTTPS(clients bool) *tls.Config {
	c := k.base()
	// Handlers take over connections, and deadlines are per connection.
	c.NextProtos = []string{"http/1.1"}
	if clients {
		k.requireClient(c)
	}
	return c
}

// RPC returns how servers serve servers and nodes: both sides show
// certificates of the authority. Roles are for the caller to check, when it is
// known what the peer wants.
func (k *Keeper) RPC() *tls.Config {
	c := k.base()
	k.requireClient(c)
	return c
}

// DialServer returns how servers and nodes connect to servers. The other side
// must prove to be a server of the region; its address does not matter.
func (k *Keeper) DialServer() *tls.Config { return k.DialServerOf(k.cfg.Region) }

// DialServerOf is DialServer for servers of another region.
func (k *Keeper) DialServerOf(region string) *tls.Config {
	c := k.base()
	c.ServerName = Server.Names(region)[0]
	c.InsecureSkipVerify = true // VerifyConnection does it, with the authority of the moment
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &k.current.Load().cert, nil }
	c.VerifyConnection = func(state tls.ConnectionState) error {
		if err := k.verifyPeer(state, x509.ExtKeyUsageServerAuth); err != nil {
			return err
		}
		if !PeerOf(state).Is(region, Server) {
			return fmt.Errorf("the server is not what it should be: %w", roleError(state.PeerCertificates[0], region, Server))
		}
		return nil
	}
	return c
}

func (k *Keeper) base() *tls.Config {
	return &tls.Config{
		MinVersion: k.cfg.MinVersion, CipherSuites: k.cfg.CipherSuites,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &k.current.Load().cert, nil },
	}
}

// requireClient makes a server ask for certificates. Sessions are not resumed:
// each connection is verified against the authority of the moment.
func (k *Keeper) requireClient(c *tls.Config) {
	c.ClientAuth = tls.RequireAnyClientCert
	c.SessionTicketsDisabled = true
	c.VerifyConnection = func(state tls.ConnectionState) error { return k.verifyPeer(state, x509.ExtKeyUsageClientAuth) }
}

func (k *Keeper) verifyPeer(state tls.ConnectionState, usage x509.ExtKeyUsage) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the peer showed no certificate")
	}
	roots := k.current.Load().roots
	if roots == nil { // the library would take the machine's own
		return errors.New("there is no tls.ca_file to verify peers with")
	}
	err := verify(roots, state.PeerCertificates, usage, k.cfg.Now())
	if err != nil {
		return fmt.Errorf("the peer's certificate is not accepted: %w", err)
	}
	return nil
}
