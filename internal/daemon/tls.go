package daemon

import (
	"crypto/tls"
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
	if d.certs == nil {
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

// allowRPC says which protocols a connection to the rpc port may speak. Raft
// is for servers alone, whatever other certificate the authority has signed.
func (d *daemon) allowRPC(proto byte, peer *tls.ConnectionState) error {
	if proto == link.ProtoRaft && d.cfg.Server.BootstrapExpect == 1 {
		return api.Errorf(api.CodeForbidden, "this region has one server: nobody replicates its log")
	}
	if peer == nil { // plain, which the configuration allows
		return nil
	}
	roles := []certs.Role{certs.Server, certs.Client}
	if proto == link.ProtoRaft {
		roles = roles[:1]
	}
	if p := certs.PeerOf(*peer); !p.Is(d.cfg.Region, roles...) {
		return api.Errorf(api.CodeForbidden, "a certificate for %q is not enough to speak protocol %d here", p.Names(), proto)
	}
	return nil
}
