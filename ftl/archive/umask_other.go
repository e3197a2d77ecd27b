//go:build !linux

package archive

import "io/fs"

// readUmask returns a umask that takes everything away: the modes of new files are then set
// explicitly.
func readUmask() fs.FileMode { return fs.ModePerm }
