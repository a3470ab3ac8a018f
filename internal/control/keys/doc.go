// Package keys is the leader loop of the keyring: it makes the first root key
// of a region, replaces the active one when its time is over, and removes old
// ones that nothing needs any more.
//
// decide.go says from a snapshot what is to do now and when to look again,
// without side effects; keys.go does it. A key that replaces another by age is
// published for a while before it signs, so that those who keep public keys
// have it by then.
package keys
