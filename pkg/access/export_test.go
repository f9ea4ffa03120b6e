package access

import "time"

// SetClock makes a store tell the time by now.
func (s *Store) SetClock(now func() time.Time) { s.now = now }
