package localdb

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Names of the files that hold tokens, in the node's state directory.
const (
	identityTokenName = "node-identity.jwt"
	introductionName  = "intro_token.jwt"
)

// maxToken bounds what is read of such a file.
const maxToken = 16 << 10

// IdentityToken is the file that holds the identity which servers gave a node.
type IdentityToken struct{ Dir string }

// Load returns the token, "" when there is none that can be read: servers give
// another.
func (t IdentityToken) Load() string {
	text, err := readToken(filepath.Join(t.Dir, identityTokenName))
	if err != nil {
		return ""
	}
	return text
}

// Save replaces the token.
func (t IdentityToken) Save(token string) error {
	return replace(filepath.Join(t.Dir, identityTokenName), []byte(token))
}

// LoadIntroduction returns the token by which the node is to join, that
// somebody put into its state directory; "" when there is none.
func LoadIntroduction(dir string) (string, error) {
	text, err := readToken(filepath.Join(dir, introductionName))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return text, err
}

func readToken(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxToken))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return strings.TrimSpace(string(text)), nil
}
