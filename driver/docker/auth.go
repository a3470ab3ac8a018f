package docker

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// helperTime bounds a credential helper.
const helperTime = 30 * time.Second

// login is what the Engine wants in the X-Registry-Auth header.
type login struct {
	Username      string `json:"username,omitempty"`
	Password      string `json:"password,omitempty"`
	Email         string `json:"email,omitempty"`
	ServerAddress string `json:"serveraddress,omitempty"`
	IdentityToken string `json:"identitytoken,omitempty"`
}

// credentials returns the header for the registry of a task's image: from the
// task, the operator's file, or the operator's helper. Empty: there are none.
func (d *Driver) credentials(ctx context.Context, tc *taskConfig) (string, error) {
	registry := registryOf(tc.Image)
	if a := tc.Auth; a != nil && *a != (taskAuth{}) {
		return header(&login{Username: a.Username, Password: a.Password, Email: a.Email, ServerAddress: a.ServerAddress})
	}
	if file := d.cfg.Auth.Config; file != "" {
		found, err := fromFile(ctx, file, registry)
		if found != nil || err != nil {
			return headerOr(found, err)
		}
	}
	if helper := d.cfg.Auth.Helper; helper != "" {
		return headerOr(fromHelper(ctx, helper, registry))
	}
	return "", nil
}

func headerOr(l *login, err error) (string, error) {
	if err != nil || l == nil {
		return "", err
	}
	return header(l)
}

func header(l *login) (string, error) {
	b, err := json.Marshal(l)
	return base64.URLEncoding.EncodeToString(b), err
}

// keys are the names a registry has in files and helpers, best first.
func keys(registry string) []string {
	if registry == "docker.io" {
		return []string{"https://index.docker.io/v1/", "docker.io", "index.docker.io", "registry-1.docker.io"}
	}
	return []string{registry, "https://" + registry, "http://" + registry, "https://" + registry + "/v1/", "https://" + registry + "/v2/"}
}

// fromFile looks into a config.json. Nil: the file has nothing for registry.
func fromFile(ctx context.Context, file, registry string) (*login, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("docker.auth.config: %w", err)
	}
	var content struct {
		Auths map[string]struct {
			Auth, Username, Password, Email, IdentityToken string
		}
		CredHelpers map[string]string
		CredsStore  string
	}
	if err := json.Unmarshal(b, &content); err != nil {
		return nil, fmt.Errorf("docker.auth.config: %s: %w", file, err)
	}
	for _, key := range keys(registry) {
		if helper := content.CredHelpers[key]; helper != "" {
			return fromHelper(ctx, helper, key)
		}
	}
	for _, key := range keys(registry) {
		entry, ok := content.Auths[key]
		if !ok {
			continue
		}
		l := &login{Username: entry.Username, Password: entry.Password, Email: entry.Email, IdentityToken: entry.IdentityToken, ServerAddress: key}
		if entry.Auth != "" {
			plain, err := base64.StdEncoding.DecodeString(entry.Auth)
			if err != nil {
				return nil, fmt.Errorf("docker.auth.config: %s: auth of %s: %w", file, key, err)
			}
			l.Username, l.Password, _ = strings.Cut(strings.TrimRight(string(plain), "\x00"), ":")
		}
		if l.Username != "" || l.IdentityToken != "" {
			return l, nil
		}
	}
	if content.CredsStore != "" {
		return fromHelper(ctx, content.CredsStore, keys(registry)[0])
	}
	return nil, nil
}

// fromHelper asks docker-credential-<helper>. Nil: it knows nothing of it.
func fromHelper(ctx context.Context, helper, registry string) (*login, error) {
	ctx, cancel := context.WithTimeout(ctx, helperTime)
	defer cancel()
	program := "docker-credential-" + helper
	cmd := exec.CommandContext(ctx, program, "get")
	cmd.Stdin = strings.NewReader(registry)
	cmd.WaitDelay = time.Second
	var out, why bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &why
	if err := cmd.Run(); err != nil {
		// Helpers tell on stdout. A failure is no proof that there are none.
		return nil, fmt.Errorf("%s: %w: %s", program, err, firstLine(why.String()+out.String()))
	}
	var answer struct{ Username, Secret, ServerURL string }
	if err := json.Unmarshal(out.Bytes(), &answer); err != nil {
		return nil, fmt.Errorf("%s: its answer is not JSON", program) // which may hold a secret
	}
	if answer.Secret == "" {
		return nil, nil
	}
	l := &login{Username: answer.Username, Password: answer.Secret, ServerAddress: registry}
	if answer.Username == "<token>" {
		l.Username, l.Password, l.IdentityToken = "", "", answer.Secret
	}
	return l, nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
