package keyring

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// tempPattern names files that are not yet whole. The dot keeps them out of
// the way of every key's name.
const tempPattern = ".temp-*"

// A stepper is told after each numbered step of a change to the disk. Tests
// make it fail there, which leaves the disk as a crash would.
type stepper func(step string) error

func (s stepper) done(step string) error {
	if s == nil {
		return nil
	}
	return s(step)
}

func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault.Unavailable.Errorf("making a directory of the keyring: %w", err)
	}
	return nil
}

// writeTemp writes data to a file of another name beside path, and returns
// when it is on disk.
func writeTemp(dir string, data []byte) (name string, err error) {
	f, err := os.CreateTemp(dir, tempPattern) // mode 0600
	if err != nil {
		return "", fault.Unavailable.Errorf("writing to the keyring: %w", err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return "", fault.Unavailable.Errorf("writing to the keyring: %w", err)
	}
	return f.Name(), nil
}

// writeFile puts data at path, whole or not at all:
//
//  1. write it under another name and fsync
//  2. rename
//  3. fsync the directory
//
// A crash before 2 leaves a temporary file, which Open removes.
func writeFile(path string, data []byte, step stepper, what string) error {
	temp, err := writeTemp(filepath.Dir(path), data)
	if err != nil {
		return err
	}
	if err := step.done(what + " 1"); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		_ = os.Remove(temp)
		return fault.Unavailable.Errorf("writing to the keyring: %w", err)
	}
	if err := step.done(what + " 2"); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return err
	}
	return step.done(what + " 3")
}

// shredFile overwrites a file in place and fsyncs it. A disk that writes
// elsewhere keeps the old bytes; they are wrapped.
func shredFile(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault.Unavailable.Errorf("overwriting a key: %w", err)
	}
	info, err := f.Stat()
	if err == nil {
		noise := make([]byte, info.Size())
		_, _ = rand.Read(noise)
		_, err = f.WriteAt(noise, 0)
	}
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fault.Unavailable.Errorf("overwriting a key: %w", err)
	}
	return nil
}

// removeFile unlinks a file. That it is gone already is no error.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.Unavailable.Errorf("removing from the keyring: %w", err)
	}
	return nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fault.Unavailable.Errorf("syncing the keyring: %w", err)
	}
	err = f.Sync()
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fault.Unavailable.Errorf("syncing the keyring: %w", err)
	}
	return nil
}
