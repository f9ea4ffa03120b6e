package hold

// SetMaxRange bounds the frames of one range.
func (c *Copier) SetMaxRange(n uint64) { c.maxRange = n }

// DisrespectLeases makes a copier take the lease whoever has it.
func (c *Copier) DisrespectLeases() { c.lease = c.leaseFor(0) }
