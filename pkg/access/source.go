package access

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// source is the address that a request comes from: the connection's, or, where
// that is a trusted proxy's, the last one that the proxies did not add
// themselves. What a stranger writes into X-Forwarded-For counts for nothing.
// An address that cannot be told is the zero one, which is in no network.
func (g *Gate) source(r *http.Request) netip.Addr {
	at := address(r.RemoteAddr)
	if !g.trusted(at) {
		return at
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if hop = strings.TrimSpace(hop); hop == "" {
			continue
		}
		if at = address(hop); !g.trusted(at) {
			return at
		}
	}
	return at
}

func (g *Gate) trusted(a netip.Addr) bool {
	return slices.ContainsFunc(g.cfg.Proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// address reads an address with or without a port.
func address(s string) netip.Addr {
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		ap, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}
		}
		a = ap.Addr()
	}
	return a.Unmap().WithZone("")
}

// network is the part of an address that one household or company has in
// common: what attempts are counted by, in memory alone. The zero prefix
// stands for addresses that cannot be told.
func network(a netip.Addr) netip.Prefix {
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, _ := a.Prefix(bits)
	return p
}
