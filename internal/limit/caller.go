package limit

import (
	"hash/maphash"
	"net"
	"net/netip"
)

// Key names whom something is counted for. The seed is of this process, so
// that nobody outside can choose keys that collide.
type Key uint64

var seed = maphash.MakeSeed()

// keyOf makes a Key of a text. 0 is no key.
func keyOf(kind byte, s string) Key {
	var h maphash.Hash
	h.SetSeed(seed)
	_ = h.WriteByte(kind)
	_, _ = h.WriteString(s)
	return Key(h.Sum64() | 1)
}

// TokenKey is the key of a token's owner.
func TokenKey(accessorID string) Key { return keyOf('t', accessorID) }

// AddressKey is the key of an address, host:port. own reports whether it is of
// this machine; what is no address counts as one caller.
func AddressKey(remote string) (k Key, own bool) {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		host, _, err := net.SplitHostPort(remote)
		if err != nil {
			host = remote
		}
		return keyOf('a', host), false
	}
	ip := at.Addr().Unmap().WithZone("")
	if ip.IsLoopback() {
		return 0, true
	}
	b := ip.As16()
	if ip.Is6() {
		clear(b[8:])
	}
	var h maphash.Hash
	h.SetSeed(seed)
	_ = h.WriteByte('a')
	_, _ = h.Write(b[:])
	return Key(h.Sum64() | 1), false
}
