package cli

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/certs"
)

// Files that "tls ca create" writes and "tls cert create" reads.
const (
	caCertFile = "drover-ca.pem"
	caKeyFile  = "drover-ca-key.pem"
)

// maxDays bounds how long a certificate may be asked to live, in days.
const maxDays = 100 * 365

func checkDays(days int) error {
	if days < 1 || days > maxDays {
		return usagef("-days %d is not between 1 and %d", days, maxDays)
	}
	return nil
}

// writePair writes a certificate and its key, which only its owner may read.
// Nothing is written when one of the files is there, unless force is set.
func writePair(p *certs.Pair, certFile, keyFile string, force bool) error {
	if !force {
		for _, name := range []string{certFile, keyFile} {
			if _, err := os.Lstat(name); err == nil {
				return api.Errorf(api.CodeConflict, "%s exists already: move it away, choose another -out, or replace it with -force", name)
			} else if !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	if err := writeNew(keyFile, p.Key, 0o600, force); err != nil {
		return err
	}
	return writeNew(certFile, p.Cert, 0o644, force)
}

// writeNew puts a whole file in place at once, so that an agent that reloads
// meanwhile sees the old or the new one.
func writeNew(name string, text []byte, mode os.FileMode, force bool) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if force {
		return os.Rename(f.Name(), name)
	}
	if err := os.Link(f.Name(), name); err != nil { // never over an existing file
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// certFacts describes a certificate. More than one is a chain, of which the
// first counts.
func (e *env) certFacts(file string, now time.Time) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	chain, err := certs.Parse(text)
	if err != nil {
		return api.Errorf(api.CodeInvalid, "%s: %w", file, err)
	}
	c := chain[0]
	sum := sha256.Sum256(c.Raw)
	f := &facts{}
	f.add("File", file)
	f.add("Subject", visible(c.Subject.String()))
	f.add("Issuer", visible(c.Issuer.String()))
	f.add("Authority", strconv.FormatBool(c.IsCA))
	f.addIf("DNS names", visible(strings.Join(c.DNSNames, ", ")))
	f.addIf("Addresses", addressText(c.IPAddresses))
	f.addIf("Used by", usageText(c.ExtKeyUsage))
	f.add("Begins", when(c.NotBefore))
	f.add("Ends", when(c.NotAfter)+" ("+ago(c.NotAfter.UnixNano(), now, false)+")")
	f.add("Key", c.PublicKeyAlgorithm.String())
	f.add("Serial", c.SerialNumber.String())
	f.add("SHA-256", hex.EncodeToString(sum[:]))
	if len(chain) > 1 {
		f.add("Followed by", strconv.Itoa(len(chain)-1)+" more of its chain")
	}
	e.show(f)
	return nil
}

func addressText(ips []net.IP) string {
	var out []string
	for _, ip := range ips {
		out = append(out, ip.String())
	}
	return strings.Join(out, ", ")
}

func usageText(list []x509.ExtKeyUsage) string {
	var out []string
	for _, u := range list {
		switch u {
		case x509.ExtKeyUsageServerAuth:
			out = append(out, "who is connected to")
		case x509.ExtKeyUsageClientAuth:
			out = append(out, "who connects")
		}
	}
	return strings.Join(out, ", ")
}

// ipFlag is a list of addresses.
type ipFlag []net.IP

// String joins the addresses.
func (l *ipFlag) String() string { return addressText(*l) }

// Set adds an address.
func (l *ipFlag) Set(s string) error {
	ip := net.ParseIP(s)
	if ip == nil {
		return fmt.Errorf("%q is not an IP address", s)
	}
	*l = append(*l, ip)
	return nil
}

var _ flag.Value = (*ipFlag)(nil)
