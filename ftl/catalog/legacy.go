package catalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/rhettg/ftl/revision"
)

// maxLegacy is more than a revision's name has.
const maxLegacy = 1 << 10

// Legacy returns the active and the previous revision of a package as an ftl of 2014 has noted
// them, zero where it has not.
func (c *Catalog) Legacy(ctx context.Context, pkg revision.Package) (active, previous revision.Revision, err error) {
	activeKey, previousKey := LegacyKeys(pkg)
	if active, err = c.legacyName(ctx, pkg, activeKey); err != nil {
		return active, previous, err
	}
	previous, err = c.legacyName(ctx, pkg, previousKey)
	return active, previous, err
}

func (c *Catalog) legacyName(ctx context.Context, pkg revision.Package, key string) (revision.Revision, error) {
	text, _, err := readObject(ctx, c.Bucket, key, maxLegacy)
	if errors.Is(err, fs.ErrNotExist) {
		return revision.Revision{}, nil
	}
	if err != nil {
		return revision.Revision{}, err
	}
	name := strings.TrimSpace(string(text))
	if name == "" {
		return revision.Revision{}, nil
	}
	r, err := revision.Parse(name)
	if err == nil && r.Package() != pkg {
		err = fmt.Errorf("it names %s, of another package", r)
	}
	if err != nil {
		return revision.Revision{}, refused(fmt.Errorf("read %s: %w", key, err))
	}
	return r, nil
}
