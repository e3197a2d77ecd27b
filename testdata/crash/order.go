package main

import (
	"path/filepath"
	"slices"
	"strings"
)

// A directory that was not synced loses nothing here: the journals of these file
// systems keep to the order of the changes. Others need not, so the order of the
// calls is looked at.

// checkOrder checks the changes of an undisturbed run. A new name of the state,
// a link or a revision has to be synced before a hook begins, before the state
// is written again, and before the end; and the state before it gets its name.
func (h *host) checkOrder(found *problems, calls []call) {
	written := make(map[string]bool)  // files, since they were synced
	unsynced := make(map[string]bool) // directories
	for _, c := range calls {
		switch {
		case c.name == "write" || c.name == "pwrite64":
			written[c.path] = true
		case c.name == "fsync":
			delete(written, c.path)
			delete(unsynced, c.path)
		case c.name == "syncfs":
			clear(written)
			clear(unsynced)
		case strings.HasPrefix(c.name, "rename"):
			if filepath.Base(c.path) == "state.json" && written[c.from] {
				found.add("%v: what was written is not synced", c)
			}
			for _, path := range []string{c.from, c.path} {
				if h.lasting(path) {
					unsynced[filepath.Dir(path)] = true
				}
			}
		}
		startsHook := strings.HasPrefix(c.name, "clone")
		newState := c.name == "openat" && filepath.Base(c.path) == ".state.json.tmp"
		if (startsHook || newState) && len(unsynced) > 0 {
			found.add("%v: not synced before: %v", c, keys(unsynced))
		}
	}
	if len(unsynced) > 0 {
		found.add("not synced at the end: %v", keys(unsynced))
	}
}

// lasting reports whether a name is one that has to survive a power cut.
func (h *host) lasting(path string) bool {
	dir, name := filepath.Split(strings.TrimPrefix(path, h.pkg()+"/"))
	switch dir {
	case "":
		return name == "current" || name == "previous"
	case ".ftl/":
		return name == "state.json"
	case "revs/":
		return !strings.HasPrefix(name, ".")
	}
	return path == h.pkg()
}

func keys(set map[string]bool) (names []string) {
	for name := range set {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
