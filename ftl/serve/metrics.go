package serve

import (
	"bytes"
	"fmt"
	"net/http"
	"time"

	"github.com/rhettg/ftl/ftl/fleet"
)

// maxMetricPackages bounds the labels, as a bucket may have any number of packages.
const maxMetricPackages = 200

// metrics tells Prometheus how the fleet is. Whoever may look at the fleet may see it.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	v, ok := s.apiView(w, r)
	if !ok {
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(v.metrics(s.feed.streams.Load())) // who has gone does not miss it
}

// metrics is a picture of the fleet in numbers.
func (v view) metrics(streams int64) []byte {
	var text bytes.Buffer
	gauge := func(name, help string) { fmt.Fprintf(&text, "# HELP %s %s\n# TYPE %[1]s gauge\n", name, help) }
	gauge("ftl_fleet_hosts", "Hosts by package and by how they stand to what is blessed.")
	packages := v.View.Packages[:min(len(v.View.Packages), maxMetricPackages)]
	for _, p := range packages {
		for _, part := range []struct {
			state string
			n     int
		}{{"ok", p.On}, {"waiting", p.Counts.Waiting}, {"failing", p.Counts.Failing}, {"rejected", p.Counts.Rejected}, {"held", p.Counts.Held}, {"silent", p.Counts.Silent}} {
			fmt.Fprintf(&text, "ftl_fleet_hosts{package=%q,state=%q} %d\n", p.Package, part.state, part.n)
		}
	}
	gauge("ftl_fleet_rollout", "1 for the state that the rollout of a package is in.")
	for _, p := range packages {
		if p.Rollout != nil {
			state := rolloutState(p)
			for _, is := range []string{"running", "halted", "settled"} {
				fmt.Fprintf(&text, "ftl_fleet_rollout{package=%q,state=%q} %d\n", p.Package, is, map[bool]int{true: 1}[is == state])
			}
		}
	}
	gauge("ftl_fleet_reporting_hosts", "Hosts that have reported.")
	fmt.Fprintf(&text, "ftl_fleet_reporting_hosts %d\n", v.View.Hosts)
	gauge("ftl_fleet_silent_hosts", "Hosts that should have reported again.")
	fmt.Fprintf(&text, "ftl_fleet_silent_hosts %d\n", len(v.View.Silent))
	gauge("ftl_fleet_oldest_report_seconds", "Age of the oldest report.")
	var oldest time.Duration
	for _, h := range v.Hosts {
		oldest = max(oldest, v.Date.Sub(h.At))
	}
	fmt.Fprintf(&text, "ftl_fleet_oldest_report_seconds %.0f\n", oldest.Seconds())
	gauge("ftl_serve_bucket_readable", "0 while the bucket can't be read.")
	fmt.Fprintf(&text, "ftl_serve_bucket_readable %d\n", map[bool]int{true: 1}[v.Failure == ""])
	gauge("ftl_serve_streams", "Pages that follow the bucket.")
	fmt.Fprintf(&text, "ftl_serve_streams %d\n", streams)
	return text.Bytes()
}

func rolloutState(p fleet.Package) string {
	switch {
	case !p.Rollout.Halted.IsZero():
		return "halted"
	case !p.Rollout.Settled.IsZero():
		return "settled"
	}
	return "running"
}
