package api

import (
	"encoding/hex"
	"strings"
	"testing"
)

// A prefix is taken as the bytes its digits say, or refused as the caller's
// fault; nothing else.
func FuzzParseIDPrefix(f *testing.F) {
	for _, s := range []string{"", "a", "ab", "ABcd", "zz", "5456bd7a-9fc0-c0dd-6131-cbee77f57577", "5456bd7a-", "----", "é0", strings.Repeat("0", 37), "ab\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b, err := ParseIDPrefix(s)
		digits := strings.ToLower(strings.ReplaceAll(s, "-", ""))
		want, bad := hex.DecodeString(digits)
		if err == nil && (bad != nil || string(b) != string(want)) {
			t.Errorf("%q was taken as %x", s, b)
		}
		if err != nil && (ErrorCode(err) != CodeInvalid || bad == nil && len(s) <= 36 && len(digits) <= 32) {
			t.Errorf("%q: %v", s, err)
		}
	})
}
