package cmd

import (
	"sync"

	"github.com/rhettg/ftl/ftl"
	"github.com/rhettg/ftl/ftl/host"
	"github.com/rhettg/ftl/ftl/metrics"
)

// results collects what the syncs of several packages came to.
type results struct {
	mu  sync.Mutex
	all []host.Result
}

func (r *results) add(result host.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, result)
}

// writeMetrics leaves the results in a file. That it can't be written is no reason to call a sync
// failed.
func (p *Program) writeMetrics(path string, h *host.Host, results []host.Result) {
	if len(results) == 0 {
		return
	}
	subscribed, err := h.Packages()
	if err != nil {
		p.warn("metrics: %v", err)
		return
	}
	samples := make([]metrics.Sample, len(results))
	for i, result := range results {
		samples[i] = metrics.Sample{
			Package: result.Package, State: result.Status.Condition,
			Current: result.Status.Current, Blessed: result.Status.Active,
			Refused: result.Status.Trust == ftl.Distrusted, Trusts: h.Trust.List != nil,
			Ended: result.Ended, Took: result.Took, Bytes: result.Bytes, JumpsSince: result.JumpsSince,
		}
		if result.Err != nil {
			samples[i].ExitCode = exitCode(ftl.Split(result.Err)[0])
		}
	}
	if err := metrics.Update(path, subscribed, samples); err != nil {
		p.warn("metrics: %v", err)
	}
}
