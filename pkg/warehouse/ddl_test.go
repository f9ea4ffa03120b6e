package warehouse_test

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := "testdata/" + name
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got); -update writes it:\n%s", file, diff)
	}
}

func TestTablesFollowFromThePolicy(t *testing.T) {
	golden(t, "warehouse.sql", []byte(warehouse.DDL(testPolicy(t))))
}

func TestUsersFollowFromThePolicy(t *testing.T) {
	golden(t, "users.xml", warehouse.UsersXML(testPolicy(t)))
}
