package lethetest

import (
	"fmt"
	"strconv"
	"time"
)

// Benchmarks of different stages measure the same events: those of a web
// server that 20,000 visitors use. An event depends on its number alone, and
// its data has 8 fields and about 300 bytes.

var (
	trafficPaths = [...]string{
		"/", "/pricing", "/articles/forgetting-on-schedule", "/articles/what-a-token-is?page=2", "/docs/install.html",
		"/static/site.css", "/static/logo.svg", "/download/2026.3/setup-x86_64.tar.gz", "/api/v1/licenses/validate", "/favicon.ico",
	}
	trafficReferrers = [...]string{
		"https://www.example.org/articles/forgetting-on-schedule", "https://search.example.net/results?q=retention", "https://www.example.com/",
	}
	trafficAgents = [...]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
		"curl/8.7.1",
	}
	trafficStatuses = [...]int{200, 200, 200, 200, 200, 200, 304, 304, 404, 301}
)

// AccessData is the data of the n-th access event, as http_access has it.
func AccessData(n int) []byte { return appendAccess(nil, n) }

func appendAccess(b []byte, n int) []byte {
	h := uint64(n)*0x9E3779B97F4A7C15 + 0x7F4A7C15 // spreads neighbors
	h ^= h >> 29
	visitor := h % 20_000
	b = append(b, `{"client_ip":"`...)
	if visitor%10 == 0 {
		b = fmt.Appendf(b, "2001:db8:%x::%x", visitor/500, visitor%500+1)
	} else {
		b = fmt.Appendf(b, "198.%d.%d.%d", 18+visitor%2, visitor/256%256, visitor%256) // RFC 2544
	}
	b = append(b, `","method":"GET","path":"`...)
	b = append(b, trafficPaths[h>>16%uint64(len(trafficPaths))]...)
	b = append(b, `","protocol":"HTTP/1.1","status":`...)
	b = strconv.AppendInt(b, int64(trafficStatuses[h>>24%uint64(len(trafficStatuses))]), 10)
	b = append(b, `,"bytes":`...)
	b = strconv.AppendUint(b, h>>32%200_000, 10)
	b = append(b, `,"referrer":"`...)
	b = append(b, trafficReferrers[h>>20%uint64(len(trafficReferrers))]...)
	b = append(b, `","user_agent":"`...)
	b = append(b, trafficAgents[visitor%uint64(len(trafficAgents))]...)
	return append(b, `"}`...)
}

// AccessEvents is the body of a request with count access events from the n-th
// on: a JSON array in the native form, each event with an id and a time that
// ends at at and comes a millisecond after that of the event before.
func AccessEvents(n, count int, at time.Time) []byte {
	b := make([]byte, 0, count*420)
	b = append(b, '[')
	for i := range count {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"event":"http_access","id":"req-%09d","occurred_at":"`, n+i)
		b = at.Add(time.Duration(i-count+1)*time.Millisecond).UTC().AppendFormat(b, time.RFC3339Nano)
		b = append(b, `","data":`...)
		b = appendAccess(b, n+i)
		b = append(b, '}')
	}
	return append(b, ']')
}
