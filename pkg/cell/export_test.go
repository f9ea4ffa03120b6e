package cell

import "math"

// Hurry lets looks that take long be made at once again.
func (p *Publisher) Hurry() { p.patience.brief = math.MaxInt64 }
