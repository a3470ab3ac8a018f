package api

import (
	"crypto/rand"
	"encoding/hex"
)

// ID is the binary form of a UUID: 16 bytes, ordered like its text.
type ID [16]byte

// NewID returns a random UUID in its text form.
func NewID() string {
	var id ID
	_, _ = rand.Read(id[:]) // never fails: crypto/rand aborts the process instead
	return id.String()
}

// ParseID reads the 36-character text form of a UUID.
func ParseID(s string) (ID, bool) {
	var id ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, false
	}
	var packed [32]byte
	n := 0
	for i := range len(s) {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			continue
		}
		packed[n] = s[i]
		n++
	}
	if _, err := hex.Decode(id[:], packed[:]); err != nil {
		return ID{}, false
	}
	return id, true
}

// String returns the 36-character text form.
func (id ID) String() string {
	b := id.text()
	return string(b[:])
}

// Is reports whether s is the ID's canonical form.
func (id ID) Is(s string) bool {
	b := id.text()
	return string(b[:]) == s
}

func (id ID) text() (b [36]byte) {
	hex.Encode(b[0:8], id[0:4])
	b[8] = '-'
	hex.Encode(b[9:13], id[4:6])
	b[13] = '-'
	hex.Encode(b[14:18], id[6:8])
	b[18] = '-'
	hex.Encode(b[19:23], id[8:10])
	b[23] = '-'
	hex.Encode(b[24:36], id[10:16])
	return b
}

// ParseIDPrefix decodes the prefix of a UUID to bytes. Hyphens are ignored;
// what remains must be an even number of hexadecimal digits, 32 at most.
func ParseIDPrefix(s string) ([]byte, error) {
	if len(s) > 36 {
		return nil, Errorf(CodeInvalid, "prefix %q is too long: a UUID has 36 characters, this has %d", s[:36]+"…", len(s))
	}
	digits := make([]byte, 0, len(s))
	for i := range len(s) {
		switch c := s[i]; {
		case c == '-':
		case '0' <= c && c <= '9', 'a' <= c && c <= 'f', 'A' <= c && c <= 'F':
			digits = append(digits, c)
		default:
			return nil, Errorf(CodeInvalid, "prefix %q is not hexadecimal: only 0-9, a-f and hyphens may occur", s)
		}
	}
	if len(digits) > 32 {
		return nil, Errorf(CodeInvalid, "prefix %q is too long: a UUID has 32 hexadecimal digits, this has %d", s, len(digits))
	}
	if len(digits)%2 != 0 {
		return nil, Errorf(CodeInvalid, "prefix %q has an odd number of hexadecimal digits (%d): add or remove one", s, len(digits))
	}
	out := make([]byte, len(digits)/2)
	_, _ = hex.Decode(out, digits)
	return out, nil
}
