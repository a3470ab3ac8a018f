package keyring

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/drover-org/drover/api"
)

func TestTokensThatAreRefused(t *testing.T) {
	src := newState()
	ring, _ := newRing(t, src)
	k := newKey(t, ring, api.SigningEdDSA)
	src.rotate(k)
	sign := func(claims any) string {
		token, err := ring.Sign(t.Context(), claims)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	at := func(d time.Duration) *jwt.NumericDate { return jwt.NewNumericDate(start.Add(d)) }
	good := sign(jwt.Claims{Subject: "s", Expiry: at(time.Hour), NotBefore: at(0), IssuedAt: at(0)})
	if err := ring.Verify(good, &struct{}{}); err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(good, ".")
	body, mac, _ := strings.Cut(rest, ".")
	withHead := func(h map[string]any) string {
		b, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b) + "." + body + "." + mac
	}
	// Signed with the public key as a shared secret: the classic confusion.
	hs, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: k.PublicKey, KeyID: k.KeyID}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	confused, err := jwt.Signed(hs).Claims(jwt.Claims{Subject: "s"}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	_, stranger, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: stranger, KeyID: k.KeyID}}, (&jose.SignerOptions{EmbedJWK: false}))
	if err != nil {
		t.Fatal(err)
	}
	forged, err := jwt.Signed(foreign).Claims(jwt.Claims{Subject: "s"}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	embedding, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: stranger}, (&jose.SignerOptions{EmbedJWK: true}))
	if err != nil {
		t.Fatal(err)
	}
	embedded, err := jwt.Signed(embedding).Claims(jwt.Claims{Subject: "s"}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	otherBody := base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"other"}`))
	for name, token := range map[string]string{
		"empty":              "",
		"a secret":           api.NewID(),
		"no signature":       head + "." + body + ".",
		"two parts":          head + "." + body,
		"other claims":       head + "." + otherBody + "." + mac,
		"algorithm none":     withHead(map[string]any{"alg": "none", "kid": k.KeyID}),
		"another algorithm":  withHead(map[string]any{"alg": "RS256", "kid": k.KeyID}),
		"no key":             withHead(map[string]any{"alg": "EdDSA"}),
		"an unknown key":     withHead(map[string]any{"alg": "EdDSA", "kid": api.NewID()}),
		"a critical header":  withHead(map[string]any{"alg": "EdDSA", "kid": k.KeyID, "crit": []string{"x"}, "x": 1}),
		"a shared secret":    confused,
		"a stranger":         forged,
		"its own key":        embedded,
		"expired":            sign(jwt.Claims{Expiry: at(-time.Minute)}),
		"of the future":      sign(jwt.Claims{NotBefore: at(time.Minute)}),
		"issued later":       sign(jwt.Claims{IssuedAt: at(time.Minute)}),
		"too long":           good + strings.Repeat("x", MaxToken),
		"JSON serialization": `{"payload":"` + body + `","signatures":[{"protected":"` + head + `","signature":"` + mac + `"}]}`,
	} {
		err := ring.Verify(token, &struct{}{})
		if api.ErrorCode(err) != api.CodeForbidden {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && len(token) > 0 && strings.Contains(err.Error(), token) {
			t.Errorf("%s: the error holds the token", name)
		}
	}
}

// What others make of the published keys verifies what the ring signed.
func TestPublicKeysVerify(t *testing.T) {
	src := newState()
	ring, _ := newRing(t, src)
	for _, alg := range []string{api.SigningEdDSA, api.SigningRS256} {
		src.rotate(newKey(t, ring, alg))
		token, err := ring.Sign(t.Context(), map[string]any{"sub": alg})
		if err != nil {
			t.Fatal(err)
		}
		published, index := ring.PublicKeys()
		b, err := json.Marshal(published)
		if err != nil || index == 0 {
			t.Fatal(err, index)
		}
		if strings.Contains(string(b), `"d"`) {
			t.Fatalf("private keys are published: %s", b)
		}
		var set jose.JSONWebKeySet
		if err := json.Unmarshal(b, &set); err != nil {
			t.Fatal(err)
		}
		parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.EdDSA, jose.RS256})
		if err != nil {
			t.Fatal(err)
		}
		found := set.Key(parsed.Headers[0].KeyID)
		if len(found) != 1 || found[0].Algorithm != alg {
			t.Fatalf("%s: %d keys", alg, len(found))
		}
		var claims struct {
			Sub string `json:"sub"`
		}
		if err := parsed.Claims(found[0].Key, &claims); err != nil || claims.Sub != alg {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	src := newState()
	ring, _ := newRing(f, src)
	src.rotate(newKey(f, ring, api.SigningEdDSA))
	good, err := ring.Sign(f.Context(), map[string]any{"sub": "s"})
	if err != nil {
		f.Fatal(err)
	}
	head, _, _ := strings.Cut(good, ".")
	for _, seed := range []string{"", ".", "..", "...", good[:len(good)-2], "eyJhbGciOiJub25lIn0..", "{}", head + ".e30.AA", head + ".e30." + strings.Repeat("A", 86)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		// The signature is unforgeable: nothing but what was signed is taken.
		if err := ring.Verify(token, &struct{}{}); err == nil && token != good {
			t.Errorf("%q was taken", token)
		} else if err != nil && api.ErrorCode(err) != api.CodeForbidden {
			t.Errorf("%q: %v", token, err)
		}
	})
}
