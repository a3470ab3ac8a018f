package config

import (
	"strings"
	"testing"
)

// keys are those that TLS needs beside what a case is about.
const tlsFiles = " ca_file = \"ca.pem\"\n cert_file = \"c.pem\"\n key_file = \"k.pem\"\n"

func TestTLSAndLimitsAreWholeOrRefused(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"both":           {"tls {\n http = true\n rpc = true\n verify_https_client = true\n verify_server_hostname = true\n" + tlsFiles + "}\n", ""},
		"upgrade":        {"tls {\n rpc = true\n rpc_upgrade_mode = true\n" + tlsFiles + "}\n", ""},
		"api only":       {"tls {\n http = true\n cert_file = \"c.pem\"\n key_file = \"k.pem\"\n}\n", ""},
		"suites":         {"tls {\n http = true\n tls_min_version = \"tls13\"\n tls_cipher_suites = \"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256\"\n" + tlsFiles + "}\n", ""},
		"no certificate": {"tls {\n rpc = true\n}\n", "tls.cert_file is empty"},
		"makes its own":  {"tls {\n http = true\n}\n", ""},
		"half its own":   {"tls {\n http = true\n key_file = \"k\"\n}\n", "tls.cert_file is empty"},
		"no key":         {"tls {\n rpc = true\n ca_file = \"a\"\n cert_file = \"c\"\n}\n", "tls.key_file is empty"},
		"no authority":   {"tls {\n rpc = true\n cert_file = \"c\"\n key_file = \"k\"\n}\n", "tls.ca_file is empty"},
		"no callers":     {"tls {\n http = true\n verify_https_client = true\n cert_file = \"c\"\n key_file = \"k\"\n}\n", "tls.ca_file is empty"},
		"callers of http": {"tls {\n rpc = true\n verify_https_client = true\n" + tlsFiles + "}\n",
			"tls.verify_https_client is without effect"},
		"upgrade of nothing": {"tls {\n http = true\n rpc_upgrade_mode = true\n" + tlsFiles + "}\n", "tls.rpc_upgrade_mode is without effect"},
		"no roles":           {"tls {\n rpc = true\n verify_server_hostname = false\n" + tlsFiles + "}\n", "roles are always verified"},
		"weak version":       {"tls {\n http = true\n tls_min_version = \"tls11\"\n" + tlsFiles + "}\n", `"tls11" is broken`},
		"no version":         {"tls {\n http = true\n tls_min_version = \"1.2\"\n" + tlsFiles + "}\n", `"1.2" is not a version`},
		"weak suite":         {"tls {\n http = true\n tls_cipher_suites = \"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA\"\n" + tlsFiles + "}\n", "unknown or weak"},
		"only new suites":    {"tls {\n http = true\n tls_cipher_suites = \"TLS_AES_128_GCM_SHA256\"\n" + tlsFiles + "}\n", "leaves nothing for TLS 1.2"},
		"limits":             {"limits {\n http_request_rate = 0.5\n http_request_burst = 1\n http_stall_timeout = \"1m\"\n rpc_max_conns_per_client = 0\n http_max_exec_per_client = 1\n http_max_streams_per_client = 1\n http_max_watches_per_client = 1\n}\n", ""},
		"negative":           {"limits {\n http_max_watches_per_client = -1\n}\n", "limits.http_max_watches_per_client -1 must not be negative"},
		"no burst":           {"limits {\n http_request_burst = 0\n}\n", "limits.http_request_burst 0 must be"},
		"a wild rate":        {"limits {\n http_request_rate = 1e9\n}\n", "limits.http_request_rate 1e+09 must be"},
		"no time":            {"limits {\n http_stall_timeout = \"1ms\"\n}\n", "limits.http_stall_timeout 1ms is less"},
		"no patience":        {"limits {\n https_handshake_timeout = \"0s\"\n}\n", "must be above 0"},
	} {
		_, _, err := Load(true, []string{write(t, "a.hcl", c.text)}, nil)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// An address that others reach needs to know who they are.
func TestBindFailsClosed(t *testing.T) {
	const public = "bind_addr = \"0.0.0.0\"\n"
	const api, rpc = "addresses.http run commands", "addresses.rpc run commands"
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"nothing":               {public, []string{api, rpc}},
		"explicit":              {public + "allow_insecure_bind = true\n", nil},
		"all":                   {public + "tls {\n http = true\n rpc = true\n verify_https_client = true\n" + tlsFiles + "}\n", nil},
		"callers not verified":  {public + "tls {\n http = true\n rpc = true\n" + tlsFiles + "}\n", []string{api}},
		"api on loopback":       {public + "addresses {\n http = \"127.0.0.1\"\n}\ntls {\n rpc = true\n" + tlsFiles + "}\n", nil},
		"plain rpc":             {public + "tls {\n http = true\n verify_https_client = true\n" + tlsFiles + "}\n", []string{rpc}},
		"rpc in upgrade":        {public + "tls {\n http = true\n rpc = true\n verify_https_client = true\n rpc_upgrade_mode = true\n" + tlsFiles + "}\n", []string{rpc}},
		"rpc on another":        {"addresses {\n rpc = \"10.0.0.1\"\n}\n", []string{rpc}},
		"loopback of version 6": {"bind_addr = \"::1\"\n", nil},
	} {
		_, _, err := Load(true, []string{write(t, "a.hcl", c.text)}, nil)
		for _, want := range []string{api, rpc} {
			expected := strings.Contains(strings.Join(c.want, " "), want)
			if got := err != nil && strings.Contains(err.Error(), want); got != expected {
				t.Errorf("%s: %v, want %q: %v", name, err, want, expected)
			}
		}
	}
}
