package audit

import (
	"context"
	"time"
)

// OpenWithSteps opens a log that stops where step fails, as if the process had
// died there.
func OpenWithSteps(ctx context.Context, cfg Config, step func(string) error) (*Log, error) {
	cfg.steps = step
	return Open(ctx, cfg)
}

// SetStreamKept says how long a sequencer leaves entries in the stream.
func SetStreamKept(s *Sequencer, d time.Duration) { s.streamKept = d }

// EncodeBundle and DecodeBundle frame entries.
var (
	EncodeBundle = encodeBundle
	DecodeBundle = decodeBundle
)
