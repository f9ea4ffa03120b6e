package sqldoor_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/sqldoor"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// readable are the tables of the engine that whoever logs in can read, and why
// each may be.
var readable = map[string]string{
	// What the engine can do, the same in every installation.
	"aggregate_function_combinators": "the engine's",
	"collations":                     "the engine's",
	"contributors":                   "the engine's",
	"data_type_families":             "the engine's",
	"database_engines":               "the engine's",
	"dictionary_layouts":             "the engine's",
	"disk_types":                     "the engine's",
	"formats":                        "the engine's",
	"functions":                      "the engine's; users cannot add one",
	"licenses":                       "the engine's",
	"one":                            "the engine's",
	"privileges":                     "the engine's",
	"table_engines":                  "the engine's",
	"table_functions":                "the engine's",
	"time_zones":                     "the engine's",
	// What is the reader's own.
	"columns":       "of what may be selected: the views",
	"completions":   "of what may be selected, and the engine's",
	"current_roles": "the reader's: none",
	"databases":     "of what may be seen: stats alone",
	"enabled_roles": "the reader's: none",
	"settings":      "the reader's",
	"tables":        "of what may be selected: the views, which have no rows of their own",
	// Refused by the door. Its quota limits and counts nothing either.
	"quota_usage": "the reader's",
}

