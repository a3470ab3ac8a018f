package config

import (
	"crypto/tls"
	"fmt"
	"strings"
)

// Enabled reports whether any port uses TLS.
func (t *TLS) Enabled() bool { return t.HTTP || t.RPC }

// MakesCerts reports whether the agent makes its own certificates: a dev agent
// that is to serve the API over TLS and was given none.
func (c *Config) MakesCerts() bool {
	t := &c.TLS
	return c.Dev && t.HTTP && !t.RPC && !t.VerifyHTTPSClient && t.CertFile == "" && t.KeyFile == "" && t.CAFile == ""
}

func (c *Config) validateTLS(bad func(string, ...any)) {
	t := &c.TLS
	if !t.VerifyServerHostname {
		bad("tls.verify_server_hostname = false would let every node act as a server: remove the key, roles are always verified")
	}
	if t.VerifyHTTPSClient && !t.HTTP {
		bad("tls.verify_https_client is without effect unless tls.http is true")
	}
	if t.RPCUpgradeMode && !t.RPC {
		bad("tls.rpc_upgrade_mode is without effect unless tls.rpc is true")
	}
	if _, err := ParseTLSVersion(t.MinVersion); err != nil {
		bad("tls.tls_min_version: %w", err)
	}
	if _, err := ParseCipherSuites(t.CipherSuites); err != nil {
		bad("tls.tls_cipher_suites: %w", err)
	}
	if !t.Enabled() || c.MakesCerts() {
		return
	}
	for _, f := range []struct {
		key, file string
		needed    bool
		why       string
	}{
		{"cert_file", t.CertFile, true, "the certificate to show"},
		{"key_file", t.KeyFile, true, "the key of tls.cert_file"},
		{"ca_file", t.CAFile, t.RPC || t.VerifyHTTPSClient, "the authority that others are verified with"},
	} {
		if f.needed && f.file == "" {
			bad("tls.%s is empty: it names the PEM file with %s; \"drover tls\" makes one", f.key, f.why)
		}
	}
}

// ParseTLSVersion reads a version: tls12 or tls13.
func ParseTLSVersion(s string) (uint16, error) {
	switch s {
	case "tls12", "":
		return tls.VersionTLS12, nil
	case "tls13":
		return tls.VersionTLS13, nil
	case "tls10", "tls11":
		return 0, fmt.Errorf("%q is broken and not offered: tls12 or tls13", s)
	}
	return 0, fmt.Errorf("%q is not a version: tls12 or tls13", s)
}

// ParseCipherSuites reads names of cipher suites of TLS 1.2, parted by commas.
// Suites that are known to be weak are refused. Those of TLS 1.3 may be named
// and are always offered.
func ParseCipherSuites(s string) ([]uint16, error) {
	byName := map[string]uint16{}
	var names []string
	for _, suite := range tls.CipherSuites() {
		switch suite.SupportedVersions[0] {
		case tls.VersionTLS12:
			byName[suite.Name] = suite.ID
			names = append(names, suite.Name)
		case tls.VersionTLS13:
			byName[suite.Name] = 0
		}
	}
	var out []uint16
	always := ""
	for name := range strings.SplitSeq(s, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		id, ok := byName[name]
		if !ok {
			return nil, fmt.Errorf("%q is unknown or weak: %s", name, strings.Join(names, ", "))
		}
		if id == 0 {
			always = name
			continue
		}
		out = append(out, id)
	}
	if len(out) == 0 && always != "" {
		return nil, fmt.Errorf("%s alone leaves nothing for TLS 1.2: set tls_min_version = \"tls13\" and remove the key, or add one of %s", always, strings.Join(names, ", "))
	}
	return out, nil
}
