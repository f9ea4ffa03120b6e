package logformat

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Newest returns the latest time of any line of r, or the zero time when no
// line has one. A format that is not known is a fault.Invalid.
//
// One line whose clock ran ahead makes the whole log look newer than it is;
// lines outside 1990 to 2106 do not count.
func Newest(format string, r io.Reader) (time.Time, error) {
	var newest time.Time
	var failed error
	each(format, r, func(_ int, _ []byte, a *access) bool {
		if a.at.After(newest) {
			newest = a.at
		}
		return true
	}, func(p *Problem) bool {
		failed = p.Err
		return true
	})
	if failed != nil {
		return time.Time{}, failed
	}
	return newest, nil
}

// day is 24 hours. A log is moved by these and not by calendar days, so that
// the hour of the day in UTC survives.
const day = 24 * time.Hour

// ShiftFor returns the whole number of days that moves newest into the 24
// hours that end at now: later than now-24h, and not later than now. It is 0
// for the zero time, and negative when newest is in the future.
func ShiftFor(newest, now time.Time) time.Duration {
	if newest.IsZero() {
		return 0
	}
	gap := now.Sub(newest)
	shift := gap.Truncate(day)
	if shift > gap {
		shift -= day
	}
	return shift
}

// Rewindable returns r in a form that can be read twice, and a function that
// releases it. A regular file is returned as it is, and stays open; anything
// else is first copied to a temporary file.
//
// A log names people, so the copy can be read by this user only, and has no
// name on disk by the time it is written: it is gone with the process, even
// when that is killed.
func Rewindable(r io.Reader) (io.ReadSeeker, func() error, error) {
	if f, ok := r.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			return f, func() error { return nil }, nil
		}
	}
	f, err := os.CreateTemp("", "lethe-import-*")
	if err != nil {
		return nil, nil, fmt.Errorf("copying the input: %w", err)
	}
	err = os.Remove(f.Name())
	if err == nil {
		_, err = io.Copy(f, r)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("copying the input: %w", errors.Join(err, f.Close()))
	}
	return f, f.Close, nil
}
