// Package sso finds out who somebody is by asking those whom auth methods
// name: it checks signed tokens (JWT) and runs the server's half of OpenID
// Connect logins. What the somebody may do is decided by binding rules, which
// this package evaluates, and by the server, which makes the token.
//
//	token or code ─▶ Logins ─▶ claims ─▶ Identity ─▶ Selector, Template
//
// # Trust
//
// Nothing of a token is used before its signature, issuer, audience and times
// have been checked. Signatures with a shared secret, or with none, are not
// known here at all. Keys come from the method or over https from the provider
// it names; http is taken for this machine only.
//
// # Bounds
//
// A login comes from somebody who has shown nothing yet. So it can't make this
// server send as many requests as he likes: those that go out are bounded in
// number, size, time and redirections, keys are kept and asked for anew at most
// every few seconds, and the state of a login in a browser is not kept at all:
// it travels sealed in the login's own URL (see Flow).
package sso
