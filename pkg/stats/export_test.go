package stats

// What the tests of this package look at from outside.
var (
	ShowBucket   = showBucket
	ParseBucket  = parseBucket
	DayBeginning = dayBeginning
	BeginningOf  = beginningOf
)

// Days are the first and the last day of a window.
func (w window) Days() (first, last string) { return w.first, w.last }
