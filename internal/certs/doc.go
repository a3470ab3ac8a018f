// Package certs makes the certificates of a cluster and keeps those that an
// agent serves with.
//
// # Making
//
// An [Authority] signs one kind of certificate per [Role]. Keys are ECDSA on
// P-256, which every client of the API understands.
//
// # Keeping
//
// A [Keeper] holds the files that the configuration names. Its tls.Configs
// read what it holds at every handshake, so [Keeper.Reload] changes the
// certificates of a running agent without touching a connection that stands. A
// file that is broken, expired or of the wrong role changes nothing.
//
// # Roles
//
// Servers and nodes prove to each other what they are by a name in their
// certificate: server.REGION.nomad or server.REGION.drover for a server,
// client.REGION.nomad or client.REGION.drover for a node. Names are compared
// as a whole. A certificate of the right authority without the right name
// opens no door: who may speak what is decided by [Peer.Is].
package certs
