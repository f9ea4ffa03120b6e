package treatment

import (
	"strings"

	"github.com/mileusna/useragent"
)

// What a user agent is called when it is none of the known ones. A name that
// the publisher's client chose must not become a column's value: whoever sets
// it could write anything there, and be found by it.
const (
	agentBot   = "bot"
	agentOther = "other"
)

// knownAgents maps the parser's names to the closed list of families.
var knownAgents = map[string]string{
	useragent.Chrome:           "Chrome",
	useragent.Firefox:          "Firefox",
	useragent.Safari:           "Safari",
	useragent.Edge:             "Edge",
	useragent.Opera:            "Opera",
	useragent.OperaMini:        "Opera",
	useragent.OperaTouch:       "Opera",
	useragent.Vivaldi:          "Vivaldi",
	useragent.InternetExplorer: "Internet Explorer",
	useragent.SamsungBrowser:   "Samsung Browser",
	useragent.FacebookApp:      "Facebook App",
	useragent.InstagramApp:     "Instagram App",
	useragent.TiktokApp:        "TikTok App",
	useragent.BlackBerry:       "BlackBerry",
	useragent.NetFront:         "NetFront",
	"Android browser":          "Android browser",
	"Huawei Browser":           "Huawei Browser",
	"Miui Browser":             "Miui Browser",
	"YaBrowser":                "Yandex Browser",
	"UCBrowser":                "UC Browser",
	"DuckDuckGo":               "DuckDuckGo",
	"Brave":                    "Chrome",
	"Thunderbird":              "Thunderbird",
	"curl":                     "curl",
	"Wget":                     "Wget",
	"Go-http-client":           "Go",
	"python-requests":          "Python",
	"python-urllib3":           "Python",
	"Python-urllib":            "Python",
	"aiohttp":                  "Python",
	"okhttp":                   "okhttp",
	"Java":                     "Java",
	"Apache-HttpClient":        "Java",
	"axios":                    "JavaScript",
	"node-fetch":               "JavaScript",
	"node":                     "JavaScript",
	"undici":                   "JavaScript",
	"PostmanRuntime":           "Postman",
	"Dalvik":                   "Android",
	"CFNetwork":                "Apple",
}

// maxAgent is how much of a user agent is read. Real ones are shorter.
const maxAgent = 512

// family is the family of a user agent: one of knownAgents' values, "bot" or
// "other".
func family(agent string) string {
	if agent == "" {
		return ""
	}
	if len(agent) > maxAgent {
		agent = agent[:maxAgent]
	}
	parsed := useragent.Parse(agent)
	if parsed.Bot || looksLikeBot(agent) {
		return agentBot
	}
	if name, ok := knownAgents[parsed.Name]; ok {
		return name
	}
	return agentOther
}

func looksLikeBot(agent string) bool {
	agent = strings.ToLower(agent)
	for _, word := range [...]string{"bot/", "bot;", "bot ", "crawler", "spider", "slurp", "headless"} {
		if strings.Contains(agent, word) {
			return true
		}
	}
	return strings.HasSuffix(agent, "bot")
}

// families remembers the agents of one call of Apply and ends with it: a longer
// memory of raw values would be a store of personal data.
type families map[string]string

const maxFamilies = 256

func (f *families) of(agent string) string {
	if known, ok := (*f)[agent]; ok {
		return known
	}
	name := family(agent)
	if *f == nil {
		*f = families{}
	}
	if len(*f) < maxFamilies {
		(*f)[agent] = name
	}
	return name
}
