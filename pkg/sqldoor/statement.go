package sqldoor

import (
	"encoding/hex"
	"regexp"
	"slices"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// begins are the words that a statement may begin with. All of them read.
var begins = []string{"SELECT", "WITH", "SHOW", "DESCRIBE", "EXISTS"}

// refused are the words that no statement may hold, outside its strings: names
// of functions, tables and statements that the engine lets anybody use. In the
// embedded engine, file() opens any file of the machine. A name that ends in *
// stands for all that begin so.
var refused = []string{
	// What opens files, or other programs.
	"file", "filesystem*", "catboostEvaluate", "executable*",
	// What tells how many rows, blocks or marks there are, of all tenants.
	"explain", "viewExplain", "mergeTree*", "merge", "loop", "blockNumber", "indexHint", "quota", "quota_usage", "quotas_usage",
	// What tells about the machine, the server and its other tables.
	"getServerSetting", "getServerPort", "getMergeTreeSetting", "tcpPort", "getMacro", "serverUUID", "uptime", "buildId",
	"hostName", "fqdn", "fullHostName", "getOSKernelVersion", "showCertificate", "addressTo*", "demangle",
	"zookeeperSessionUptime", "connectionId", "connection_id", "getMaxTableNameLengthForDatabase", "hasColumnInTable", "joinGet*",
	"dictGet*", "dictHas", "dictIsIn", "dictionary", "getClientHTTPHeader", "viewIfPermitted",
	// What waits, or asks a model elsewhere.
	"sleep", "sleepEachRow", "aiClassify", "aiEmbed", "aiExtract", "aiGenerate", "aiTranslate",
	// What writes: into the server's log, or its ZooKeeper.
	"logTrace", "generateSerialID",
	// What runs text, or makes it up, and what the engine calls itself.
	"eval", "__*", "evalMLMethod", "fuzzQuery", "fuzzJSON",
}

// Refused lists the words that no statement may hold, for the docs.
func Refused() []string { return slices.Clone(refused) }

// isRefused says whether a word is on the list, in whatever case.
func isRefused(word string) bool {
	return slices.ContainsFunc(refused, func(name string) bool {
		if begin, all := strings.CutSuffix(name, "*"); all {
			return len(word) >= len(begin) && strings.EqualFold(word[:len(begin)], begin)
		}
		return strings.EqualFold(word, name)
	})
}

// formatting asks the engine to write a statement down anew: without comments,
// with names unquoted, so that it can be read in one way only.
func formatting(text string) string {
	return "SELECT formatQuerySingleLine(unhex('" + hex.EncodeToString([]byte(text)) + "')) FORMAT TSVRaw"
}

var (
	word = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)
	// A parameter that stands for a name, and what it may be.
	namesName = regexp.MustCompile(`\{\s*([A-Za-z0-9_]+)\s*:[^}]*Identifier[^}]*\}`)
	plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$`)
)

// check says whether a statement that the engine has written down may be run.
func check(canonical string, q asked) error {
	if first := word.FindString(canonical); !slices.Contains(begins, first) || !strings.HasPrefix(strings.TrimLeft(canonical, "("), first) {
		return fault.Denied.Errorf("this door takes SELECT, SHOW, DESCRIBE and EXISTS, and nothing that writes or explains")
	}
	text, ok := withoutStrings(canonical)
	if !ok {
		return errUnreadable
	}
	names := namesName.FindAllStringSubmatch(text, -1)
	if len(names) < strings.Count(text, "Identifier") {
		return errUnreadable
	}
	for _, m := range names {
		name := q.values.Get("param_" + m[1])
		if !plainName.MatchString(name) {
			return fault.Invalid.Errorf("a parameter that stands for a name must be plain: letters, digits, _ and dots")
		}
		text += " " + name
	}
	if slices.ContainsFunc(word.FindAllString(text, -1), isRefused) {
		return fault.Denied.Errorf("the statement uses a name that this door does not let through; docs/sql.md lists them")
	}
	return nil
}

var errUnreadable = fault.Invalid.Errorf("the statement has names that this door cannot read")

// withoutStrings leaves out what stands between single quotes, in which the
// engine writes a quote as \'. Names between backquotes stay, and what looks
// like a quote in one is part of it.
func withoutStrings(s string) (string, bool) {
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quote == 0 && (c == '\'' || c == '`' || c == '"'):
			quote = c
			b.WriteByte(' ')
		case quote != 0 && c == '\\':
			if i++; i == len(s) {
				return "", false
			}
			if quote != '\'' {
				// An escape in a name: it could spell anything.
				return "", false
			}
		case quote != 0 && c == quote:
			quote = 0
			b.WriteByte(' ')
		case quote != '\'':
			b.WriteByte(c)
		}
	}
	return b.String(), quote == 0
}
