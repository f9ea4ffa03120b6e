package assembly_test

import (
	"fmt"
	"time"

	cut "github.com/lethe-pipeline/lethe/pkg/cell"
	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// readerUser stands where nobody of Lethe's own does: behind the read barrier
// with every column in sight.
const readerUser = "reader"

// withReader are the users of a policy and the reader, whose filters are those
// of the user that cuts cells.
func withReader(pol *policy.Policy) []embedded.EngineUser {
	users := lethetest.EngineUsers(pol)
	for _, u := range users {
		if u.Name == warehouse.UserCells {
			u.Name, u.Password = readerUser, lethetest.Password(readerUser)
			u.Grants = []string{"GRANT SELECT ON " + warehouse.DefaultDatabase + ".*"}
			return append(users, u)
		}
	}
	panic("nobody cuts cells")
}

// startCells makes a publisher that knows nothing of the one before.
func (s *site) startCells() {
	s.t.Helper()
	nc := s.connect("cells", &s.flow)
	var err error
	s.publisher, err = cut.New(cut.Config{
		Policy: s.pol, Log: eventlog.NewLog(nc), Appender: s.writer(nc, eventlog.CleanStream), Keys: s.keys.Cells(),
		Warehouse: s.as(warehouse.UserCells, &s.flow), Bucket: eventlog.OpenBucket(nc, eventlog.CellBucket), Logger: s.log,
		Now: s.clock, Settle: time.Nanosecond, Owner: "simulation",
	})
	s.must(err)
}

// checkCells publishes what can be published, and looks at every cell that
// there ever was: whatever expires, none is changed or withdrawn. P19.
func (s *simulation) checkCells() (problems []string) {
	s.t.Helper()
	for {
		n, err := s.publisher.Look(s.t.Context())
		s.must(err)
		if n == 0 {
			break
		}
		s.settle()
	}
	r, err := s.admin.Rows(s.t.Context(), "SELECT hex(event_id), toString(tuple(*)) FROM lethe."+policy.CellTable, nil)
	s.must(err)
	there := map[string]bool{}
	for _, row := range r.Rows {
		id, all := row[0].(string), row[1].(string)
		if old, ok := s.cells[id]; there[id] || ok && old != all {
			problems = append(problems, "a cell is there twice, or was changed")
		}
		there[id], s.cells[id] = true, all
	}
	if gone := len(s.cells) - len(there); gone > 0 {
		problems = append(problems, fmt.Sprintf("%d cells are gone", gone))
	}
	return problems
}
