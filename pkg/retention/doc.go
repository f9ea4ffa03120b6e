// Package retention makes forgetting happen. The read barrier hides a row at
// the instant its rule ends, by itself; this package removes it for good
// within the grace, 24 hours from the end of the UTC expiry day.
//
// Expiry is a partition dropped and a key destroyed. A run
//
//  1. advances Lethe's clock, which never goes back, and takes every cut-off
//     from it;
//  2. drops the partitions whose expiry day has ended;
//  3. destroys the keys of their clean frames, and purges the frames;
//  4. destroys the raw keys of hours that are treated and 72 hours old, and of
//     every hour older than the cap, and purges the frames;
//  5. destroys quarantine keys past their rule;
//  6. destroys the key epochs whose last token has expired.
//
// Every step looks at what is there and not at what an earlier run noted down,
// so a run can be killed anywhere and simply done again, two can run at once,
// and one that comes a year late catches up.
//
// It opens no frame and reads no event.
package retention
