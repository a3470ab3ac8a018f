package client

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/drover-org/drover/api"
)

// DefaultAddress is where an agent listens unless told otherwise.
const DefaultAddress = "http://127.0.0.1:4646"

// Config says which agent to talk to, as whom.
type Config struct {
	Address   string // http://, https:// or unix:///path; empty: DefaultAddress
	Region    string // empty: the agent's own
	Namespace string // of reads and writes that name none; empty: "default"
	Token     string // the secret sent with every request
	HTTPAuth  string // "user" or "user:password" for a proxy in front
	TLS       TLSConfig
}

// TLSConfig is used for https addresses.
type TLSConfig struct {
	CACert     string // file of PEM certificates to trust; with CAPath empty, too: the system's
	CAPath     string // folder of such files
	ClientCert string // file of the certificate to present, with ClientKey
	ClientKey  string
	ServerName string // name to expect in the server's certificate
	SkipVerify bool   // accept any certificate
}

// FromEnv makes a Config from the variables that users of this API set:
// NOMAD_ADDR, NOMAD_REGION, NOMAD_NAMESPACE, NOMAD_TOKEN, NOMAD_HTTP_AUTH,
// NOMAD_CACERT, NOMAD_CAPATH, NOMAD_CLIENT_CERT, NOMAD_CLIENT_KEY,
// NOMAD_TLS_SERVER_NAME and NOMAD_SKIP_VERIFY. Pass os.Getenv.
func FromEnv(getenv func(string) string) Config {
	skip, _ := strconv.ParseBool(getenv("NOMAD_SKIP_VERIFY"))
	return Config{
		Address: getenv("NOMAD_ADDR"), Region: getenv("NOMAD_REGION"), Namespace: getenv("NOMAD_NAMESPACE"),
		Token: getenv("NOMAD_TOKEN"), HTTPAuth: getenv("NOMAD_HTTP_AUTH"),
		TLS: TLSConfig{
			CACert: getenv("NOMAD_CACERT"), CAPath: getenv("NOMAD_CAPATH"),
			ClientCert: getenv("NOMAD_CLIENT_CERT"), ClientKey: getenv("NOMAD_CLIENT_KEY"),
			ServerName: getenv("NOMAD_TLS_SERVER_NAME"), SkipVerify: skip,
		},
	}
}

// endpoint is a Config's address, taken apart.
type endpoint struct {
	base   *url.URL // scheme, host and path prefix that requests are made with
	socket string   // path of a unix socket, or empty
}

func parseAddress(addr string) (endpoint, error) {
	if addr == "" {
		addr = DefaultAddress
	}
	if path, ok := strings.CutPrefix(addr, "unix://"); ok {
		if path == "" {
			return endpoint{}, api.Errorf(api.CodeInvalid, "address %q names no socket: write unix:///path/to/socket", addr)
		}
		return endpoint{base: &url.URL{Scheme: "http", Host: "localhost"}, socket: path}, nil
	}
	if !strings.Contains(addr, "://") {
		addr = "http://" + addr
	}
	u, err := url.Parse(addr)
	if err != nil {
		return endpoint{}, api.Errorf(api.CodeInvalid, "address %q can't be read: write it like %s", addr, DefaultAddress)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return endpoint{}, api.Errorf(api.CodeInvalid, "address %q is neither http://, https:// nor unix://: write it like %s", addr, DefaultAddress)
	}
	return endpoint{base: &url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimSuffix(u.Path, "/")}}, nil
}

// String is the address as a user would write it.
func (e endpoint) String() string {
	if e.socket != "" {
		return "unix://" + e.socket
	}
	return e.base.String()
}

// load reads the files that c names. It returns nil when nothing is set.
func (c *TLSConfig) load(host string) (*tls.Config, error) {
	if *c == (TLSConfig{}) {
		return nil, nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName, InsecureSkipVerify: c.SkipVerify}
	if out.ServerName == "" {
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		out.ServerName = host
	}
	files, err := c.authorities()
	if err != nil {
		return nil, err
	}
	if len(files) > 0 {
		out.RootCAs = x509.NewCertPool()
		for _, f := range files {
			if err := addPEM(out.RootCAs, f); err != nil {
				return nil, err
			}
		}
	}
	switch {
	case c.ClientCert != "" && c.ClientKey != "":
		pair, err := tls.LoadX509KeyPair(c.ClientCert, c.ClientKey)
		if err != nil {
			return nil, fmt.Errorf("client certificate: %w", err)
		}
		out.Certificates = []tls.Certificate{pair}
	case c.ClientCert != "" || c.ClientKey != "":
		return nil, api.Errorf(api.CodeInvalid, "a client certificate needs both its file and its key file: set the missing one")
	}
	return out, nil
}

// authorities lists the files of CACert and CAPath.
func (c *TLSConfig) authorities() ([]string, error) {
	var files []string
	if c.CACert != "" {
		files = append(files, c.CACert)
	}
	if c.CAPath != "" {
		entries, err := os.ReadDir(c.CAPath)
		if err != nil {
			return nil, fmt.Errorf("folder of certificate authorities: %w", err)
		}
		for _, e := range entries {
			if !e.IsDir() {
				files = append(files, filepath.Join(c.CAPath, e.Name()))
			}
		}
	}
	return files, nil
}

func addPEM(pool *x509.CertPool, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("certificate authority: %w", err)
	}
	if block, _ := pem.Decode(text); block == nil || !pool.AppendCertsFromPEM(text) {
		return api.Errorf(api.CodeInvalid, "certificate authority %s holds no PEM certificate", file)
	}
	return nil
}
