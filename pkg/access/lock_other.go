//go:build !unix

package access

import (
	"context"
	"sync"
)

var locked sync.Mutex

// lock keeps the writers of this process apart. Where the system has no
// advisory locks, only one process may write.
func lock(context.Context, string) (unlock func(), err error) {
	locked.Lock()
	return locked.Unlock, nil
}
