// Package assembly puts the parts of Lethe together. It has one file per
// service: what the service may do, then its constructor. A service has the
// powers its file asks the [Site] for, and no more.
//
// `lethe up` composes [Everything]; each program under services/ composes one
// part. They are the same values, so the all-in-one is the same system with
// thinner walls: there, too, each part connects to the log and the warehouse
// as its own user, and the loader is refused the raw log.
package assembly
