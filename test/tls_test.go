package test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// webClient is how a story's commands reach agents: like the command line,
// with TLS when the story has set NOMAD_CACERT, which it does before it starts
// agents that are to be asked that way.
func webClient(ts *testscript.TestScript) *http.Client {
	ca := ts.Getenv("NOMAD_CACERT")
	if ca == "" {
		return http.DefaultClient
	}
	cfg := &tls.Config{RootCAs: x509.NewCertPool()}
	if text, err := os.ReadFile(ts.MkAbs(ca)); err == nil { // the agent may still have to make it
		cfg.RootCAs.AppendCertsFromPEM(text)
	}
	if cert := ts.Getenv("NOMAD_CLIENT_CERT"); cert != "" {
		pair, err := tls.X509KeyPair([]byte(ts.ReadFile(cert)), []byte(ts.ReadFile(ts.Getenv("NOMAD_CLIENT_KEY"))))
		ts.Check(err)
		cfg.Certificates = []tls.Certificate{pair}
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}}
}

// cmdWaitLog waits for what has no other sign.
func cmdWaitLog(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, !neg && len(args) == 2, "wait-log NAME TEXT")
	retry(ts, "the log of "+args[0]+" to hold "+args[1], func() (bool, string) {
		text, err := os.ReadFile(ts.MkAbs(args[0] + ".log"))
		if err != nil {
			return false, err.Error()
		}
		return strings.Contains(string(text), args[1]), "it does not"
	})
}

// TestGuideIsRun holds docs/security/tls.md against the story that runs it:
// every command and every configuration of the guide is in the story.
func TestGuideIsRun(t *testing.T) {
	guide, err := os.ReadFile(filepath.Join("..", "docs", "security", "tls.md"))
	if err != nil {
		t.Fatal(err)
	}
	story, err := os.ReadFile(filepath.Join("scripts", "tls.txt"))
	if err != nil {
		t.Fatal(err)
	}
	kind, count := "", 0
	for line := range strings.Lines(string(guide)) {
		line = strings.TrimSuffix(line, "\n")
		if fence, ok := strings.CutPrefix(line, "```"); ok {
			kind = fence
			continue
		}
		if line == "" || kind == "" || line == "export NOMAD_ADDR=https://localhost:4646" { // agent start sets it
			continue
		}
		want := line
		if kind == "sh" {
			want = "exec " + line
			if set, ok := strings.CutPrefix(line, "export "); ok {
				want = "env " + set
			}
			want = strings.ReplaceAll(want, "https://localhost:4646", "$NOMAD_ADDR")
		}
		count++
		if !strings.Contains(string(story), want+"\n") {
			t.Errorf("the story does not hold %q", want)
		}
	}
	if count == 0 {
		t.Error("the guide holds no commands")
	}
}
