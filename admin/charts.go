package admin

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// chart is a drawing of the history, made here so that it needs no script.
type chart struct {
	Title, Text              string // Text tells the same in words
	Lines                    []line
	Max, From, Middle, Until string
}

type line struct {
	Label, Class, Points string
}

// curve is one line to be drawn: the key of its label, its class, its value.
type curve struct {
	key, class string
	of         func(*sample) float64
}

const chartWide, chartHigh = 600, 120

// draw makes a chart of samples; unit is the key of the text that carries a value. There is none before the second sample.
func (c *call) draw(samples []sample, unit string, curves ...curve) *chart {
	if len(samples) < 2 {
		return nil
	}
	top := 1.0
	for i := range samples {
		for _, k := range curves {
			top = max(top, k.of(&samples[i]))
		}
	}
	first, last := &samples[0], &samples[len(samples)-1]
	span := last.at.Sub(first.at)
	out := &chart{Title: c.t("chart.title", c.l.ago(span)), Max: c.t(unit, c.l.rate(top)), From: c.l.when(first.at), Middle: c.l.when(first.at.Add(span / 2)), Until: c.l.when(last.at)}
	out.Text = c.t("chart.text", out.Max)
	for _, k := range curves {
		var b strings.Builder
		for i := range samples {
			x := float64(i) * chartWide / float64(len(samples)-1)
			y := chartHigh - k.of(&samples[i])/top*(chartHigh-8)
			fmt.Fprintf(&b, "%.1f,%.1f ", x, y)
		}
		out.Lines = append(out.Lines, line{c.t(k.key), k.class, strings.TrimSpace(b.String())})
		out.Text += " " + c.t("chart.now", c.t(k.key), c.t(unit, c.l.rate(k.of(last))))
	}
	return out
}

// trafficCurves and latencyCurves are what the page of charts draws.
var (
	trafficCurves = []curve{{"dash.accepted", "a", func(s *sample) float64 { return s.accepted }}, {"dash.handedOff", "b", func(s *sample) float64 { return s.handedOff }},
		{"dash.delivered", "c", func(s *sample) float64 { return s.delivered }}, {"dash.failed", "d", func(s *sample) float64 { return s.failed }},
		{"dash.dropped", "e", func(s *sample) float64 { return s.dropped }}}
	latencyCurves = []curve{{"latency.p50", "a", func(s *sample) float64 { return s.p50 }}, {"latency.p95", "b", func(s *sample) float64 { return s.p95 }}}
)

// span is the history asked for: the last minutes, look by look, or the last day by the minute.
func (c *call) span() (name string, samples []sample) {
	if c.QueryParam("span") == "day" {
		return "day", c.p.live.lastDay()
	}
	_, samples, _ = c.p.live.view(c.Request().Context())
	return "now", samples
}

func (c *call) charts() error {
	name, samples := c.span()
	pg := page{Title: c.t("charts.title"), Lead: c.t("charts.lead"), Nav: "/charts", Actions: []link{{Text: c.t("csv"), Href: "/charts.csv?span=" + name}}}
	switchTo := []link{{Text: c.t("charts.now"), Href: "/charts", Current: name == "now"}, {Text: c.t("charts.day"), Href: "/charts?span=day", Current: name == "day"}}
	pg.Blocks = append(pg.Blocks, block{Links: switchTo})
	if len(samples) < 2 {
		pg.Blocks = append(pg.Blocks, block{Note: &note{Kind: "info", Text: c.t("charts.none")}})
		return c.show(pg)
	}
	s, _, _ := c.p.live.view(c.Request().Context())
	pg.Blocks = append(pg.Blocks, block{Title: c.t("charts.traffic"), Chart: c.draw(samples, "unit.perSecond", trafficCurves...)},
		block{Title: c.t("latency.title"), Chart: c.draw(samples, "unit.ms", latencyCurves...)})
	if len(s.Latency) > 0 {
		b := c.latency(s.Latency)
		b.Title = c.t("charts.latency.all")
		pg.Blocks = append(pg.Blocks, b)
	}
	return c.show(pg)
}

// chartsCSV is what the charts are drawn from.
func (c *call) chartsCSV() error {
	name, samples := c.span()
	rate := func(f float64) string { return strconv.FormatFloat(f, 'f', 3, 64) }
	head := []string{"at", "acceptedPerSecond", "handedOffPerSecond", "deliveredPerSecond", "failedPerSecond", "droppedPerSecond", "latencyP50ms", "latencyP95ms"}
	return c.csv("traffic-"+name+".csv", head, func(write func(...string)) (string, error) {
		for i := range samples {
			x := &samples[i]
			write(csvTime(x.at), rate(x.accepted), rate(x.handedOff), rate(x.delivered), rate(x.failed), rate(x.dropped), rate(x.p50), rate(x.p95))
		}
		return "", nil
	})
}

// quantile is the bound in milliseconds within which the share q of the answers between two looks came; 0 when there were none.
// What took longer than the last bound counts as twice that.
func quantile(a, b []LatencyBucket, q float64) float64 {
	n := slices.Clone(b)
	var all uint64
	for i := range n {
		if i < len(a) && a[i].Upto == n[i].Upto && n[i].Count >= a[i].Count {
			n[i].Count -= a[i].Count
		}
		all += n[i].Count
	}
	var seen uint64
	last := time.Duration(0)
	for i := range n {
		seen += n[i].Count
		if all > 0 && float64(seen) >= q*float64(all) {
			if n[i].Upto == 0 {
				return float64(2*last) / float64(time.Millisecond)
			}
			return float64(n[i].Upto) / float64(time.Millisecond)
		}
		last = n[i].Upto
	}
	return 0
}
