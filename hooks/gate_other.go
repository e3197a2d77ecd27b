//go:build !linux

package hooks

import "os"

func workingDirectory(dir *os.File) string { return dir.Name() }
