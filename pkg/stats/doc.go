// Package stats answers analysts: numbers about groups, never about a person.
//
// A [Question] names a metric of the policy, splits it by service, time and the
// metric's dimensions, and bounds and filters it. [Stats.Ask] gives the
// [Answer], of which JSON, CSV and tables are renderings. [Stats.Routes] serves
// it.
//
// # Where numbers come from
//
// From published cells alone ([policy.CellTable]): the user of the warehouse
// behind this package can read nothing else. Every cell is about at least k
// subjects, cells of one metric that add up share no row, and none is ever
// changed. So whatever is asked, in whatever order, the difference of two
// answers is made of whole cells. P19. Nobody's questions are remembered, and
// nothing is decided here about who could be singled out: that was done when
// the cells were cut (pkg/cell).
//
// # What a number is
//
//   - count, sum: cells added up. A cell that does not tell what the answer is
//     split by stands in a row marked other; one that does not tell whether it
//     is what the days and filters ask for lies beside the answer.
//   - distinct: a number of subjects in one bucket of time, as it was published.
//     Such numbers do not add up over time or values, and are never added up.
//     Each service counts its own, and the counts are added: nobody can join
//     the tokens of two services (P2).
//   - current: subjects whose latest row meets the metric's condition.
//   - ratio: two of these, divided exactly and rounded to four decimals.
//
// # Whose numbers
//
// The principal's tenant (P14), its services, and where it is limited to them
// the cells that tell one of its products. A dimension that is masked for it,
// by its name or by that of a field it is made of, shows "masked", in one row,
// and can be no filter (P15).
//
// # Concurrency
//
// A Stats may be used from many goroutines.
package stats
