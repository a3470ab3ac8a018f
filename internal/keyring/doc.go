// Package keyring holds the root keys of a region: they seal secrets in the
// state, hash them for lookup and sign identities.
//
// # Root keys
//
// A root key is one secret of 32 bytes from which the keys for sealing
// (AES-256-GCM), hashing (HMAC-SHA-256) and signing (Ed25519) are derived; a
// key that signs with RS256 holds an RSA key besides. Leaders make root keys
// and the log replicates them, so that every server can open what another one
// sealed.
//
// # Wrapping
//
// The log and the snapshots hold a root key only wrapped: encrypted to the
// [ServerKey] of each server (HPKE with ML-KEM-768 and X25519). A server key is
// a file outside the log, made by the server itself, and never leaves it: the
// log, a snapshot or a backup alone opens nothing, servers share no secret
// that somebody would have to distribute, and a server that left is left out
// of the next root key. Whoever holds one root key can wrap it for a new
// server, of which only the public part must be known.
//
// # Use
//
// A [Ring] follows the wrapped keys in the state by itself: whatever is in the
// state when it is asked counts, so that a key is in use from the moment on at
// which it was committed.
//
// What is sealed or hashed begins with the ID of its key (api.SealedBy), and
// carries the context it was made for: moved to another row it does not open.
// Signed tokens name their key as any JWT does.
package keyring
