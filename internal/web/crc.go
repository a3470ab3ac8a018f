package web

import "hash/crc32"

// The CRC of gzip is a remainder of polynomials over GF(2), bits reflected:
// the CRC of two texts in a row is that of the first times x^(8·n), where n is
// the length of the second, plus that of the second. So the CRC of a whole is
// combined from those of its parts, without a look at the bytes.

func crcOf(b []byte) uint32 { return crc32.ChecksumIEEE(b) }

// crcTimes multiplies two remainders.
func crcTimes(a, b uint32) uint32 {
	var p uint32
	for m := uint32(1) << 31; ; m >>= 1 {
		if a&m != 0 {
			if p ^= b; a&(m-1) == 0 {
				return p
			}
		}
		if b&1 != 0 {
			b = b>>1 ^ crc32.IEEE
		} else {
			b >>= 1
		}
		if m == 1 {
			return p
		}
	}
}

// crcPowers[k] is x^(2^k).
var crcPowers = func() (t [64]uint32) {
	t[0] = 1 << 30 // x
	for k := 1; k < len(t); k++ {
		t[k] = crcTimes(t[k-1], t[k-1])
	}
	return t
}()

// crcSkip returns x^(8·n): what goes over n bytes.
func crcSkip(n int) uint32 {
	p := uint32(1) << 31 // 1
	for k := 3; n > 0; k, n = k+1, n>>1 {
		if n&1 != 0 {
			p = crcTimes(crcPowers[k], p)
		}
	}
	return p
}

// crcJoin returns the CRC of two texts in a row; skip is crcSkip of the
// second's length.
func crcJoin(first, second, skip uint32) uint32 { return crcTimes(skip, first) ^ second }
