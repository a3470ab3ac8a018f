package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/drover-org/drover/internal/auth"
	"github.com/drover-org/drover/internal/server"
	"github.com/drover-org/drover/internal/sso"
)

// aclResetFile is in the server's data directory; operators know its name.
const aclResetFile = "acl-bootstrap-reset"

// buildACL completes the use cases' configuration and adds the part: acl.
func (d *daemon) buildACL(cfg *server.Config, sealer auth.Sealer) {
	resolver := auth.New(auth.Config{
		Store: cfg.Store, Sealer: sealer, Log: d.log, Now: time.Now,
		Identities: server.Identities{Store: cfg.Store, Verifier: cfg.Keyring},
	})
	cfg.Authorizer = resolver
	cfg.ACL = &server.ACL{
		Rights: resolver, Sealer: sealer, Logins: sso.New(time.Now), MinTTL: d.cfg.ACL.MinTokenTTL, MaxTTL: d.cfg.ACL.MaxTokenTTL,
		ResetIndex: func() (uint64, error) { return readReset(d.dirs.server) },
	}
	d.parts = append(d.parts, part{"acl", resolver.Run})
}

// readReset returns the index that an operator wrote into the reset file, 0
// without a file. A server without a directory has none.
func readReset(dir string) (uint64, error) {
	if dir == "" {
		return 0, nil
	}
	path := filepath.Join(dir, aclResetFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the reset file of ACLs: %w", err)
	}
	index, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s must hold the reset index that a refused bootstrap names, and nothing else", path)
	}
	return index, nil
}
