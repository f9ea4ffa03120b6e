package main_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// canaryPeople is how many people are marked.
const canaryPeople = 200

// A canary is a made-up person whose every value can be told from all others.
type canary struct {
	n                  int
	mark               string // 26 letters and digits
	email, ipv4, phone string
	ipv6               netip.Addr
}

// canaries makes marked people. Their addresses are of the ranges that RFC
// 5737 and RFC 3849 set aside, their numbers of those that are in films.
func canaries(n int) []canary {
	const letters = "abcdefghijklmnopqrstuvwxyz234567"
	random := rand.New(rand.NewChaCha8([32]byte{'c', 'a', 'n', 'a', 'r', 'y'}))
	out := make([]canary, n)
	for i := range out {
		mark := []byte("mk")
		for len(mark) < 26 {
			mark = append(mark, letters[random.IntN(len(letters))])
		}
		mark[5], mark[18] = '7', '3' // a digit in each half
		c := canary{n: i, mark: string(mark)}
		c.email = c.mark + "@example.org"
		c.ipv4 = fmt.Sprintf("%s.%d", []string{"192.0.2", "198.51.100", "203.0.113"}[i%3], 100+i/3)
		b := netip.MustParseAddr("2001:db8:51::").As16()
		for j := 6; j < 16; j++ {
			b[j] = byte(0x10 + random.IntN(0xe0)) // no zero to leave out
		}
		c.ipv6 = netip.AddrFrom16(b)
		c.phone = fmt.Sprintf("+1%d55501%02d", 202+i/100, i%100)
		out[i] = c
	}
	return out
}

// ip is the address that a person comes from.
func (c canary) ip() string {
	if c.n%2 == 0 {
		return c.ipv4
	}
	return c.ipv6.String()
}

// marks are what must be found nowhere of a person.
func (c canary) marks(m *lethetest.Marks) {
	b := c.ipv6.As16()
	mapped := netip.MustParseAddr(c.ipv4).As16()
	for _, v := range []struct{ label, value string }{
		{"mark", c.mark},
		{"first half of the mark", c.mark[:13]},
		{"second half of the mark", c.mark[13:]},
		{"e-mail address", c.email},
		{"IPv4 address", c.ipv4},
		{"IPv4 address in a host name", strings.ReplaceAll(c.ipv4, ".", "-")},
		{"IPv4 address as 16 bytes", string(mapped[:])},
		{"IPv6 address", c.ipv6.String()},
		{"IPv6 address in full", c.ipv6.StringExpanded()},
		{"IPv6 address without its network", strings.Join(strings.Split(c.ipv6.StringExpanded(), ":")[3:], ":")},
		{"IPv6 address as 16 bytes", string(b[:])},
		{"telephone number", c.phone},
	} {
		m.Add(fmt.Sprintf("%s of person %d", v.label, c.n), v.value)
	}
}

// text holds everything of a person that redaction promises to recognize, in
// some of the ways that logs write it.
func (c canary) text() string {
	return fmt.Sprintf("order of %s for %s (user=%s) from %s:443 and [%s]:443 with Bearer %s; "+
		"see https://www.example.org/u/%s/%s?q=%s&token=%s#%s and /home/%s/%s.pdf, "+
		"call %s, password: %s, cookie: sid=%s\nas %s, as %s, as \\u0040%s, as %s (at) example.org",
		c.mark, c.email, c.mark, c.ipv4, c.ipv6, c.mark,
		c.mark, url.PathEscape(c.email), c.mark, c.mark, c.mark, c.mark, c.mark,
		c.phone, c.mark, c.mark,
		url.QueryEscape(c.email), base64.StdEncoding.EncodeToString([]byte(c.email)), c.mark, c.mark)
}

func (c canary) path() string {
	return fmt.Sprintf("/users/%s/%s.pdf;jsessionid=%s/from/%s/%s?q=%s&%s=1&ip=%s&%s#%s",
		url.PathEscape(c.email), c.mark, c.mark, c.ipv4, url.PathEscape(url.PathEscape(c.email)),
		c.mark, c.mark, url.QueryEscape(c.ipv6.String()), c.mark, c.mark)
}

