package gateway

import (
	"net/http"
	"sync"
	"time"
)

// spaceEvery is how old a look at the disk may be.
const spaceEvery = 500 * time.Millisecond

// spaceGuard refuses events before the disk is full. A full disk stops the log
// for everybody, and what was not confirmed by then stays unknown.
type spaceGuard struct {
	free    func() (uint64, error)
	reserve uint64

	// mu guards what the last look saw.
	mu     sync.Mutex
	looked time.Time
	low    bool
}

func (s *spaceGuard) check() error {
	if s.free == nil || s.reserve == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.looked.IsZero() || time.Since(s.looked) > spaceEvery {
		free, err := s.free()
		// Who cannot look cannot promise.
		s.low = err != nil || free < s.reserve
		s.looked = time.Now()
	}
	if s.low {
		return fail(http.StatusInsufficientStorage, "there is no room for events; nothing was stored")
	}
	return nil
}
