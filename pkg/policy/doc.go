// Package policy turns the documents in schemas/ and pipelines/ into one
// checked, immutable value that the rest of Lethe obeys.
//
// A schema says what a publisher may send: the fields of an event, their
// types, and how much each field says about a person. A pipeline says what
// Lethe then does with it: why the data is kept, how each field is treated
// before anyone may query it, and when it is gone. Neither document mentions
// a technology. The streams, the tables and the record of processing all follow
// from the policy; nobody writes them by hand.
//
// # From documents to policy
//
// [Load] reads every document, and [Compile] resolves them against each other:
//
//	docs, err := policy.Load(schemas.FS, pipelines.FS, os.DirFS(overlay))
//	if err != nil {
//		return err // a document cannot be read
//	}
//	pol, err := policy.Compile(docs)
//	if err != nil {
//		return err // a policy.Problems: what is wrong, with file and line
//	}
//
// Compile reports every problem it finds, because the reader is often a privacy
// officer and not a compiler. It refuses what it does not understand: an
// unknown name is a problem, and a field without a class is a problem. Silence
// never means permission.
//
// # Guarantees
//
// A compiled [Policy] holds to these, and other packages rely on them:
//
//   - Every field of every schema has a treatment in every table of its event.
//   - A field that is an identifier, sensitive or free text is never kept as
//     it came, and a lasting table has nothing of it at all.
//   - Every event has a table with a deletion rule, and no token of an event
//     outlives the shortest rule that it falls under.
//   - An epoch of a [Domain] lasts at least twice the rule's period.
//   - Every metric that is not public has a subject column and a k of at least
//     5, and every subject column has one for the epoch before.
//   - Equal documents give equal policies and equal [Policy.Digest]s.
//
// # Events
//
// [Schema.Decode] holds an event to its schema. It accepts what a JSON Schema
// 2020-12 validator accepts, and a property test compares the two; the few
// places where it is stricter are listed at [Schema.Decode].
//
// # Change
//
// Published promises outlive the commit that made them, so a policy also has a
// past. [Succeeds] compares a policy with the one it would replace and reports
// what people must be told: a longer retention, another purpose, a weaker
// treatment. A schema version, once published, only ever gains optional
// fields; anything else is a new version. A key's name carries the rule that it
// was made for; [Policy.KeyExpiry] and [Policy.EpochExpiry] say when it is due.
//
// # Concurrency
//
// A Policy is never modified after Compile returns, and may be shared freely.
package policy
