//go:build !unix

package embedded

import "syscall"

func lockFile(string) (unlock func(), err error) { return func() {}, nil }

func ownGroup() *syscall.SysProcAttr { return nil }
