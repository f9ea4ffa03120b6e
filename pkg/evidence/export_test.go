package evidence

// Encode is encode, for tests that edit bundles.
func (b *Bundle) Encode() ([]byte, error) { return b.encode() }
