package journal

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"izinli/gateway"
)

var at = time.Date(2026, 12, 1, 10, 0, 0, 123e6, time.FixedZone("+03", 3*3600))

func clock() time.Time { return at }

var id = gateway.MessageID{Account: 3, Batch: 77, Index: 5}

func TestOneLineForEachEvent(t *testing.T) {
	var out bytes.Buffer
	j := New(&out, Config{Now: clock})
	j.Accepted(&gateway.Batch{Account: 3, ID: 77, Credential: "k1", Door: gateway.DoorHTTP, TraceID: "r 1", Channel: "sms", Class: "commercial", Brand: "675403"},
		&gateway.Result{Accepted: 1, Dropped: 1, Segments: 2, Credits: 2, Messages: []gateway.Verdict{
			{ID: id, To: "+905321234567", State: gateway.StateQueued},
			{ID: id, To: "+905321234568", State: gateway.StateDropped, Code: gateway.CodeNoConsent}}})
	j.HandedOff(id, "+905321234567", "op1", 2, 1)
	j.Answered(id, "op1", 0, "A1", gateway.StateSent, "")
	j.Answered(id, "op1", 1, "", gateway.StateRejected, "0x0000000b")
	j.Receipt(id, "op1", "A1", gateway.StateDelivered, "000")
	j.Ended(id, "ali@example.com", gateway.StateDelivered, "")
	j.OptOut(&gateway.OptOut{Account: 3, Brand: "675403", Channel: "MESAJ", Address: "+905321234567", Route: "sms"})
	j.Inbound(&gateway.Inbound{Account: 3, From: "+905321234567", To: "3333", Operator: "op1", Kind: "optout", Text: "RET"})
	j.Close()
	msg := " msg_id=" + id.String() + " account=3"
	head := "time=2026-12-01T07:00:00.123Z event="
	want := []string{
		head + "accepted batch=" + id.Ref().String() + ` account=3 door=http credential=k1 channel=sms class=commercial brand=675403 accepted=1 dropped=1 refused=0 segments=2 credits=2 trace="r 1"`,
		head + "dropped" + msg + " to=+90532*****68 code=no_consent",
		head + "handed_off" + msg + " to=+90532*****67 operator=op1 segments=2 attempt=1",
		head + "answered" + msg + " operator=op1 segment=0 operator_id=A1 state=sent",
		head + "answered" + msg + " operator=op1 segment=1 state=rejected reason=0x0000000b",
		head + "receipt" + msg + " operator=op1 operator_id=A1 state=delivered reason=000",
		head + "ended" + msg + " to=a***@e***.com state=delivered",
		head + "optout account=3 brand=675403 channel=MESAJ from=+90532*****67 route=sms",
		head + "inbound account=3 from=+90532*****67 to=3333 operator=op1 kind=optout",
	}
	got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(got) != len(want) {
		t.Fatalf("got %d lines, want %d:\n%s", len(got), len(want), out.String())
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("line %d\n got %s\nwant %s", i, got[i], want[i])
		}
	}
	if j.Written() != 8 || j.Lost() != 0 {
		t.Errorf("written %d, lost %d; want 8, 0", j.Written(), j.Lost())
	}
}

func TestNothingFromOutsideForgesALine(t *testing.T) {
	for _, evil := range []string{"a\nevent=accepted", `a" event=x`, "a event=ended", "a\x1b[2J", "ü", "a\u2028b", "a=b"} {
		var out bytes.Buffer
		j := New(&out, Config{Now: clock})
		j.Receipt(gateway.MessageID{}, "op1", evil, gateway.StateDelivered, evil)
		j.Close()
		line := strings.TrimSuffix(out.String(), "\n")
		if strings.ContainsAny(line, "\n\x1b") {
			t.Errorf("%q breaks its line: %q", evil, line)
		}
		if q := strconv.Quote(evil); !strings.Contains(line, "operator_id="+q+" ") || !strings.HasSuffix(line, "reason="+q) {
			t.Errorf("%q is written as %s", evil, line)
		}
	}
}

// gate is a writer that waits until it is opened.
type gate struct {
	open    chan struct{}
	entered chan struct{}
	bytes.Buffer
}

func (g *gate) Write(p []byte) (int, error) {
	select {
	case g.entered <- struct{}{}:
	default:
	}
	<-g.open
	return g.Buffer.Write(p)
}

