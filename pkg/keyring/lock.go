package keyring

import (
	"errors"
	"os"
	"syscall"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// lockDir takes the keyring's directory for this process. Two processes on one
// keyring would each miss what the other destroys. The kernel gives the lock
// back when the process ends, however it ends.
func lockDir(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fault.Unavailable.Errorf("opening the keyring's lock: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		_ = f.Close()
		return nil, fault.Conflict.Errorf("the keyring at %s is open in another process", path)
	}
	if err != nil {
		_ = f.Close()
		return nil, fault.Unavailable.Errorf("locking the keyring: %w", err)
	}
	return f, nil
}
