package test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/rogpeppe/go-internal/testscript"
)

// cmdVerifyJWT verifies a token the way others do: with the published keys and
// nothing else.
func cmdVerifyJWT(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, !neg && len(args) == 2, "verify-jwt TOKEN JWKS")
	var set jose.JSONWebKeySet
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &set))
	token, err := jwt.ParseSigned(strings.TrimSpace(ts.ReadFile(args[0])), []jose.SignatureAlgorithm{jose.EdDSA})
	ts.Check(err)
	keys := set.Key(token.Headers[0].KeyID)
	if len(keys) != 1 {
		ts.Fatalf("%d keys have the ID %q", len(keys), token.Headers[0].KeyID)
	}
	var claims map[string]any
	ts.Check(token.Claims(keys[0].Key, &claims))
	text, err := json.Marshal(claims)
	ts.Check(err)
	_, _ = ts.Stdout().Write(text)
}

func cmdNoSecret(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, !neg && len(args) == 2 && args[1] != "", "no-secret DIR TEXT")
	files := 0
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		if err == nil && bytes.Contains(b, []byte(args[1])) {
			ts.Fatalf("%s holds it in clear", path)
		}
		return err
	}))
	if files == 0 {
		ts.Fatalf("there is no file below %s", args[0])
	}
}
