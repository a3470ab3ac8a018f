// Package identity says what the signed tokens of a region claim: the
// identities of tasks and of nodes, and the introductions of new nodes.
//
// The package knows no keys and no state. It makes claims, has a [Signer] sign
// them, and reads them back from what a [Verifier] has verified. A token of
// one kind is never taken for one of another. A task can't choose its claims:
// extra ones are facts that the servers know.
package identity
