package mirror

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"izinli/iys"
)

// Ten million records take half a minute to make; set IZINLI_BENCH_10M=1.
func sizes(b *testing.B) []int {
	if os.Getenv("IZINLI_BENCH_10M") != "" {
		return []int{100_000, 10_000_000}
	}
	return []int{100_000}
}

// filler yields n records without holding them.
type filler struct {
	fixed
	n int
}

func (f *filler) EachConsent(_ context.Context, loader func() *Loader) error {
	l := loader()
	defer l.Close()
	buf := []byte("+905000000000")
	c := record(0, iys.StatusApproved)
	for n := range f.n {
		c.Recipient = string(strconv.AppendInt(buf[:4], int64(1_000_000_000+n), 10))
		l.Add(&c)
	}
	return nil
}

func (f *filler) ConsentCount() int { return f.n }

func address(n int) string { return "+905" + strconv.Itoa(1_000_000_000+n) }

func BenchmarkFacts(b *testing.B) {
	for _, n := range sizes(b) {
		m := New()
		began := time.Now()
		if err := m.Load(b.Context(), &filler{n: n}); err != nil {
			b.Fatal(err)
		}
		b.Logf("%d records: loaded in %v, %.1f B each, RSS %s", n, time.Since(began).Round(time.Millisecond), float64(m.Size().Bytes)/float64(n), rss())
		asked := make([]string, 1<<16)
		for i := range asked {
			asked[i] = address(int(uint32(i)*2654435761) % n)
		}
		for name, shift := range map[string]string{"present": "", "absent": "x"} {
			qs := make([]Question, len(asked))
			for i, a := range asked {
				qs[i] = Question{"acc", "100001", iys.ChannelSMS, iys.RecipientPerson, a + shift}
			}
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				found := 0
				for i := 0; b.Loop(); i++ {
					if m.Facts(qs[i&(1<<16-1)]).Consent.Status != "" {
						found++
					}
				}
				if (found > 0) != (shift == "") {
					b.Fatalf("%d found", found)
				}
			})
			b.Run(fmt.Sprintf("%s-parallel/%d", name, n), func(b *testing.B) {
				b.RunParallel(func(pb *testing.PB) {
					for i := 0; pb.Next(); i++ {
						m.Facts(qs[i&(1<<16-1)])
					}
				})
			})
		}
		b.Run(fmt.Sprintf("quantiles/%d", n), func(b *testing.B) { quantiles(b, m, asked) })
	}
}

func quantiles(b *testing.B, m *Mirror, asked []string) {
	took := make([]time.Duration, 0, 200_000)
	for b.Loop() {
		took = took[:0]
		for i := range 200_000 {
			q := Question{"acc", "100001", iys.ChannelSMS, iys.RecipientPerson, asked[i&(1<<16-1)]}
			t0 := time.Now()
			m.Facts(q)
			took = append(took, time.Since(t0))
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2]), "p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100]), "p99-ns")
	b.ReportMetric(float64(took[len(took)*999/1000]), "p99.9-ns")
}

func BenchmarkPut(b *testing.B) {
	m := New()
	c := record(0, iys.StatusApproved)
	for n := 0; b.Loop(); n++ {
		c.Recipient = address(n)
		m.Put(c)
	}
}

// rss is what Linux counts; elsewhere it is unknown.
func rss() string {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "unknown"
	}
	var now, peak string
	for line := range strings.Lines(string(data)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			now = strings.TrimSpace(v)
		}
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			peak = strings.TrimSpace(v)
		}
	}
	return now + " (peak " + peak + ")"
}
