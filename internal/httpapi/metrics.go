package httpapi

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metricsSummary is the JSON form of the metrics.
type metricsSummary struct {
	Timestamp string
	Gauges    []metricValue
	Points    []metricValue
	Counters  []metricSample
	Samples   []metricSample
}

type metricValue struct {
	Name   string
	Value  float64
	Labels map[string]string
}

type metricSample struct {
	Name   string
	Count  uint64
	Sum    float64
	Mean   float64
	Labels map[string]string
}

// metrics serves a summary in JSON, or with format=prometheus the text that a
// scraper reads.
func (a *routes) metrics() http.Handler {
	scrape := promhttp.HandlerFor(a.Metrics, promhttp.HandlerOpts{})
	summary := web.Wrap(a.Log, func(*http.Request) (any, error) { return summarise(a.Metrics, a.Now()) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch format := web.ParamsOf(r).String("format"); format {
		case "":
			summary.ServeHTTP(w, r)
		case "prometheus":
			scrape.ServeHTTP(w, r)
		default:
			web.WriteError(w, api.Errorf(api.CodeInvalid, "query parameter \"format\" is %q: it must be \"prometheus\" or absent", format))
		}
	})
}

func summarise(g prometheus.Gatherer, now time.Time) (*metricsSummary, error) {
	families, err := g.Gather()
	if err != nil {
		return nil, err
	}
	out := &metricsSummary{Timestamp: now.UTC().Format("2006-01-02 15:04:05 -0700 MST"), Gauges: []metricValue{}, Points: []metricValue{}, Counters: []metricSample{}, Samples: []metricSample{}}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := make(map[string]string, len(m.GetLabel()))
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			name := f.GetName()
			switch {
			case m.GetGauge() != nil:
				out.Gauges = append(out.Gauges, metricValue{name, m.GetGauge().GetValue(), labels})
			case m.GetUntyped() != nil:
				out.Gauges = append(out.Gauges, metricValue{name, m.GetUntyped().GetValue(), labels})
			case m.GetCounter() != nil:
				out.Counters = append(out.Counters, metricSample{Name: name, Count: uint64(m.GetCounter().GetValue()), Sum: m.GetCounter().GetValue(), Labels: labels})
			case m.GetHistogram() != nil:
				out.Samples = append(out.Samples, sampleOf(name, m.GetHistogram().GetSampleCount(), m.GetHistogram().GetSampleSum(), labels))
			case m.GetSummary() != nil:
				out.Samples = append(out.Samples, sampleOf(name, m.GetSummary().GetSampleCount(), m.GetSummary().GetSampleSum(), labels))
			}
		}
	}
	slices.SortStableFunc(out.Gauges, func(a, b metricValue) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortStableFunc(out.Samples, func(a, b metricSample) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func sampleOf(name string, count uint64, sum float64, labels map[string]string) metricSample {
	s := metricSample{Name: name, Count: count, Sum: sum, Labels: labels}
	if count > 0 {
		s.Mean = sum / float64(count)
	}
	return s
}
