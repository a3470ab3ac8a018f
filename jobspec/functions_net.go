package jobspec

import (
	"fmt"
	"math/big"
	"net"
	"net/netip"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

func networkFunctions() map[string]function.Function {
	prefix := function.Parameter{Name: "prefix", Type: cty.String}
	number := func(name string) function.Parameter { return function.Parameter{Name: name, Type: cty.Number} }
	return map[string]function.Function{
		"cidrhost": function.New(&function.Spec{
			Params: []function.Parameter{prefix, number("hostnum")}, Type: function.StaticReturnType(cty.String),
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return stringOr(cidrHost(args[0], args[1])) },
		}),
		"cidrnetmask": textFunc(func(a []string) (string, error) {
			p, err := netip.ParsePrefix(a[0])
			if err != nil || !p.Addr().Is4() {
				return "", fmt.Errorf("%q is not an IPv4 prefix like 10.0.0.0/8", a[0])
			}
			return net.IP(net.CIDRMask(p.Bits(), 32)).String(), nil
		}, "prefix"),
		"cidrsubnet": function.New(&function.Spec{
			Params: []function.Parameter{prefix, number("newbits"), number("netnum")}, Type: function.StaticReturnType(cty.String),
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
				p, err := parsePrefix(args[0])
				if err != nil {
					return cty.UnknownVal(cty.String), err
				}
				bits, num := intOf(args[1]), intOf(args[2])
				return stringOr(subnet(p, bits, num))
			},
		}),
		"cidrsubnets": function.New(&function.Spec{
			Params: []function.Parameter{prefix}, VarParam: &function.Parameter{Name: "newbits", Type: cty.Number},
			Type: function.StaticReturnType(cty.List(cty.String)), Impl: cidrSubnets,
		}),
	}
}

func stringOr(s string, err error) (cty.Value, error) {
	if err != nil {
		return cty.UnknownVal(cty.String), err
	}
	return cty.StringVal(s), nil
}

func intOf(v cty.Value) *big.Int {
	n, _ := v.AsBigFloat().Int(nil)
	return n
}

func parsePrefix(v cty.Value) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(v.AsString())
	if err != nil {
		return p, fmt.Errorf("%q is not a prefix like 10.0.0.0/8", v.AsString())
	}
	return p.Masked(), nil
}

// offset returns the address n above a prefix's first.
func offset(first netip.Addr, n *big.Int) netip.Addr {
	sum := new(big.Int).Add(new(big.Int).SetBytes(first.AsSlice()), n)
	a, _ := netip.AddrFromSlice(sum.FillBytes(make([]byte, first.BitLen()/8)))
	return a
}

func cidrHost(prefix, num cty.Value) (string, error) {
	p, err := parsePrefix(prefix)
	if err != nil {
		return "", err
	}
	size := new(big.Int).Lsh(big.NewInt(1), uint(p.Addr().BitLen()-p.Bits()))
	n := intOf(num)
	if n.Sign() < 0 {
		n.Add(n, size) // -1 is the last
	}
	if n.Sign() < 0 || n.Cmp(size) >= 0 {
		return "", fmt.Errorf("%s has no host number %s", p, intOf(num))
	}
	return offset(p.Addr(), n).String(), nil
}

func subnet(p netip.Prefix, newBits, num *big.Int) (string, error) {
	free := p.Addr().BitLen() - p.Bits()
	if newBits.Sign() < 0 || newBits.Cmp(big.NewInt(int64(free))) > 0 {
		return "", fmt.Errorf("%s can't be extended by %s bits: 0 to %d are left", p, newBits, free)
	}
	bits := int(newBits.Int64())
	if num.Sign() < 0 || num.BitLen() > bits {
		return "", fmt.Errorf("%d bits have no room for network number %s", bits, num)
	}
	n := new(big.Int).Lsh(num, uint(free-bits))
	return netip.PrefixFrom(offset(p.Addr(), n), p.Bits()+bits).String(), nil
}

// cidrSubnets packs subnets of the given sizes one after the other.
func cidrSubnets(args []cty.Value, _ cty.Type) (cty.Value, error) {
	fail := cty.UnknownVal(cty.List(cty.String))
	p, err := parsePrefix(args[0])
	if err != nil {
		return fail, err
	}
	if len(args) == 1 {
		return cty.ListValEmpty(cty.String), nil
	}
	next := new(big.Int) // in addresses
	total := new(big.Int).Lsh(big.NewInt(1), uint(p.Addr().BitLen()-p.Bits()))
	var out []cty.Value
	for _, a := range args[1:] {
		bits, free := intOf(a), p.Addr().BitLen()-p.Bits()
		if bits.Sign() < 1 || bits.Cmp(big.NewInt(int64(free))) > 0 {
			return fail, fmt.Errorf("%s can't be extended by %s bits: 1 to %d are left", p, bits, free)
		}
		shift := uint(free) - uint(bits.Int64())
		size := new(big.Int).Lsh(big.NewInt(1), shift)
		// A subnet begins at a multiple of its size.
		next.Add(next, new(big.Int).Sub(size, big.NewInt(1)))
		next.Rsh(next, shift).Lsh(next, shift)
		end := new(big.Int).Add(next, size)
		if end.Cmp(total) > 0 {
			return fail, fmt.Errorf("the subnets don't fit into %s", p)
		}
		out = append(out, cty.StringVal(netip.PrefixFrom(offset(p.Addr(), next), p.Bits()+int(bits.Int64())).String()))
		next = end
	}
	return cty.ListVal(out), nil
}