// TestNoOtherTableOfTheEngineIsReadable looks at every one that it has.
func TestNoOtherTableOfTheEngineIsReadable(t *testing.T) {
	s := newSite(t)
	names := strings.Fields(s.asRoot("SELECT name FROM system.tables WHERE database = 'system'").text)
	if len(names) < 100 {
		t.Fatalf("the engine has %d tables; the list is broken", len(names))
	}
	for _, name := range names {
		a := s.direct(warehouse.UserSQL, lethetest.Password(warehouse.UserSQL), "SELECT * FROM system.`"+name+"` LIMIT 100000 FORMAT JSONEachRow")
		_, may := readable[name]
		switch {
		case a.status == http.StatusOK && !may:
			t.Errorf("system.%s can be read", name)
		case a.status != http.StatusOK && may:
			t.Errorf("system.%s cannot be read, and is said to be: %.200s", name, a.text)
		case a.status == http.StatusOK:
			for _, word := range []string{"http_access", "lethe_hold", "umbra", "visitor_next", "through"} {
				if strings.Contains(a.text, `"`+word) && name != "functions" && name != "completions" {
					t.Errorf("system.%s tells of %s", name, word)
				}
			}
		}
	}
	for query, want := range map[string]string{
		"SELECT DISTINCT database FROM system.tables":                          "stats",
		"SELECT DISTINCT database FROM system.columns":                         "stats",
		"SELECT name FROM system.databases":                                    "stats",
		"SELECT sum(total_rows) FROM system.tables":                            `\N`,
		"SELECT count() FROM system.completions WHERE belongs = 'http_access'": "0",
		"SELECT ifNull(max(read_rows), 0) FROM system.quota_usage":             "0",
		"SELECT displayName()":                                                 "lethe",
	} {
		a := s.direct(warehouse.UserSQL, lethetest.Password(warehouse.UserSQL), query)
		if got := strings.TrimSpace(a.text); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	// What tools ask first.
	credential := s.credential(access.Principal{})
	for _, query := range []string{
		"SELECT version(), timezone(), currentUser(), currentDatabase(), displayName()",
		"SELECT name, engine, comment FROM system.tables WHERE database = currentDatabase()",
		"SELECT name, type, comment FROM system.columns WHERE database = 'stats' AND table = 'requests'",
		"SELECT name FROM system.databases", "SHOW DATABASES", "SHOW TABLES", "SHOW COLUMNS FROM requests", "DESCRIBE TABLE requests",
		"SHOW CREATE VIEW requests", "SHOW FUNCTIONS", "SHOW SETTINGS LIKE 'max%'", "SHOW GRANTS", "EXISTS requests",
		"SELECT * FROM system.functions WHERE name = 'sum'", "SELECT * FROM system.settings", "SELECT * FROM system.data_type_families",
		"SELECT 1", "SELECT number FROM numbers(3)",
	} {
		if a := s.ask(credential, query); a.status != http.StatusOK {
			t.Errorf("%s: %d %.200s", query, a.status, a.text)
		}
	}
}

// pure are the categories of functions that make values of values.
var pure = []string{
	"Aggregate Functions", "Type Conversion", "Dates and Times", "Arrays", "String", "Geo", "Hash", "String Search", "JSON",
	"URL", "Mathematical", "Arithmetic", "Geo Polygon", "Map", "IP Address", "Comparison", "Tuple", "Distance", "Random Number",
	"Bitmap", "Time Series", "NumericIndexedVector", "Bit", "Encoding", "UUID", "String Splitting", "String Replacement",
	"Rounding", "Time Window", "Encryption", "Conditional", "Financial", "Logical", "QBit",
}

// harmless are functions of other categories that tell nothing but what they
// are given, or what is the asker's own.
var harmless = strings.Fields(`
MACNumToString MACStringToNum MACStringToOUI _CAST assumeNotNull bar byteSize blockSize blockSerializedSize
caseWithExpression coalesce colorOKLABToSRGB colorOKLCHToSRGB colorSRGBToOKLAB colorSRGBToOKLCH countDigits
currentDatabase currentProfiles currentQueryID currentRoles currentSchemas currentUser authenticatedUser defaultProfiles defaultRoles
defaultValueOfArgumentType defaultValueOfTypeName digits displayName dumpColumnStructure enabledProfiles enabledRoles errorCodeToName
finalizeAggregation firstNonDefault flipCoordinates formatQuery formatQueryOrNull formatQuerySingleLine formatQuerySingleLineOrNull
formatReadableDecimalSize formatReadableQuantity formatReadableSize formatReadableTimeDelta generateRandomStructure getSetting
getSettingOrDefault getSizeOfEnumType getSubcolumn getTypeSerializationStreams globalVariable hasThreadFuzzer highlightQuery icebergBucket
icebergTruncate identity ifNull ignore initialQueryID initialQueryStartTime initializeAggregation isConstant isDecimalOverflow
isMergeTreePartCoveredBy isNotNull isNull isNullable isZeroOrNull lowCardinalityIndices lowCardinalityKeys materialize
minSampleSizeContinuous minSampleSizeConversion naiveBayesClassifier naiveBayesClassifierWithAllProbs naiveBayesClassifierWithProb
neighbor nested normalizeQuery normalizeQueryKeepNames normalizedQueryHash normalizedQueryHashKeepNames nullIf obfuscateQuery
obfuscateQueryWithSeed parseReadableSize parseReadableSizeOrNull parseReadableSizeOrZero parseTimeDelta partitionId queryID
regionHierarchy regionIn regionToArea regionToCity regionToContinent regionToCountry regionToDistrict regionToName regionToPopulation
regionToTopContinent revision rowNumberInAllBlocks rowNumberInBlock runningAccumulate runningConcurrency runningDifference
runningDifferenceStartingWithFirstValue shardCount shardNum structureToCapnProtoSchema structureToProtobufSchema throwIf tid
toColumnTypeName toNullable toTypeName tokenizeQuery transactionID transactionLatestSnapshot transactionOldestSnapshot transform
validateNestedArraySizes variantElement variantType version visibleWidth`)

// TestEveryFunctionWasLookedAt: the engine asks nobody's permission for its
// functions. One that a later engine adds fails here until somebody has read
// what it does.
func TestEveryFunctionWasLookedAt(t *testing.T) {
	s := newSite(t)
	rows := strings.Split(strings.Trim(s.asRoot("SELECT name, alias_to, categories FROM system.functions WHERE NOT is_aggregate FORMAT TSVRaw").text, "\n"), "\n")
	if len(rows) < 1000 {
		t.Fatalf("the engine has %d functions; the list is broken", len(rows))
	}
	for _, row := range rows {
		f := strings.Split(row, "\t")
		name, alias, category := f[0], f[1], f[2]
		switch {
		case alias != "":
			if sqldoor.IsRefused(alias) && !sqldoor.IsRefused(name) {
				t.Errorf("%s is another name of %s, which is refused", name, alias)
			}
		case !slices.Contains(pure, category) && !slices.Contains(harmless, name) && !sqldoor.IsRefused(name):
			t.Errorf("nobody has looked at %s (%q): say that it is harmless, or refuse it", name, category)
		}
	}
	for _, m := range s.pol.Metrics() {
		for _, d := range m.Dimensions {
			if sqldoor.IsRefused(d.Name) || sqldoor.IsRefused(m.Name) {
				t.Errorf("a statement cannot name dimension %s of metric %s", d.Name, m.Name)
			}
		}
	}
	for _, c := range []string{policy.CellTable, warehouse.CellsView, warehouse.StatsDatabase} {
		if sqldoor.IsRefused(c) {
			t.Errorf("a statement cannot name %s", c)
		}
	}
}
