package treatment

import (
	"net/netip"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/event"
)

// What truncate keeps where a column does not say.
const (
	defaultIPv4Bits = 24
	defaultIPv6Bits = 48
)

// sixToFour is 2002::/16 (RFC 3056), whose next 32 bits are an IPv4 address:
// the first 48 bits of such an address are a whole IPv4 address and more.
var sixToFour = netip.MustParsePrefix("2002::/16")

// truncate leaves the network of an IP address as text, "192.0.2.0/24" (P3).
// An IPv4-mapped address counts as IPv4. What is no address leaves nothing:
// proxies write "unknown" and worse where an address belongs, and there is no
// person to be found by it.
func truncate(ipv4Bits, ipv6Bits int) func(event.Value) (event.Value, flaw) {
	if ipv4Bits <= 0 || ipv4Bits > 32 {
		ipv4Bits = defaultIPv4Bits
	}
	if ipv6Bits <= 0 || ipv6Bits > 128 {
		ipv6Bits = defaultIPv6Bits
	}
	return func(v event.Value) (event.Value, flaw) {
		if v.Kind() != event.String {
			return event.Value{}, wrongType
		}
		addr, ok := lenientAddr(v.Str())
		if !ok {
			return event.Value{}, sound
		}
		bits := ipv6Bits
		switch {
		case addr.Is4():
			bits = ipv4Bits
		case sixToFour.Contains(addr):
			bits = min(bits, 16+ipv4Bits)
		}
		prefix, err := addr.Prefix(bits)
		if err != nil {
			return event.Value{}, sound
		}
		return event.StringValue(prefix.String()), sound
	}
}

// lenientAddr reads an address with or without brackets, port and zone.
func lenientAddr(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	if len(s) > 128 {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		var ap netip.AddrPort
		if ap, err = netip.ParseAddrPort(s); err == nil {
			addr = ap.Addr()
		} else if len(s) > 2 && s[0] == '[' && s[len(s)-1] == ']' {
			addr, err = netip.ParseAddr(s[1 : len(s)-1])
		}
	}
	if err != nil {
		return netip.Addr{}, false
	}
	return addr.Unmap().WithZone(""), true
}
