package hooks

import (
	"fmt"
	"os"
)

// workingDirectory returns a path by which a child that is being made, and has
// inherited the open directory, gets to that directory and no other.
func workingDirectory(dir *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", dir.Fd()) }
