package test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"sync"

	"github.com/drover-org/drover/internal/sso/ssotest"
	"github.com/rogpeppe/go-internal/testscript"
)

// idps are the identity providers of stories, by URL.
var idps sync.Map

func cmdIDP(ts *testscript.TestScript, neg bool, args []string) {
	switch {
	case !neg && len(args) == 1 && args[0] == "start":
		p := ssotest.New()
		idps.Store(p.URL(), p)
		ts.Defer(p.Close)
		der, err := x509.MarshalPKIXPublicKey(p.PublicKey())
		ts.Check(err)
		text, err := json.Marshal(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
		ts.Check(err)
		ts.Setenv("IDP", p.URL())
		ts.Setenv("IDP_KEY", strings.Trim(string(text), `"`))
	case !neg && len(args) == 3 && args[0] == "sign":
		p, ok := idps.Load(ts.Getenv("IDP"))
		need(ts, ok, "idp start, before idp sign")
		var claims map[string]any
		ts.Check(json.Unmarshal([]byte(args[2]), &claims))
		ts.Setenv(args[1], p.(*ssotest.Provider).Sign(claims))
	default:
		need(ts, false, "idp start | idp sign NAME CLAIMS")
	}
}
