// Package cell publishes numbers about groups: it cuts the rows of tables into
// cells of at least k subjects each, and appends the cells to the clean log.
//
// P19 in one sentence: the rows of a table are cut, once and for good, into
// disjoint cells; every answer anywhere is a sum of whole cells; nothing that is
// published is ever changed or withdrawn. So no difference of any two answers,
// at any time and on any way out, is about fewer than k subjects.
//
// A [Publisher] runs beside the loader. Cells are rows of the table
// [policy.CellTable], and come into it only as clean frames of the class
// [policy.CellClass], as all rows do. So each is there once, a rebuild reads
// them back, and they outlive the rows that they were cut from.
//
// # How numbers that add up are cut
//
// A round cuts everything of one table, tenant, service and day that is in no
// cell yet, when it has at least k subjects together: leaves by all dimensions
// of the metric; those under k folded along the declared order, the last
// dimension first, with their siblings; what is left over at the top takes in
// the smallest cell where it is under k itself ([unit.cells]). A cell of which
// one subject has too much of a sum is folded like one of too few ([guard]). How
// far a day is cut stands in its cells. What comes late waits for the next
// round. What is left of days that are over, under k each, becomes one cell of
// several days of a month (remainders).
//
// Rounds come when a service has been quiet for [Config.Settle], or after half a
// minute without quiet, so that a day that is imported whole is cut once, in
// full detail. A day that is not over waits for more each time.
//
// # How subjects are counted
//
// Numbers of subjects do not add up, so each is counted by itself: in each
// bucket of time, all of them and by each single dimension. A further cell says
// how many are new, and is published when they are at least k. What would tell
// two numbers, of which one contains the other, apart by fewer than k is held
// back ([numbers.fits]). What is current is published as change.
//
// The k of some rows is the largest number of different tokens in any one
// service and key epoch, never a sum over them: six people in two epochs are
// six. A row without a token is nobody's.
//
// # What is durable when
//
// See [Publisher.publish], and docs/life-of-an-event.md.
//
// # What it does not do
//
// It keeps no record of its own: what it knows it reads from the warehouse. It
// opens no frame. It stores no count of the subjects behind a cell anywhere, but
// the k under which it was cut, and its metrics and logs say nothing about what
// waits. Neither does [AsOf], which tells analysts how far it is.
//
// # Concurrency
//
// A Publisher belongs to one goroutine. A lease keeps publishers in several
// processes apart, and what two append at the same time the log takes once.
package cell