func TestASlowWriterCostsEventsNotTime(t *testing.T) {
	g := &gate{open: make(chan struct{}), entered: make(chan struct{}, 1)}
	var logged bytes.Buffer
	j := New(g, Config{Buffer: 10, Now: clock, Log: slog.New(slog.NewTextHandler(&logged, nil))})
	j.Ended(id, "", gateway.StateSent, "")
	<-g.entered // the writer hangs; the buffer is empty
	for range 25 {
		j.Ended(id, "", gateway.StateSent, "") // returns, or the test hangs
	}
	if got := j.Lost(); got != 15 {
		t.Errorf("lost %d, want 15: the buffer holds 10", got)
	}
	close(g.open)
	j.Close()
	if got := strings.Count(g.String(), "event=ended"); got != 11 {
		t.Errorf("%d events written, want 11", got)
	}
	if !strings.Contains(g.String(), "event=lost count=15\n") {
		t.Error("the journal does not tell of the lost events")
	}
	if !strings.Contains(logged.String(), "journal is incomplete") || !strings.Contains(logged.String(), "lost=15") {
		t.Errorf("the log does not tell of the lost events: %s", logged.String())
	}
	j.Ended(id, "", gateway.StateSent, "")
	if got := j.Lost(); got != 16 {
		t.Errorf("after Close: lost %d, want 16", got)
	}
}

// What was lost is logged once, with how many; what is lost later, again; and no rest between two rounds says it anew.
func TestLossIsLoggedOnce(t *testing.T) {
	now := at
	var logged bytes.Buffer
	j := &Journal{w: discard{}, now: func() time.Time { return now }, log: slog.New(slog.NewTextHandler(&logged, nil))}
	for range 5 {
		j.told = 1
		j.complain(false)
		now = now.Add(time.Minute)
	}
	j.told = 4
	j.complain(false)
	j.complain(true)
	lines := strings.Split(strings.TrimSpace(logged.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], " lost=1 ") || !strings.Contains(lines[1], " lost=3 lost_since_start=4 ") {
		t.Errorf("logged\n%s\nwant 1 lost, then 3", logged.String())
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestABrokenWriterIsLoggedOnce(t *testing.T) {
	var logged bytes.Buffer
	j := New(broken{}, Config{Now: clock, Log: slog.New(slog.NewTextHandler(&logged, nil))})
	for range 100 {
		j.Ended(id, "", gateway.StateSent, "")
	}
	j.Close()
	if !strings.Contains(logged.String(), "no space left") {
		t.Error("nothing was logged")
	}
	if n := strings.Count(logged.String(), "\n"); n > 6 {
		t.Errorf("%d lines logged for one fault", n)
	}
}

func TestManyCallersLoseNothingThatFits(t *testing.T) {
	var out bytes.Buffer
	j := New(&out, Config{Buffer: 20_000})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 2000 {
				j.HandedOff(id, "+905321234567", "op1", 1, i)
			}
		})
	}
	wg.Wait()
	j.Close()
	if got := strings.Count(out.String(), "\n"); got != 16_000 || j.Lost() != 0 {
		t.Errorf("%d lines, %d lost; want 16000 and none", got, j.Lost())
	}
}

func TestFileIsReopened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.log")
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(s string) {
		t.Helper()
		if _, err := f.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	write("one\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write("two\n") // still into the renamed file
	if err := f.Reopen(); err != nil {
		t.Fatal(err)
	}
	write("three\n")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{path + ".1": "one\ntwo\n", path: "three\n"} {
		got, err := os.ReadFile(name)
		if err != nil || string(got) != want {
			t.Errorf("%s: got %q %v, want %q", filepath.Base(name), got, err, want)
		}
		if st, err := os.Stat(name); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v %v, want 0600", filepath.Base(name), st.Mode(), err)
		}
	}
	if _, err := OpenFile(filepath.Join(path, "below")); err == nil {
		t.Error("a path below a file was opened")
	}
}

// discard is a writer that costs what a write to a page cache costs at most.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func BenchmarkHandedOff(b *testing.B) {
	j := New(discard{}, Config{})
	defer j.Close()
	b.ReportAllocs()
	for b.Loop() {
		j.HandedOff(id, "+905321234567", "op1", 1, 1)
	}
	b.ReportMetric(float64(j.Lost())/float64(b.N), "lost/op")
}

func BenchmarkHandedOffParallel(b *testing.B) {
	j := New(discard{}, Config{})
	defer j.Close()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			j.HandedOff(id, "+905321234567", "op1", 1, 1)
		}
	})
	b.ReportMetric(float64(j.Lost())/float64(b.N), "lost/op")
}

// BenchmarkLine is what an event costs the journal's own goroutine.
func BenchmarkLine(b *testing.B) {
	e := event{at: at, kind: kindHandedOff, id: id, address: "+905321234567", name: "op1", n: 1, m: 1}
	var line []byte
	b.ReportAllocs()
	for b.Loop() {
		line = e.append(line[:0])
	}
}
