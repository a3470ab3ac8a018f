package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"time"

	"github.com/drover-org/drover/api"
)

// Pair is a certificate with its key, both in PEM.
type Pair struct{ Cert, Key []byte }

// backdate lets clocks that are a little behind take a new certificate.
const backdate = 5 * time.Minute

// NewAuthority makes a certificate authority that signs itself.
func NewAuthority(name string, now time.Time, days int) (*Pair, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name, Organization: []string{"Drover"}},
		NotBefore: now.Add(-backdate), NotAfter: now.AddDate(0, 0, days),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
	}
	return sign(t, t, key, key)
}

// Authority signs certificates.
type Authority struct {
	cert *x509.Certificate
	pair tls.Certificate
}

// ParseAuthority reads an authority's certificate and key.
func ParseAuthority(p *Pair) (*Authority, error) {
	pair, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		return nil, api.Errorf(api.CodeInvalid, "certificate authority: %w", err)
	}
	if !pair.Leaf.IsCA {
		return nil, api.Errorf(api.CodeInvalid, "the certificate of %q is no certificate authority's", pair.Leaf.Subject.CommonName)
	}
	return &Authority{pair.Leaf, pair}, nil
}

// Request says what a certificate is for.
type Request struct {
	Role   Role
	Region string
	Names  []string // further DNS names
	IPs    []net.IP // further addresses
	Days   int
}

// Issue signs a certificate with a key of its own. Servers and nodes may be
// reached as localhost, too, so that a command line on their machine needs no
// other name.
func (a *Authority) Issue(req Request, now time.Time) (*Pair, error) {
	until := now.AddDate(0, 0, req.Days)
	if until.After(a.cert.NotAfter) {
		return nil, api.Errorf(api.CodeInvalid, "the certificate would end after its authority, which ends on %s: ask for fewer days", a.cert.NotAfter.Format(time.DateOnly))
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	names := req.Role.Names(req.Region)
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: names[0], Organization: []string{"Drover"}},
		NotBefore: now.Add(-backdate), NotAfter: until, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		DNSNames: names, IPAddresses: req.IPs,
	}
	if req.Role != CLI {
		t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
		t.DNSNames = append(t.DNSNames, "localhost")
		t.IPAddresses = append([]net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, req.IPs...)
	}
	for _, n := range req.Names {
		if !slices.Contains(t.DNSNames, n) {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	return sign(t, a.cert, key, a.pair.PrivateKey)
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// serial returns a number of 127 random bits.
func serial() *big.Int {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand aborts the process instead
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b[:])
}

func sign(t, parent *x509.Certificate, key *ecdsa.PrivateKey, by any) (*Pair, error) {
	der, err := x509.CreateCertificate(rand.Reader, t, parent, key.Public(), by)
	if err != nil {
		return nil, fmt.Errorf("sign certificate: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return &Pair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}),
	}, nil
}

// Parse returns the certificates of a PEM text, at least one.
func Parse(text []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for rest := bytes.TrimSpace(text); len(rest) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errors.New("it holds no PEM certificate")
	}
	return out, nil
}
