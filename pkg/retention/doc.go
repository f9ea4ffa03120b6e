// Package retention makes forgetting happen. The read barrier hides a row at
// the instant its rule ends, by itself; this package removes it for good
// within the grace, 24 hours from the end of the UTC expiry day.
//
// Expiry is a partition dropped and a key destroyed. A run
//
//  1. moves Lethe's clock as far as the wall clock can be believed, and takes
//     every cut-off from it; what somebody else put into its table decides
//     nothing, until an operator confirms or rejects it;
//  2. settles the removals that an earlier run announced and did not live to
//     confirm;
//  3. drops the partitions whose expiry day has ended, in the tables and in the
//     copy that a rebuild makes, and removes the rows that are past a rule which
//     became shorter: by the part where a part holds no others, and otherwise
//     by one deletion for each table, which the engine is given its time for;
//  4. destroys the keys of their clean frames, and purges the frames;
//  5. destroys the raw keys of hours that are treated and old enough, and of
//     every hour older than the cap, and quarantine keys past their rule, and
//     purges the frames;
//  6. destroys the key epochs whose last token has expired;
//  7. removes reports and backups past their rule, each as old as it was ever
//     seen to be;
//  8. removes what a legal hold kept that was released or is past its deadline;
//  9. counts what is there, and puts a manifest on record that continues the
//     one before (see [audit.Ledger]); what came in the loader says, and not
//     the tables;
//  10. puts on record that it ran.
//
// # What it leans on
//
// What is removed is on record before it is, and what cannot be put on record
// is not removed: rows and files here, keys by the keyring.
//
// Every step looks at what is there and not at what an earlier run noted down,
// so a run can be killed anywhere and simply done again, and one that comes a
// year late catches up. One failure blocks nothing else. A lease keeps two
// processes from running at once.
//
// It never runs ahead of the loader, whose books say how far it is and how much
// it stored (see [loader.Books]). A partition of which rows are being loaded
// and a key under which frames wait to be loaded stay until the loader's floor
// has passed them, but no longer than an hour before the grace is over: what is
// lost then is counted. They stay, without that limit, while a legal hold that
// covers them is not copied. Where retention cannot see the floor, the holds or
// the record, it removes no rows and no keys of clean frames.
//
// It opens no frame and reads no value that treatment made.
package retention
