package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"izinli/gateway/smpp"
	"izinli/gateway/smpplink"
	"izinli/test/stage"
)

// TestMain plays the roles of the processes the program starts of itself: here "itself" is the test.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		if role := roles[os.Args[1]]; role != nil {
			if err := role(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// needs names the programs a figure starts.
var needs = map[string][]string{"T1": {"redis-server"}, "T7": {"redis-server"}, "T11": {"redis-server"}, "T13": {"redis-server", "strace"},
	"kannel": {"redis-server", "bearerbox", "smsbox"}}

// Every figure runs, small: the whole gateway in its own process, nothing lost, nothing twice, nothing leaked.
func TestFiguresQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	for _, f := range figures {
		t.Run(f.id, func(t *testing.T) {
			for _, p := range needs[f.id] {
				if _, err := exec.LookPath(p); err != nil {
					t.Skip(err)
				}
			}
			var out bytes.Buffer
			ok, err := run(t.Context(), []string{"--quick", "--dir", t.TempDir(), f.id}, &out)
			if err != nil || !ok {
				t.Fatalf("ok %v, err %v\n%s", ok, err, out.String())
			}
			var r result
			line, _ := bufio.NewReader(&out).ReadBytes('\n')
			if err := json.Unmarshal(line, &r); err != nil {
				t.Fatalf("the first line is not a result: %v", err)
			}
			if f.id == "T11" && r.Values["acknowledgementMaxMs"] > 0 {
				r.Value = max(r.Value, 1) // 0: nobody got anything more, which is as it should be
			}
			if r.Figure != f.id || r.Value <= 0 || r.Messages <= 0 || r.Machine == nil || r.Unit == "" {
				t.Errorf("incomplete result: %s", line)
			}
			if r.broken() || len(r.Notes) > 0 && f.id != "T10" {
				t.Errorf("losses %d, duplicates %d, leaks %d, notes %q", r.Losses, r.Duplicates, r.Leaks, r.Notes)
			}
		})
	}
}

// A measurement that cannot notice harm is worth nothing: the same load against an operator that remembers less than it took
// counts losses, and one that gets a message twice counts a duplicate.
func TestCountNoticesHarm(t *testing.T) {
	people := audience{consents: 1000, refusals: 10}
	told := func(ok, receipts, again int64) *esmeLoad {
		e := &esmeLoad{n: 4}
		e.ok.Store(ok)
		e.receipts.Store(receipts)
		e.again.Store(again)
		return e
	}
	for _, c := range []struct {
		name                           string
		load                           *esmeLoad
		arrived                        []int
		losses, duplicates, wantBroken int
	}{
		{"all is well", told(4, 4, 0), []int{0, 1, 2, 3}, 0, 0, 0},
		{"one did not arrive", told(4, 4, 0), []int{0, 1, 2}, 1, 0, 1},
		{"one has no receipt", told(4, 3, 0), []int{0, 1, 2, 3}, 1, 0, 1},
		{"one came twice", told(4, 4, 0), []int{0, 1, 2, 3, 3}, 0, 1, 1},
		{"one has two receipts", told(4, 4, 1), []int{0, 1, 2, 3}, 0, 1, 1},
		{"one was refused, which loses nothing", told(3, 3, 0), []int{0, 1, 2}, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &stand{operator: &operator{seen: newTracker(200)}}
			s.operator.seen.people = people
			for _, ref := range c.arrived {
				s.operator.seen.arrived(ref, []byte(numberOf(people.number(ref))), 1)
			}
			r := &result{}
			s.count(r, c.load)
			if r.Losses != c.losses || r.Duplicates != c.duplicates || r.broken() != (c.wantBroken == 1) {
				t.Errorf("losses %d, duplicates %d, broken %v; want %d, %d, %v", r.Losses, r.Duplicates, r.broken(), c.losses, c.duplicates, c.wantBroken == 1)
			}
		})
	}
}

