// Package auth finds out whose a secret is and what he may do.
//
// A [Resolver] looks a secret up in the state by its keyed hash, gathers the
// policies of the token and of its roles, and keeps what it compiled: by
// token as long as the state's ACL index stays, by set of policies as long as
// these do. A change of the state therefore counts from the next question on,
// and what goes on (streams, sessions) is told by [Resolver.Changed]. A
// request without a token has the policy "anonymous", if there is one.
//
// Identities of workloads are tokens of another kind: signed, not stored.
// Whoever can verify them is given to the Resolver as [Identities].
//
// The state never holds a secret in clear. What [Sealer] does is all that is
// needed of a key: hash for looking up, seal for those who may see a secret.
package auth
