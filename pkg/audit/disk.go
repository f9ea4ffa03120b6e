package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// The files below DIR, all with mode 0600 in directories with mode 0700:
//
//	key                        signs the checkpoints
//	lock                       held by the process that has the log open
//	YEAR/checkpoint            the signed note: the commit point of the tree
//	YEAR/checkpoints/DATE      the first checkpoint of each day
//	YEAR/tile/L/N[.p/W]        hash tiles
//	YEAR/tile/entries/N[.p/W]  entry bundles (bundle.go)
const (
	keyFile        = "key"
	lockFile       = "lock"
	checkpointFile = "checkpoint"
	archiveDir     = "checkpoints"
	// tempPattern names files that are not yet whole.
	tempPattern = ".temp-*"
	// removedPrefix begins the name of a tree that is being removed.
	removedPrefix = ".removed-"
)

func yearDir(dir string, year int) string { return filepath.Join(dir, fmt.Sprintf("%04d", year)) }

// tilePath is where a tile is below a year's directory. The path of tlog names
// the height too, which is always 8 here; that of entries is level -1.
func tilePath(t tlog.Tile) string {
	path := strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", tileHeight))
	if t.L < 0 {
		path = "entries" + strings.TrimPrefix(path, "data")
	}
	return filepath.Join("tile", filepath.FromSlash(path))
}

// failed gives an error of the disk its kind. Its text names a path and no
// value.
func failed(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault.Exhausted.Errorf("%s: %w", doing, err)
	case errors.Is(err, fs.ErrNotExist):
		return fault.NotFound.Errorf("%s: %w", doing, err)
	}
	return fault.Unavailable.Errorf("%s: %w", doing, err)
}

// makeDir makes a directory below root and those on the way to it, and returns
// when they are on disk.
func makeDir(root, dir string) error {
	if dir == root {
		return nil
	}
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeDir(root, filepath.Dir(dir)); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o700)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return failed("making a directory of the audit log", err)
	}
	return syncDir(filepath.Dir(dir))
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err == nil {
		err = f.Sync()
		if e := f.Close(); err == nil {
			err = e
		}
	}
	return failed("syncing a directory of the audit log", err)
}

// write puts data at path and syncs the file; the directory is still to be
// synced. Whatever was there is overwritten: it must be nothing that a
// checkpoint stands for.
func write(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err == nil {
		err = writeSync(f, data)
	}
	return failed("writing a tile of the audit log", err)
}

// writeTemp puts data in a file of another name in dir, and returns when it is
// on disk.
func writeTemp(dir string, data []byte) (path string, err error) {
	f, err := os.CreateTemp(dir, tempPattern) // mode 0600
	if err != nil {
		return "", failed("writing to the audit log", err)
	}
	if err := writeSync(f, data); err != nil {
		_ = os.Remove(f.Name())
		return "", failed("writing to the audit log", err)
	}
	return f.Name(), nil
}

func writeSync(f *os.File, data []byte) error {
	_, err := f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// lockDir takes the directory for this process: two that append would each
// sign another tree. The kernel gives the lock back when the process ends,
// however it ends.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, failed("opening the lock of the audit log", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fault.Conflict.Errorf("the audit log at %s is open in another process", dir)
	}
	return nil, failed("locking the audit log", err)
}
