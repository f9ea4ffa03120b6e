package client

import (
	"context"
	"time"
)

// SetWait replaces the pause between attempts.
func SetWait(c *Client, wait func(context.Context, time.Duration) error) { c.wait = wait }

// BackOff and RetryAfter are the two parts of a pause.
var (
	BackOff    = backOff
	RetryAfter = retryAfter
)
