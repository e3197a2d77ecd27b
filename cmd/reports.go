package cmd

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rhettg/ftl/ftl/catalog"
	"github.com/rhettg/ftl/ftl/durable"
	"github.com/rhettg/ftl/ftl/fleet"
	"github.com/rhettg/ftl/ftl/master"
	"github.com/rhettg/ftl/revision"
)

// reports are the reports of the hosts, of which those that were read before are kept in a file.
// They can be read without it, so that it can't be read or written is no failure.
type reports struct {
	fleet.Fleet
	cache string // the file; "" for none
}

// reports opens the reports of a bucket.
func (p *Program) reports(s settings, bucket *catalog.Catalog) *reports {
	r := &reports{Fleet: fleet.Fleet{Catalog: bucket}, cache: p.reportsCache(s)}
	if text, err := os.ReadFile(r.cache); r.cache != "" && err == nil {
		r.Load(bytes.NewReader(text))
	}
	return r
}

// reportsCache names the file for the reports of a bucket, which two stores may call alike.
func (p *Program) reportsCache(s settings) string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	sum := sha256.Sum256([]byte(s.bucket + "\x00" + p.Getenv("AWS_ENDPOINT_URL") + "\x00" + p.Getenv("AWS_ENDPOINT_URL_S3")))
	return filepath.Join(dir, "ftl", fmt.Sprintf("reports-%x.json", sum[:8]))
}

// read returns the hosts that have reported and the bucket's clock, and keeps what it has read.
func (r *reports) read(ctx context.Context) ([]fleet.Host, time.Time, error) {
	hosts, now, err := r.Read(ctx)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read the reports of the hosts: %w", err)
	}
	r.keep()
	return hosts, now, nil
}

// keep writes the file, as far as that can be done: it saves time, and nothing else.
func (r *reports) keep() {
	var text bytes.Buffer
	if r.cache == "" || !r.Changed() || r.Save(&text) != nil || os.MkdirAll(filepath.Dir(r.cache), 0o700) != nil {
		return
	}
	dir, err := os.OpenRoot(filepath.Dir(r.cache))
	if err != nil {
		return
	}
	defer dir.Close()
	_ = durable.ReplaceFile(dir, filepath.Base(r.cache), text.Bytes(), 0o600)
}

// knownFleet is what whoever blesses a package knows of its hosts.
func knownFleet(ctx context.Context, bucket *catalog.Catalog, hosts []fleet.Host, pkg revision.Package) (master.Fleet, error) {
	marker, err := bucket.Marker(ctx, pkg)
	if err != nil {
		return master.Fleet{}, err
	}
	if active, blessed := marker.Active(); blessed {
		return fleetOf(hosts, active), nil
	}
	return master.Fleet{Members: fleet.Roster(hosts, pkg)}, nil
}

// fleetOf is what is known of the hosts of a package and of how they fare with its active entry.
func fleetOf(hosts []fleet.Host, active catalog.Entry) master.Fleet {
	known := master.Fleet{Members: fleet.Roster(hosts, active.Revision.Package())}
	known.OK, known.Bad = fleet.Outcomes(hosts, known.Members, active)
	return known
}
