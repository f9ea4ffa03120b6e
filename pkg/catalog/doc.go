// Package catalog says in words and tables what a policy does with data: which
// events there are, what each field says about a person, how each is treated
// in each table, when it is gone, why it is kept, and who sees it.
//
// [New] reads a compiled policy and nothing else, so a catalog cannot disagree
// with what the running system obeys. It marshals to JSON, and [Catalog.ROPA]
// writes it as a record of processing activities (GDPR Art. 30), the
// controller's (paragraph 1) and the processor's (paragraph 2).
//
// Who the controller is does not follow from a policy. [Parties] names them;
// where they are not named the record says so, in the place where the name
// belongs.
//
// The package is pure: it touches no clock, disk or network, and equal
// policies give equal bytes. Values are not modified after New returns.
package catalog