// Nor one that cannot notice a leak: a message to somebody who refused, or to somebody else than it was for.
func TestTrackerNoticesLeaks(t *testing.T) {
	people := audience{consents: 1000, refusals: 10}
	for name, c := range map[string]struct {
		ref, free int
		number    string
		leaked    int64
	}{
		"to whom it is for":                  {42, 200, numberOf(42), 0},
		"to somebody else":                   {42, 200, numberOf(43), 1},
		"to somebody who refused":            {199, 200, numberOf(1001), 1},
		"to the same, and needs no consent":  {199, 150, numberOf(1001), 0},
		"needs none, but to somebody else":   {199, 150, numberOf(1002), 1},
		"to something that is not a number":  {42, 200, "ORNEK", 1},
		"about nobody's reference":           {200, 200, numberOf(0), 0},
		"in international form without plus": {42, 200, numberOf(42)[1:], 0},
	} {
		seen := newTracker(200)
		seen.people, seen.free = people, c.free
		if seen.arrived(c.ref, []byte(c.number), 1); seen.leaked.Load() != c.leaked {
			t.Errorf("%s: %d leaks, want %d", name, seen.leaked.Load(), c.leaked)
		}
	}
}

// A target that is met counts only when nothing was broken.
func TestJudge(t *testing.T) {
	f := figure{met: func(r *result) bool { return r.Value >= 10 }}
	for _, c := range []struct {
		r    result
		want bool
	}{
		{result{Value: 10}, true},
		{result{Value: 9.9}, false},
		{result{Value: 10, Losses: 1}, false},
		{result{Value: 10, Duplicates: 1}, false},
		{result{Value: 10, Leaks: 1}, false},
		{result{Value: 10, Durability: durability(true, true)}, true},
		{result{Value: 10, Durability: durability(false, true)}, false},
		{result{Value: 10, Machine: &machine{InMemory: true}}, false},
	} {
		if c.r.judge(f); c.r.Pass != c.want {
			t.Errorf("%+v passes: %v, want %v", c.r, c.r.Pass, c.want)
		}
	}
	for name, harm := range map[string]result{"loss": {Losses: 1}, "repeat": {Duplicates: 1}, "leak": {Leaks: 1}, "durability": {Durability: durability(true, false)}} {
		r := result{Value: 10, Durability: durability(true, true)}
		if r.addHarm(&result{Notes: []string{"fine"}, Durability: durability(true, true)}); r.broken() || len(r.Notes) != 1 {
			t.Errorf("a second run without harm: broken %v, notes %q", r.broken(), r.Notes)
		}
		if r.addHarm(&harm); !r.broken() {
			t.Errorf("the %s of a second run is thrown away", name)
		}
	}
	var out bytes.Buffer
	m := &machine{}
	if summarize(&out, m, []*result{{Pass: true}, {Pass: false}}, false) {
		t.Error("a missed target is no success")
	}
	if !summarize(&out, m, []*result{{Pass: false}}, true) {
		t.Error("a quick run is too short to miss a target")
	}
	if summarize(&out, m, []*result{{Losses: 1}}, true) {
		t.Error("a quick run may lose nothing")
	}
}

func TestBottleneck(t *testing.T) {
	for _, c := range []struct {
		c    cpuShare
		want string
	}{
		{cpuShare{GatewayShare: 0.8, BenchShare: 0.15}, "gateway:"},
		{cpuShare{GatewayShare: 0.3, BenchShare: 0.65}, "generator and operator:"},
		{cpuShare{GatewayShare: 0.3, BenchShare: 0.1}, "waiting"},
		{cpuShare{GatewayShare: 0.5, BenchShare: 0.1, OthersShare: 0.4}, "the machine is busy"},
	} {
		if got := bottleneck(&c.c); !strings.HasPrefix(got, c.want) {
			t.Errorf("%+v: %q, want %q…", c.c, got, c.want)
		}
	}
}

func TestRound(t *testing.T) {
	for in, want := range map[float64]float64{0: 0, 12345.6: 12350, 0.0123456: 0.01235, 3: 3, -9876.5: -9877} {
		if got := round(in); got != want {
			t.Errorf("round(%v) = %v, want %v", in, got, want)
		}
	}
}

