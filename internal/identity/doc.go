// Package identity says what the signed tokens of a region's tasks claim.
//
// The package knows no keys and no state. It makes claims, has a [Signer] sign
// them, and reads them back from what a [Verifier] has verified. A task can't
// choose its claims: extra ones are facts that the servers know.
package identity
