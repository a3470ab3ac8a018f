package limit

import (
	"hash/maphash"
	"net"
	"net/netip"
)

// Key names whom something is counted for. The seeds are of this process, so
// that nobody outside can choose keys that collide. 0 is no key.
type Key uint64

var tokenSeed, addressSeed = maphash.MakeSeed(), maphash.MakeSeed()

// TokenKey is the key of a token's owner.
func TokenKey(accessorID string) Key { return Key(maphash.String(tokenSeed, accessorID) | 1) }

// AddressKey is the key of an address, host:port. own reports whether it is of
// this machine, which has key 0; what is no address counts as one caller.
func AddressKey(remote string) (k Key, own bool) {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		host, _, err := net.SplitHostPort(remote)
		if err != nil {
			host = remote
		}
		return Key(maphash.String(addressSeed, host) | 1), false
	}
	ip := at.Addr()
	if ip.IsLoopback() || ip.Unmap().IsLoopback() {
		return 0, true
	}
	b := ip.As16() // of version 4 as mapped into 6
	if !ip.Is4() && !ip.Is4In6() {
		clear(b[8:])
	}
	return Key(maphash.Bytes(addressSeed, b[:]) | 1), false
}
