package policy_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// Every document of a public JSON test suite, on its own and as a value, is
// JSON for Decode exactly when it is JSON for a strict parser.
func TestWhatIsJSONIsDecidedAsAStrictParserDecidesIt(t *testing.T) {
	dir := os.Getenv("LETHE_TEST_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	files, err := filepath.Glob(filepath.Join(dir, "hostile", "json", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("without a JSON test suite under LETHE_TEST_DATA, hostile syntax is tested with generated documents only")
	}
	s, _ := builtin(t).Latest("login")
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, data := range [][]byte{content, []byte(`{"x":` + string(content) + `}`), []byte(`{"account":` + string(content) + `}`)} {
			_, problems := s.Decode(data)
			if len(problems) == 0 {
				t.Errorf("%s is accepted", filepath.Base(file))
				continue
			}
			// These are refused although they are JSON, and are no question
			// of syntax.
			sentence := problems[0].Sentence
			if sentence == "nests values too deeply" || sentence == "gives a name twice" {
				continue
			}
			refused := problems[0].Field == "" && sentence != "is not a JSON object"
			if valid := jsontext.Value(data).IsValid(jsontext.AllowDuplicateNames(true)); valid == refused {
				t.Errorf("%s: valid JSON: %v, Decode says it %s", filepath.Base(file), valid, problems[0])
			}
		}
	}
}