func (c canary) referrer() string {
	host := c.mark + ".example.org"
	switch c.n % 4 {
	case 1:
		host = strings.ReplaceAll(c.ipv4, ".", "-") + ".example.net"
	case 2:
		host = "[" + c.ipv6.String() + "]:8080"
	case 3:
		host = c.ipv4
	}
	return "https://" + c.mark + ":" + c.mark + "@" + host + c.path()
}

// A canaryField is a field in which a person's mark is put.
type canaryField struct {
	policy.Field
	longest int // code points, -1 where nothing bounds it
	to      string
}

// value is what a person's event says in the field.
func (f canaryField) value(c canary) string {
	s := c.mark
	switch {
	case f.Identifier == "ip":
		s = c.ip()
	case f.Identifier == "account" || f.Identifier == "email":
		s = c.email
	case f.Identifier != "":
		s = f.Identifier + " " + c.mark
	case f.Class == policy.FreeText && f.to == "path":
		s = c.path()
	case f.Class == policy.FreeText && f.to == "host":
		s = c.referrer()
	case f.Class == policy.FreeText:
		s = c.text()
	case f.to == "user_agent_family":
		s = "Mozilla/5.0 (X11; Linux x86_64; " + c.mark + ") Gecko/20100101 Firefox/140.0 " + c.mark
	case f.Name == "language":
		s = "sv," + c.mark
	}
	if f.longest >= 0 && len(s) > f.longest {
		s = s[:f.longest]
	}
	return s
}

// A canaryEvent is an event as the policy knows it: what it says besides, and
// the fields that carry marks.
type canaryEvent struct {
	name  string
	plain map[string]any
	marks []canaryField
}

// data is the event's data for a person.
func (e canaryEvent) data(c canary) map[string]any {
	d := maps.Clone(e.plain)
	for _, f := range e.marks {
		d[f.Name] = f.value(c)
	}
	return d
}

// canaryEvents reads out of the policy which fields are personal. Every one of
// them that can hold a text gets marks, but for quasi-identifiers that the
// policy keeps as they are, such as a country.
func canaryEvents(t testing.TB, pol *policy.Policy) []canaryEvent {
	t.Helper()
	kept, to := map[string]bool{}, map[string]string{}
	for _, table := range pol.Tables() {
		for _, column := range table.Columns {
			for _, fields := range column.From {
				for _, f := range fields {
					name := table.Event + "." + f.Name
					kept[name] = kept[name] || column.Verb == policy.Keep
					if column.Verb != policy.TokenOf && column.Verb != policy.Keep {
						to[name] = column.To
					}
				}
			}
		}
	}
	var out []canaryEvent
	for _, s := range pol.Schemas() {
		e := canaryEvent{name: s.Event, plain: map[string]any{}}
		for _, example := range slices.Backward(s.Examples) {
			var data map[string]any
			decode(t, string(example), &data)
			maps.Copy(e.plain, data)
		}
		for _, f := range s.Fields {
			name := s.Event + "." + f.Name
			if f.Kind == event.Bool {
				e.plain[f.Name] = false // P13: nobody asks not to be tracked, so everybody has a token
			}
			if f.Class == policy.Plain || f.Kind != event.String || len(f.Enum) > 0 {
				continue
			}
			if f.Class == policy.Quasi && kept[name] {
				continue
			}
			cf := canaryField{Field: f, longest: s.MaxLength(f.Name), to: to[name]}
			if cf.longest >= 0 && cf.longest < 40 {
				t.Fatalf("field %s cannot hold a mark; say here why it needs none", name)
			}
			e.marks = append(e.marks, cf)
		}
		out = append(out, e)
	}
	return out
}

// canaryBody is one event of Lethe's own form.
func canaryBody(t testing.TB, service, name, id, at string, data any) []byte {
	t.Helper()
	body := map[string]any{"event": name, "service": service, "data": data}
	if id != "" {
		body["id"] = id
	}
	if at != "" {
		body["occurred_at"] = at
	}
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// canaryCloudEvent is the same as a CloudEvent. What a source and a subject say
// is the publisher's business.
func canaryCloudEvent(t testing.TB, source, name, id, at string, data any) []byte {
	t.Helper()
	b, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": id, "source": source, "type": name, "time": at,
		"subject": id, "datacontenttype": "application/json", "data": data,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}