func TestQuantiles(t *testing.T) {
	var a, b latencies
	for i := range 100 {
		if i%2 == 0 {
			a = append(a, time.Duration(i))
		} else {
			b = append(b, time.Duration(i))
		}
	}
	if got, want := merge(a, b), (quantiles{50, 99, 99}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := merge(); got != (quantiles{}) {
		t.Errorf("nothing measured gives %v", got)
	}
}

func TestReferences(t *testing.T) {
	for _, c := range []struct {
		text string
		ref  int
		ok   bool
	}{
		{"no 00000042", 42, true},
		{"99999999", 99999999, true},
		{"no 0000004x", 0, false},
		{"7654321", 0, false},
		{"", 0, false},
	} {
		if ref, ok := refOf([]byte(c.text)); ok != c.ok || ok && ref != c.ref {
			t.Errorf("refOf(%q) = %d, %v", c.text, ref, ok)
		}
	}
	if i, ok := indexOf([]byte(numberOf(1234567))); !ok || i != 1234567 {
		t.Errorf("number and back: %d, %v", i, ok)
	}
	if i, ok := indexOf([]byte(numberOf(99999999)[1:])); !ok || i != 99999999 {
		t.Errorf("number without plus and back: %d, %v", i, ok)
	}
	if _, ok := indexOf([]byte("+90530123456")); ok {
		t.Error("a short number has no index")
	}
}

// The template's places are right: what is patched is what a decoder reads.
func TestTemplate(t *testing.T) {
	e := &esmeLoad{people: audience{consents: 10_000_000}, template: newTemplate("000001000000000R", false)}
	pdu := (&burst{c: &esme{load: e}, first: 42345676}).AppendPDU(nil, 2, 77)
	h, err := smpp.ParseHeader(pdu, smpp.MaxPDU)
	if err != nil {
		t.Fatal(err)
	}
	var m smpp.SubmitSM
	if err := m.Decode(h, pdu[smpp.HeaderLen:]); err != nil {
		t.Fatal(err)
	}
	if h.Sequence != 77 || string(m.Dest.Addr) != "905302345678" || !strings.HasSuffix(string(m.ShortMessage), " 42345678") {
		t.Errorf("sequence %d to %s: %q", h.Sequence, m.Dest.Addr, m.ShortMessage)
	}
}

// The operator and the customer, without a gateway between them: the operator answers, sends receipts, and a refused receipt
// comes again.
func TestOperatorAlone(t *testing.T) {
	o, err := startOperator()
	if err != nil {
		t.Fatal(err)
	}
	defer o.close()
	o.seen = newTracker(2)
	conn, err := net.Dial("tcp", o.addr())
	if err != nil {
		t.Fatal(err)
	}
	h := &plainESME{got: make(chan smpp.DeliverSM, 10)}
	l := smpplink.New(conn, smpplink.Config{}, h)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { l.Run(ctx); close(ended) }()
	defer func() { cancel(); <-ended }()
	answered := make(chan smpp.CommandStatus, 10)
	note := func(r smpplink.Result) { answered <- r.Header.Status }
	if err := l.Send(&smpp.Bind{SystemID: []byte("x"), InterfaceVersion: smpp.Version34}, note); err != nil {
		t.Fatal(err)
	}
	if st := <-answered; st != smpp.StatusOK {
		t.Fatal(st)
	}
	h.refuse = 1
	e := &esmeLoad{template: newTemplate("", false)}
	for i := range 2 {
		raw := (&burst{c: &esme{load: e}, first: i}).AppendPDU(nil, 0, 1)
		head, _ := smpp.ParseHeader(raw, smpp.MaxPDU)
		var m smpp.SubmitSM
		if err := m.Decode(head, raw[smpp.HeaderLen:]); err != nil {
			t.Fatal(err)
		}
		if err := l.Send(&m, note); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if st := <-answered; st != smpp.StatusOK {
			t.Fatal(st)
		}
	}
	<-o.seen.done
	for range 3 { // two receipts, one of them twice
		d := <-h.got
		if r, ok := smpp.ParseReceipt(&d, time.UTC); !ok || r.State != smpp.StateDelivered {
			t.Errorf("not a receipt: %q", d.ShortMessage)
		}
	}
	if err := until(t.Context(), patience, o.acked.Load, func() bool { return o.acked.Load() == 2 }); err != nil {
		t.Fatal(err)
	}
	if got := o.put.Load(); got != 1 {
		t.Errorf("%d put off, want 1", got)
	}
}

// plainESME acknowledges deliveries, after refusing some.
type plainESME struct {
	refuse int // owned by the reader once bound
	got    chan smpp.DeliverSM
}

func (p *plainESME) HandlePDU(l *smpplink.Link, h smpp.Header, body []byte) {
	var d smpp.DeliverSM
	if err := d.Decode(h, bytes.Clone(body)); err != nil {
		panic(err)
	}
	resp := smpp.DeliverSMResp{}
	if p.refuse > 0 {
		p.refuse--
		resp.Status = smpp.StatusTempAppErr
	}
	l.Respond(h.Sequence, &resp)
	p.got <- d
}

func TestHTTPAnswers(t *testing.T) {
	for _, c := range []struct {
		name, wire, body string
		status           int
		bad              bool
	}{
		{"plain", "HTTP/1.1 202 Accepted\r\ncontent-length: 4\r\n\r\nabcd", "abcd", 202, false},
		{"empty", "HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n", "", 503, false},
		{"chunked", "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde", 202, false},
		{"no length", "HTTP/1.1 202 Accepted\r\n\r\n", "", 202, true},
		{"no status", "hello\r\n\r\n", "", 0, true},
		{"cut", "HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\nabc", "", 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			go func() {
				r := bufio.NewReader(theirs)
				for range 2 { // twice: the first answer must leave nothing behind
					if _, err := r.ReadString('\n'); err != nil {
						return
					}
					theirs.Write([]byte(c.wire))
					if c.bad {
						break
					}
				}
				theirs.Close()
			}()
			h := &httpConn{c: ours, r: bufio.NewReader(ours)}
			defer ours.Close()
			for range 2 {
				status, body, err := h.do([]byte("x\n"), nil)
				if (err != nil) != c.bad {
					t.Fatalf("err %v, want one: %v", err, c.bad)
				}
				if c.bad {
					return
				}
				if status != c.status || string(body) != c.body {
					t.Errorf("got %d %q, want %d %q", status, body, c.status, c.body)
				}
			}
		})
	}
}

