package api

// RootKey describes a key that seals secrets in the state and signs
// identities. It holds no key material.
type RootKey struct {
	KeyID            string
	Algorithm        string // that seals: AlgorithmAES256GCM
	SigningAlgorithm string // that signs: SigningEdDSA or SigningRS256
	State            RootKeyState
	CreateTime       int64 // Unix nanoseconds
	PublishTime      int64 // when a prepublished key becomes the active one, or did; 0: at once
	InactiveTime     int64 `json:",omitempty"` // since when it seals and signs nothing new
	CreateIndex      uint64
	ModifyIndex      uint64
}

// RootKeyState is where a root key is in its life.
type RootKeyState string

// The states of a root key. Exactly one key is active.
const (
	RootKeyPrepublished RootKeyState = "prepublished" // others may learn its public part before it signs
	RootKeyActive       RootKeyState = "active"       // seals and signs
	RootKeyInactive     RootKeyState = "inactive"     // opens and verifies what it sealed and signed
	RootKeyRekeying     RootKeyState = "rekeying"     // as inactive, and what it sealed is being sealed again
)

// Algorithms of root keys.
const (
	AlgorithmAES256GCM = "aes256-gcm"
	SigningEdDSA       = "EdDSA" // Ed25519
	SigningRS256       = "RS256" // for consumers that know nothing newer
)

// WrappedRootKey is a root key as servers keep it. It never leaves them: no
// route answers with one.
type WrappedRootKey struct {
	RootKey
	PublicKey []byte            // PKIX form of what verifies
	Wrapped   map[string][]byte // the secret material, encrypted to a server's own key, by that key's ID
}

// RootKeyRotation asks for a new root key.
type RootKeyRotation struct {
	Algorithm        string // AlgorithmAES256GCM, the default
	SigningAlgorithm string // default: that of the active key
	Full             bool   // also seal again what older keys sealed
	PublishTime      int64  // Unix nanoseconds; until then the key is only published
}

// RootKeyResponse answers a rotation.
type RootKeyResponse struct {
	Key   *RootKey
	Index uint64
}

// sealedVersion begins what a root key sealed or hashed.
const sealedVersion = 1

// SealedHeaderLen is the length of what AppendSealedHeader appends.
const SealedHeaderLen = 1 + len(ID{})

// AppendSealedHeader appends the beginning of what a root key seals or hashes:
// a version and the key's ID.
func AppendSealedHeader(b []byte, key ID) []byte { return append(append(b, sealedVersion), key[:]...) }

// SealedBy returns the ID of the root key that sealed or hashed something, and
// false for anything else.
func SealedBy(sealed []byte) (keyID ID, ok bool) {
	if len(sealed) < SealedHeaderLen || sealed[0] != sealedVersion {
		return ID{}, false
	}
	return ID(sealed[1:SealedHeaderLen]), true
}

// JSONWebKeySet is what verifies the identities of a region.
type JSONWebKeySet struct {
	Keys []JSONWebKey `json:"keys"`
}

// JSONWebKey is the public part of a root key, as RFC 7517 writes it.
type JSONWebKey struct {
	Use       string `json:"use"`
	KeyType   string `json:"kty"`
	KeyID     string `json:"kid"`
	Algorithm string `json:"alg"`
	Curve     string `json:"crv,omitempty"`
	X         string `json:"x,omitempty"` // of an Ed25519 key
	N         string `json:"n,omitempty"` // of an RSA key
	E         string `json:"e,omitempty"`
}

// OpenIDConfiguration tells others where the keys of a region are.
type OpenIDConfiguration struct {
	Issuer        string   `json:"issuer"`
	JWKS          string   `json:"jwks_uri"`
	IDTokenAlgs   []string `json:"id_token_signing_alg_values_supported"`
	ResponseTypes []string `json:"response_types_supported"`
	Subjects      []string `json:"subject_types_supported"`
}
