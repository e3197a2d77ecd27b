package host

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/rhettg/ftl/ftl/host/tree"
	"github.com/rhettg/ftl/ftl/internal/directory"
)

// memory is what a host keeps of its syncs as a whole, beside what it keeps of each package. It
// saves requests, and nothing depends on it: without it everything is read anew, and reported anew.
type memory struct {
	// Epoch is the bucket's, when all packages had last been read without an error, at Looked, with
	// these Settings.
	Epoch    string    `json:"epoch"`
	Looked   time.Time `json:"looked"`
	Settings string    `json:"settings"`
	// Syncs are when the last ones began, by which whoever reads the report knows how often there
	// is one.
	Syncs  []time.Time `json:"syncs"`
	Report reported    `json:"report"`
	// Identity is what the credentials called this host when it was last asked.
	Identity identity `json:"identity,omitzero"`
}

// identity is a name for the keys of the bucket, and when it was learnt.
type identity struct {
	ID string    `json:"id"`
	At time.Time `json:"at"`
}

// reported is what the bucket was last told.
type reported struct {
	At   time.Time `json:"at"`
	ETag string    `json:"etag"`
	// Settings is a digest of what the report says of the host as a whole.
	Settings string `json:"settings"`
	// Failed says why it could not be written, "" where it could. Tries counts that, and Next is
	// when it is tried again.
	Failed string    `json:"failed,omitempty"`
	Tries  int       `json:"tries,omitempty"`
	Next   time.Time `json:"next,omitzero"`
	// Sum is a digest of what it told. At Same that was found to be so still, though something had
	// been written here.
	Sum  string    `json:"sum,omitempty"`
	Same time.Time `json:"same,omitzero"`
	// Foreign counts how often in a row somebody else had written it since.
	Foreign int `json:"foreign,omitempty"`
}

// The memory lies beside the packages, in a directory that can be none. Each user who syncs
// packages has one.
const (
	memoryDir  = ".ftl"
	maxMemory  = 1 << 20
	knownSyncs = 8
)

func memoryFile() string { return "fleet." + tree.AccountOf(os.Geteuid()) + ".json" }

// recall reads the memory. One that can't be read is empty.
func (h *Host) recall() memory {
	var m memory
	root, err := directory.OpenSafeTree(h.Root)
	if err != nil {
		return memory{}
	}
	defer root.Close()
	text, err := root.ReadFile(filepath.Join(h.Root, memoryDir, memoryFile()), maxMemory)
	if err != nil || json.Unmarshal(text, &m) != nil {
		return memory{}
	}
	return m
}

// remember writes the memory. Where that is not possible, as the root belongs to somebody else, the
// host works without.
func (h *Host) remember(m memory) {
	text, err := json.Marshal(m)
	if err != nil {
		return
	}
	root, err := directory.OpenSafeTree(h.Root)
	if err != nil {
		return
	}
	defer root.Close()
	dir := filepath.Join(h.Root, memoryDir)
	if err := root.Mkdir(dir, 0o755); err != nil && !os.IsExist(err) {
		return
	}
	if info, err := root.Lstat(dir); err != nil || !info.IsDir() || !isOurs(info) {
		return
	}
	root.ReplaceFile(filepath.Join(dir, memoryFile()), text, 0o600)
}

// isOurs reports whether a file belongs to the user who runs this.
func isOurs(info os.FileInfo) bool {
	owner, known := tree.OwnerOf(info)
	return known && owner == os.Geteuid()
}

// noteSync notes that a sync begins.
func (m *memory) noteSync(now time.Time) {
	m.Syncs = append(m.Syncs, now.Truncate(time.Second))
	m.Syncs = m.Syncs[max(0, len(m.Syncs)-knownSyncs):]
}

// every returns the time between two syncs, as it mostly is, and zero where that is not known.
func (m memory) every() time.Duration {
	var gaps []time.Duration
	for i := 1; i < len(m.Syncs); i++ {
		if gap := m.Syncs[i].Sub(m.Syncs[i-1]); gap > 0 {
			gaps = append(gaps, gap)
		}
	}
	if len(gaps) == 0 {
		return 0
	}
	slices.Sort(gaps)
	return gaps[len(gaps)/2]
}