func TestCountCalls(t *testing.T) {
	path := filepath.Join(t.TempDir(), "strace")
	text := `101 msync(0x7f0000000000, 4096, MS_SYNC) = 0
102 fsync(7 <unfinished ...>
101 fdatasync(8)                      = 0
102 <... fsync resumed>)              = 0
101 +++ exited with 0 +++
103 write(1, "fsync(3)", 8)           = 8
101 --- SIGURG {si_signo=SIGURG} ---
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := countCalls(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got["msync"] != 1 || got["fsync"] != 1 || got["fdatasync"] != 1 {
		t.Errorf("got %v, want one of each", got)
	}
}

func TestCommandLine(t *testing.T) {
	var out bytes.Buffer
	if ok, err := run(t.Context(), []string{"--list"}, &out); !ok || err != nil {
		t.Fatalf("--list: %v, %v", ok, err)
	}
	for _, f := range figures {
		if !strings.Contains(out.String(), f.id) {
			t.Errorf("--list does not name %s", f.id)
		}
	}
	if _, err := run(t.Context(), []string{"T99"}, &out); err == nil {
		t.Error("an unknown figure is no error")
	}
	list, err := choose([]string{"t5"}, &options{})
	if err != nil || len(list) != 1 || list[0].id != "T5" {
		t.Errorf("t5 means %v, %v", list, err)
	}
	some, _ := choose(nil, &options{})
	more, _ := choose(nil, &options{big: true})
	if len(more) != len(some)+1 {
		t.Errorf("--big adds %d figures, want T10 alone", len(more)-len(some))
	}
}

func TestProcessFigures(t *testing.T) {
	began := time.Now()
	x := 0
	for time.Since(began) < 50*time.Millisecond {
		x++
	}
	if got := processCPU(os.Getpid()); got < 2*clockTick {
		t.Errorf("this process used %v, more was spent", got)
	}
	if m := processMemory(os.Getpid()); m.RSS < 1 || m.Peak < m.Anon {
		t.Errorf("memory of this process: %+v", m)
	}
	if got := processCPU(1 << 30); got != 0 {
		t.Errorf("nobody used %v", got)
	}
	if m := stage.DescribeMachine(t.TempDir()); m.Cores < 1 || m.MemMB < 100 || m.SyncMS <= 0 || m.Kernel == "" {
		t.Errorf("machine: %+v", m)
	}
}
