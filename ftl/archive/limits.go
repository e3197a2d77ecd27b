package archive

import "time"

// The limits are far beyond real trees. They bound what an archive can cost a host. They are
// variables so that tests can reach them.
var (
	maxEntries   int64 = 5_000_000 // things made, and headers read; a large node_modules has 300,000
	maxBytes     int64 = 1 << 42   // of all files: 4 TiB
	maxDepth           = 100       // components of a name; deeper trees defeat rm and most scripts
	maxComponent       = 255       // bytes, NAME_MAX of every common file system
	maxPath            = 4095      // bytes, PATH_MAX without its NUL
	maxDirNames        = 64 << 20  // bytes of all directories' names, which are remembered until the end
	maxHeader    int64 = 4 << 20   // bytes in front of an entry's content: header, PAX records, long names
	maxPadding   int64 = 16 << 20  // zero bytes after the end of a tar; GNU tar fills up to 10 KiB

	// maxWindow is what zstd itself accepts without --memory: all of its levels, and --long with
	// its default of 27. A window is held in memory twice or so while decompressing; without --long
	// it is 8 MiB at most up to level 19.
	maxWindow uint64 = 128 << 20
)

// The times that an unsigned 32-bit time_t holds. Any file system and any script can handle them.
var (
	minTime = time.Unix(0, 0)
	maxTime = time.Unix(1<<32-1, 0)
)
