package revision_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/rhettg/ftl/revision"
)

func Example() {
	site, err := revision.ParsePackage("my_site")
	if err != nil {
		fmt.Println(err)
		return
	}
	spooled := time.Date(2026, time.November, 21, 12, 34, 56, 0, time.UTC)
	r, err := revision.New(site, spooled, sha256.Sum256([]byte("what was spooled")))
	if err != nil {
		fmt.Println(err)
		return
	}
	at, known := r.Time()
	fmt.Println(r, r.Package(), r.ID(), at, known)
	// Output: my_site.2026112145296aP my_site 2026112145296aP 2026-11-21 12:34:56 +0000 UTC true
}

func ExampleParse() {
	for _, name := range []string{"my_site.2026112145296Wq", "my_site", "my_site.rev", "../my_site.1"} {
		r, err := revision.Parse(name)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(r.ID())
	}
	// Output:
	// 2026112145296Wq
	// revision "my_site" has no id: want package.id, such as my_site.2026112145296Wq
	// revision "my_site.rev" is the name of the marker, not of a revision
	// revision "../my_site.1": package name is empty
}

// Ids that a person made up count as older than those of ftl.
func ExampleCompare() {
	var all []revision.Revision
	for _, id := range []string{"2026112145296Wq", "2014062000000aa", "release-9"} {
		r, err := revision.Parse("my_site." + id)
		if err != nil {
			fmt.Println(err)
			return
		}
		all = append(all, r)
	}
	slices.SortFunc(all, revision.Compare)
	fmt.Println(all)
	// Output: [my_site.release-9 my_site.2014062000000aa my_site.2026112145296Wq]
}

func ExampleNearest() {
	site, _ := revision.ParsePackage("my_site")
	tool, _ := revision.ParsePackage("tool")
	typo, _ := revision.ParsePackage("my_stie")
	fmt.Println(revision.Nearest(typo, []revision.Package{tool, site}))
	// Output: my_site true
}
