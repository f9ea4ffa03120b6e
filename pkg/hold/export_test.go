package hold

import "context"

// SetMaxRange bounds the frames of one range.
func (c *Copier) SetMaxRange(n uint64) { c.maxRange = n }

// DisrespectLeases makes a copier take the lease whoever has it.
func (c *Copier) DisrespectLeases() { c.lease = c.leaseFor(0) }

// SetFloor says that a hold is copied through a sequence, as a copier does.
func (s *Store) SetFloor(ctx context.Context, id string, floor, rows uint64) error {
	_, err := s.update(ctx, id, func(h *Hold) error {
		h.Floor, h.Rows = floor, rows
		return nil
	})
	return err
}
