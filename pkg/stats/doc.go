// Package stats answers analysts: numbers about groups, never about a person.
//
// A [Question] names a metric of the policy, splits it by some of the metric's
// dimensions, and bounds and filters it. [Stats.Ask] gives the [Answer], of
// which JSON, CSV and tables are renderings. [Stats.Routes] serves it.
//
// # What a number is
//
//   - count: rows that meet the metric's condition.
//   - distinct: subjects with such a row. Each service counts its own, and the
//     counts are added: nobody can join the tokens of two services (P2).
//   - current: subjects whose latest row meets the condition; of two rows of
//     the same moment and frame, one that does not.
//
// Every row of an answer is what the same question would answer with filters
// for that row's dimensions. So a subject may stand behind several rows, and
// for "current" a subject's latest row is its latest within the row's cell.
//
// A subject whose key epoch ended within the period is counted once: early
// rows of an epoch carry the token of the epoch before too, and are counted by
// it (policy.Domain). Where the period of a table changed, its epochs did too:
// a subject seen before and after is counted twice, until the rows from before
// have expired. A row without a token is counted and is no subject.
//
// # What is hidden
//
// P19, for every metric that is not public. The k of some rows is the largest
// number of subjects that any one service sees in them; services and epochs
// are never added up to reach it.
//
//  1. A row of an answer is hidden when its k is below the metric's. Rows of
//     nobody known, who asked not to be tracked, count as none.
//  2. Of "current", a number above zero is hidden when fewer than k subjects
//     are counted; zero, when fewer than k were looked at.
//  3. A hidden row shows its buckets of time, its service, and values that the
//     schema calls plain or lists. Paths, hosts, and all else that may itself
//     tell of a person are null, and hidden rows that look the same are one.
//  4. The total is held to 1 and 2. It is hidden too when exactly one row is
//     (subtraction gives it), when all hidden rows together are not enough by 1
//     and 2, and, where subjects are counted, when those in hidden rows alone,
//     or the total minus the shown rows, number 1 to k−1.
//
// Dimensions and conditions are those that the policy declares; the tenant is
// the principal's (P14); rows past their rule are behind the read barrier of
// the warehouse (P4). Values in a question are parameters of the statement,
// never part of its text. One statement gives rows and total, so they are of
// one moment.
//
// # What it does not do
//
// Each answer is judged by itself. Whoever asks two questions that differ by a
// few people's rows, with other bounds or filters, or once without dimensions,
// can subtract the answers. Closing that takes published cells, which answers
// are then sums of. Nobody's questions are remembered.
//
// # Concurrency
//
// A Stats may be used from many goroutines.
package stats
