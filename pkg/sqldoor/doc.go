// Package sqldoor lets an analyst's own tools ask in SQL: it speaks
// ClickHouse's HTTP protocol, with Lethe's credentials.
//
// A [Door] is a route of the gate. Of what a client sends it takes a statement,
// the values of its parameters and a few settings, makes a request of its own
// from them, and sends that to the engine as one user, warehouse.UserSQL, who
// sees the views of published cells and nothing else.
//
// # Guarantees
//
//   - P10: who asks, for which purpose, and a keyed hash of the statement are
//     on record before the engine hears of it; what cannot be recorded is
//     answered 503. The text of a statement is written nowhere.
//   - P14, P15: whose cells the views show stands in two headers that the door
//     sets from the credential and no client can. The engine filters by them
//     before anything of a statement runs. A credential that is limited to
//     products, or has masks, is refused: SQL cannot keep to these.
//   - P19: the views hold whole published cells. What the engine knows about
//     rows that a principal does not see, such as how many it read, is in no
//     answer.
//
// # Who holds what
//
// The engine's grants, row filter and settings hold all but four things, which
// it has no means for, and which the door holds. A statement reaches the engine
// as the engine itself has written it down anew, so that the door and the
// engine read the same:
//
//   - Only what reads is let through, and no EXPLAIN: it tells how many rows
//     are there, of all tenants.
//   - Functions that read files, or tell about the machine, are refused: see
//     [Refused]. The engine asks nobody's permission for them.
//   - Only forms of answers that tell of nothing but the answer pass.
//   - Each credential has its share of the engine's time, and no tenant has all
//     places at once: who has the fewest is next.
//
// # What it does not do
//
// It keeps no session, and ignores that a client names one. It writes nothing,
// takes no files or external tables, and is no way to the engine's other ports.
//
// # Concurrency
//
// A Door may be used from many goroutines at once.
package sqldoor
