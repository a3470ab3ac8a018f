package daemon

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/certs"
	"github.com/drover-org/drover/internal/config"
	"github.com/drover-org/drover/internal/link"
)

// endsSoon is how long before its end a certificate is warned about.
const endsSoon = 14 * 24 * time.Hour

// openCerts reads the certificates, if the configuration asks for TLS.
func (d *daemon) openCerts() error {
	t := &d.cfg.TLS
	if !t.Enabled() {
		return nil
	}
	if d.cfg.MakesCerts() {
		if err := d.makeCerts(); err != nil {
			return fmt.Errorf("make certificates: %w", err)
		}
	}
	c := certs.Config{Files: certs.Files{CA: t.CAFile, Cert: t.CertFile, Key: t.KeyFile}, Region: d.cfg.Region, Now: time.Now}
	if t.RPC {
		c.Roles = []certs.Role{certs.Server}
		if !d.cfg.Server.Enabled {
			c.Roles = []certs.Role{certs.Client, certs.Server}
		}
	}
	var err error
	if c.MinVersion, err = config.ParseTLSVersion(t.MinVersion); err != nil {
		return err
	}
	if c.CipherSuites, err = config.ParseCipherSuites(t.CipherSuites); err != nil {
		return err
	}
	if d.certs, err = certs.Open(c); err != nil {
		return err
	}
	d.tellCerts("certificate read")
	return nil
}

// devDays is how long the certificates of a dev agent are valid. It makes new
// ones each time it starts.
const devDays = 30

// makeCerts makes an authority and a certificate for a dev agent, in its
// folder. The authority's key is kept nowhere.
func (d *daemon) makeCerts() error {
	made, err := certs.NewAuthority("Drover dev agent", time.Now(), devDays)
	if err != nil {
		return err
	}
	ca, err := certs.ParseAuthority(made)
	if err != nil {
		return err
	}
	pair, err := ca.Issue(certs.Request{Role: certs.Server, Region: d.cfg.Region, Days: devDays - 1}, time.Now())
	if err != nil {
		return err
	}
	dir := filepath.Join(d.dirs.root, "tls")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	t := &d.cfg.TLS
	t.CAFile, t.CertFile, t.KeyFile = filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for _, f := range []struct {
		name string
		text []byte
		mode os.FileMode
	}{{t.KeyFile, pair.Key, 0o600}, {t.CertFile, pair.Cert, 0o644}, {t.CAFile, made.Cert, 0o644}} {
		if err := os.RemoveAll(f.name); err != nil { // an older one may have another mode
			return err
		}
		if err := os.WriteFile(f.name, f.text, f.mode); err != nil {
			return err
		}
	}
	return nil
}

func (d *daemon) tellCerts(what string) {
	until := d.certs.NotAfter()
	d.log.Info(what, "names", strings.Join(d.certs.Names(), " "), "until", until.Format(time.RFC3339))
	if left := time.Until(until); left < endsSoon {
		d.log.Warn("the certificate ends soon: replace tls.cert_file and send SIGHUP", "until", until.Format(time.RFC3339))
	}
}

// reloadCerts reads the certificates again. Connections that stand are left
// alone.
func (d *daemon) reloadCerts(r config.Reloadable) {
	if d.certs == nil || r.CertFile == "" { // it made its own
		return
	}
	if err := d.certs.Reload(certs.Files{CA: r.CAFile, Cert: r.CertFile, Key: r.KeyFile}); err != nil {
		d.log.Error("certificate not reloaded: the agent keeps the one it has", "error", err, "until", d.certs.NotAfter().Format(time.RFC3339))
		return
	}
	d.tellCerts("certificate reloaded")
}

// dialer opens connections to the rpc ports of servers.
func (d *daemon) dialer() link.Dialer {
	if !d.cfg.TLS.RPC {
		return link.Dialer{}
	}
	return link.Dialer{TLS: d.certs.DialServer()}
}

// dialerOf opens connections to the rpc ports of servers of another region.
func (d *daemon) dialerOf(region string) link.Dialer {
	if !d.cfg.TLS.RPC {
		return link.Dialer{}
	}
	return link.Dialer{TLS: d.certs.DialServerOf(region)}
}

// allowRPC says which protocols a connection to the rpc port may speak. What
// servers say to each other is for servers of the region alone, whatever other
// certificate the authority has signed, and for nobody while there are no
// others.
func (d *daemon) allowRPC(proto byte, peer *tls.ConnectionState) error {
	between := proto == link.ProtoRaft || proto == link.ProtoPeer
	if between && !d.amongServers(peer != nil) {
		return api.Errorf(api.CodeForbidden, "this region has one server: nobody replicates its log")
	}
	if peer == nil { // plain, which the configuration allows
		return nil
	}
	p := certs.PeerOf(*peer)
	switch {
	case between && p.Is(d.cfg.Region, certs.Server):
	case !between && p.Is(d.cfg.Region, certs.Server, certs.Client):
	case proto == link.ProtoHTTP && p.InAnyRegion(certs.Server): // passes on what its callers ask of this region
	default:
		return api.Errorf(api.CodeForbidden, "a certificate for %q is not enough to speak protocol %d here", p.Names(), proto)
	}
	return nil
}

// amongServers reports whether there are other servers of the region. Without
// certificates one that asks tokens of its callers has none unless it was
// configured to: strangers could join it and do what they like.
func (d *daemon) amongServers(certified bool) bool {
	if d.cfg.Gossips() {
		return true
	}
	if d.server == nil { // it is not built yet
		return false
	}
	switch g := d.server.gossip; {
	case g == nil || d.cfg.ACL.Enabled && !certified:
		return false
	default:
		return len(d.regionServers()) > 1
	}
}
