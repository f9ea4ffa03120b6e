package treatment_test

import (
	"strings"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/treatment"
)

func TestTextLosesWhatCanBeRecognized(t *testing.T) {
	for in, want := range map[string]string{
		// mail
		"user ada@example.org logged in":               "user [email] logged in",
		"to Ada.L+x@sub.example.org, bob@example.com.": "to [email], [email].",
		"ada%40example.org":                            "[email]",
		"ada%2540example%252Eorg":                      "[email]",
		"ada\uff20example\uff0eorg":                    "[email]",
		"a\u200bda@exam\u00adple.org ok":               "[email] ok",
		`"ada lovelace"@example.org hi`:                "[email] hi",
		"ada(at)example(dot)org":                       "[email]",
		"ada&#64;example.org &#x40;":                   "[email] @",
		`{"m":"ada\u0040example.org"}`:                 `{"m":"[email]"}`,
		"a@b@c d":                                      "[email] d",
		"ada @ example.org":                            "[email]",
		"jörg@bücher.example":                          "[email]",
		"ada@[192.0.2.1] x":                            "[email] x",
		"bounce-ada=example.org@lists.example.org":     "[email]",
		"<ada@example.org>;(bob@example.org)":          "<[email]>;([email])",
		"lunch @ noon, C@ @Override":                   "lunch @ noon, C@ @Override",
		// addresses
		"from 192.0.2.1:8080 port 22":             "from [ip] port 22",
		"net 192.0.2.0/24.":                       "net [ip].",
		"from [2001:db8::1]:443 up":               "from [ip] up",
		"2001:db8::1: refused":                    "[ip]: refused",
		"peer:2001:DB8:0:0::1%eth0 gone":          "peer:[ip] gone",
		"::ffff:192.0.2.1 and ::1":                "[ip] and [ip]",
		"192%2E0%2E2%2E1":                         "[ip]",
		"\u0661\u0669\u0662.\u0660.\u0662.\u0661": "[ip]",
		"ip-192-0-2-1.example.net":                "ip-[ip].example.net",
		"mac 00:1a:2b:3c:4d:5e 00-1a-2b-3c-4d-5e": "mac [ip] [ip]",
		"core::fmt std::string foo::bar 12:30":    "core::fmt std::string foo::bar 12:30",
		// numbers
		"call +49 (030) 123-4567 now":                "call +[number] now",
		"card 4111 1111 1111 1111.":                  "card [number].",
		"born 1990-05-12":                            "born [number]",
		"account 123456":                             "account [number]",
		"took 35 ms, 12 retries, port 50051":         "took 35 ms, 12 retries, port 50051",
		"2026-11-21T12:30:45.123456789Z up":          "2026-11-21T12:30:45.123Z up",
		"2026-11-21 12:30:45 up 12:30:45":            "2026-11-21 12:30:45 up 12:30:45",
		"2026-11-21T12:30:45.4915112345678 smuggled": "2026-11-21T12:30:45.491 smuggled",
		// secrets
		"password: hunter2 next":                                "password: [secret] next",
		"Password = 'hunter 2' next":                            "Password = [secret] next",
		`{"password":"hun ter","n":5}`:                          `{"password":[secret],"n":5}`,
		"db.password=hunter2&x=1":                               "db.password=[secret]&x=1",
		"Authorization: Bearer abc def\nnext":                   "Authorization: [secret]\nnext",
		"using Bearer abcdef now":                               "using Bearer [secret] now",
		"Basic dXNlcjpwYXNz now":                                "Basic [secret] now",
		"Basic authentication failed":                           "Basic authentication failed",
		"jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_def end": "jwt [secret] end",
		"id 123e4567-e89b-12d3-a456-426614174000":               "id [secret]",
		"key wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY":          "key [secret]",
		"commit 5f2b9c1d4e6a7b8c9d0e":                           "commit [secret]",
		"NoSuchBeanDefinitionException in DispatcherServlet":    "NoSuchBeanDefinitionException in DispatcherServlet",
		"status=500 dur=35ms rate=99.5% user=ada ok=true":       "status=500 dur=35ms rate=99.5% user=[value] ok=true",
		"name=ada%20lovelace next":                              "name=[value] next",
		"if a == b then c => d":                                 "if a == b then c => d",
		// URLs and paths
		"GET https://ada:pw@api.example.org/u/12345?token=abc#f 404": "GET [url]/u/[number]?token= 404",
		"see https://x.example/?name=ada%20lovelace.":                "see [url]/?name=.",
		"open /var/lib/app/482133/x: denied":                         "open /var/lib/app/[number]/x: denied",
		"read and/or write":                                          "read and/or write",
		// ordinary
		"":                              "",
		"connection reset by peer":      "connection reset by peer",
		"100% done, 5% left":            "100% done, 5% left",
		"Größe überschritten – Abbruch": "Größe überschritten – Abbruch",
		"%25252525252540":               "[encoded]",
	} {
		if got := treatment.RedactText(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestPathsKeepTheirShape(t *testing.T) {
	for in, want := range map[string]string{
		"/":                      "/",
		"":                       "",
		"*":                      "*",
		"/a/b.html":              "/a/b.html",
		"/v1.2.3/2026/11":        "/v1.2.3/2026/11",
		"/users/12345/edit":      "/users/[number]/edit",
		"/u/ada%40example.org/x": "/u/[email]/x",
		"/u/ada%2540example.org": "/u/[email]",
		"/@ada/post":             "/[name]/post",
		"/ip/192.0.2.1":          "/ip/[ip]",
		"/2001:db8::1/":          "/[ip]/",
		"/asset-1a2b3c4d5e6f.js": "/asset-[id].js",
		"/id/123e4567-e89b-12d3-a456-426614174000":  "/id/[id]",
		"/t/Zm9vYmFyYmF6cXV4MTIz":                   "/t/[id]",
		"/tel/+49-30-123456":                        "/tel/+[number]",
		"/s/ada%20lovelace":                         "/s/[value]",
		"/f;jsessionid=ABC/x":                       "/f/x",
		"/a=b/c":                                    "/a=/c",
		"/a%2Fada%40example.org":                    "/a/[email]",
		"/a%3Fname=ada":                             "/a",
		"/%2e%2e/%2fetc":                            "/../etc",
		"/über/x":                                   "/%C3%BCber/x",
		"/x?q=ada&a[b]=1&12345=2;c=3":               "/x?q=&a[b]=&[name]=&c=",
		"/x?ada@example.org":                        "/x?[value]",
		"/x?ada%40example.org=1":                    "/x?[name]=",
		"/x#ada@example.org":                        "/x",
		"https://u:p@h.example/p?q=1#z":             "/p?q=",
		"https://h.example":                         "/",
		"https://h.example?q=ada":                   "?q=",
		"mailto:ada@example.org":                    "[email]",
		`\x16\x03\x01`:                              "[binary]",
		"/%00":                                      "/[binary]",
		"/%252525252540":                            "/[encoded]",
		"/blog/how-to-forget-on-schedule-and-prove": "/blog/how-to-forget-on-schedule-and-prove",
		"/x?" + strings.Repeat("a=1&", 40):          "/x?" + strings.Repeat("a=&", 32) + "[more]",
	} {
		if got := treatment.RedactPath(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestHostsAreNamesOfThePublicDNS(t *testing.T) {
	for in, want := range map[string]string{
		"https://Ex.Example.ORG:8080/a?b":                 "ex.example.org",
		"https://example.org.":                            "example.org",
		"ftp://ada:pw@b.example.org":                      "b.example.org",
		"https://b\u00fccher.example":                     "xn--bcher-kva.example",
		"https://d111111abcdef8.cdn.example.net/":         "[id].cdn.example.net",
		"https://u4821331.example.net/":                   "[id].example.net",
		"http://192.0.2.1/":                               "[ip]",
		"http://[2001:db8::1]:1/":                         "[ip]",
		"http://ip-192-0-2-1.example.net":                 "[ip]",
		"http://localhost/":                               "",
		"http://3221225985/":                              "",
		"http://a_b.example.org/":                         "",
		"http://example.org:port/":                        "",
		"http://[ada]/":                                   "",
		"http://-a.example/":                              "",
		"http://ada\uff20example.org/x":                   "",
		"example.org":                                     "",
		"ada@example.org":                                 "",
		"//example.org/":                                  "",
		"ada lovelace://example.org":                      "",
		"http://" + strings.Repeat("a.", 130) + "example": "",
		"": "",
	} {
		if got := treatment.HostOf(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestAgentsBecomeOneOfFewFamilies(t *testing.T) {
	for in, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0":                                                    "Firefox",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36":           "Chrome",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0": "Edge",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/604.1": "Safari",
		"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)":                                                  "bot",
		"SomeCrawler/1.0":  "bot",
		"curl/8.5.0":       "curl",
		"Ada-Lovelace/1.0": "other",
		"ada@example.org":  "other",
		"-":                "other",
		"Mozilla/5.0 (X11; Linux x86_64) Chrome/1 Safari/1 AdaLovelace/1": "other",
		"": "",
	} {
		if got := treatment.Family(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}
