package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"

	"izinli/gateway"
	"izinli/iys"
	"izinli/iys/iystest"
)

// A file of consents from the upload to İYS: what the gateway needs of memory for it, whether every bad row comes back with its
// reason, and whether İYS is told everything that it takes and nothing that it would refuse.

func importCSV(ctx context.Context, b *bench, r *result) error {
	return imports(ctx, b, r, gateway.FormatCSV)
}

func importXLSX(ctx context.Context, b *bench, r *result) error {
	return imports(ctx, b, r, gateway.FormatXLSX)
}

// tightHeap is GOMEMLIMIT where memory is the figure. Of it the store's buffers take up to 600 MB while it sorts; the rest is for
// what the work itself needs, however long it lasts.
const (
	tightHeap   = "768MiB"
	tightHeapMB = 768 * 1.048576
)

// rowOctets is what a row may leave behind in the heap once İYS has answered: the mirror's record of it, and room for what the
// store holds of its tables.
const rowOctets = 100

func importMet(r *result) bool {
	left := r.Values["restHeapMB"] - r.Values["smallRestHeapMB"]
	return r.Values["peakMB"] <= 1.1*tightHeapMB && left <= rowOctets*float64(r.Messages)/1e6 && r.Values["quality"] >= 0.999
}

func imports(ctx context.Context, b *bench, r *result, format string) error {
	n := b.size(1_000_000, 5_000)
	small := &result{Settings: map[string]any{}}
	if err := b.importOnce(ctx, small, format, n/10); err != nil {
		return err
	}
	if err := b.importOnce(ctx, r, format, n); err != nil {
		return err
	}
	r.addHarm(small)
	r.set("smallPeakMB", small.Values["peakMB"])
	r.set("smallLiveHeapMB", small.Values["liveHeapMB"])
	r.set("smallRestHeapMB", small.Values["restHeapMB"])
	r.Value, r.Unit = r.Values["peakMB"], "MB"
	r.Messages = n
	r.Settings["heap"] = "GOMEMLIMIT=" + tightHeap
	r.Settings["iys"] = "answers at once, its limits on requests switched off; a batch is asked about after two seconds"
	return nil
}

// importOnce runs one file on a stand of its own.
func (b *bench) importOnce(ctx context.Context, r *result, format string, n int) (err error) {
	s, err := b.newStand(ctx, r, standOptions{deaf: true, settle: 2 * time.Second, heap: tightHeap})
	if err != nil {
		return err
	}
	defer s.remove(&err)
	f := newFile(n)
	path := filepath.Join(s.dir, "izinler."+format)
	if err := f.write(path, format); err != nil {
		return err
	}
	f.known(s.sim)
	done, err := s.meter("import-" + format + "-" + strconv.Itoa(n))
	if err != nil {
		return err
	}
	r.set("idleMB", processMemory(s.gw.pid).RSS)
	began := time.Now()
	v, err := s.upload(ctx, path, format)
	if err != nil {
		return err
	}
	r.set("uploadSeconds", time.Since(began).Seconds())
	if v, err = s.imported(ctx, v.ID); err != nil {
		return err
	}
	r.set("importSeconds", time.Since(began).Seconds())
	r.set("rowsPerSecond", float64(n)/time.Since(began).Seconds())
	r.set("importPeakMB", s.anonPeak)
	a, err := s.gw.do("gc", "")
	if err != nil {
		return err
	}
	r.set("liveHeapMB", a.HeapMB)
	ends, err := s.exchanged(ctx)
	if err != nil {
		return err
	}
	r.set("exchangedSeconds", time.Since(began).Seconds())
	r.set("peakMB", s.anonPeak)
	r.set("residentPeakMB", processMemory(s.gw.pid).Peak)
	if u, uerr := done(); uerr == nil && r.Machine != nil {
		r.load(u, n)
	}
	// The store keeps its buffers for a while after it has sorted.
	if _, err := s.settle(ctx, 2*time.Minute); err != nil {
		return err
	}
	if a, err = s.gw.do("gc", ""); err != nil {
		return err
	}
	r.set("restHeapMB", a.HeapMB)
	f.judge(r, &v, ends, s.sim)
	return f.compare(ctx, r, s, v.ID, format)
}

// file is a consent file made up row by row; nothing of it is held in memory but what is wrong with it.
type file struct {
	n                      int
	now                    time.Time
	approvals, rets, again int
	bad                    map[int]string // line → code of ours, slash, code of İYS
}

func newFile(n int) *file {
	return &file{n: n, now: time.Now().In(iys.Istanbul), bad: map[int]string{}}
}

// Every hundredth row is bad and every fiftieth repeats the one before; of the others every second is an approval. knownEvery is how
// many numbers apart those are whose refusal İYS has something to refuse for.
const knownEvery = 2000

var fileHeader = []string{"telefon", "durum", "izin tarihi", "kaynak", "ad"}

// faults are the bad rows, in turns: what is changed in a good one, and what has to come back.
var faults = []struct {
	edit func(row []string, now time.Time)
	code string
}{
	{func(r []string, _ time.Time) { r[0] = "05321" }, "invalid_number/H121"},
	{func(r []string, _ time.Time) { r[2] = "yarın" }, "invalid/H158"},
	{func(r []string, _ time.Time) { r[2] = "2026-02-30 10:00:00" }, "invalid/H157"},
	{func(r []string, now time.Time) { r[2] = now.AddDate(0, 0, 1).Format(iys.TimeLayout) }, "invalid/H162"},
	{func(r []string, now time.Time) { r[2] = now.AddDate(0, 0, -60).Format(iys.TimeLayout) }, "invalid/H467"},
	{func(r []string, _ time.Time) { r[1] = "BELKİ" }, "invalid/H115"},
	{func(r []string, _ time.Time) { r[3] = "IYS_WEB" }, "invalid/H119"},
	{func(r []string, _ time.Time) { r[0] = "02121234567" }, "not_mobile/"},
	{func(r []string, _ time.Time) { r[2] = "2014-01-01 00:00:00" }, "invalid/H156"},
	{func(r []string, _ time.Time) { r[3] = "HS_2015" }, "invalid/H155"},
	{func(r []string, _ time.Time) { r[0] = "" }, "invalid/H114"},
}

// each makes the rows in order; line counts from 2, behind the header.
func (f *file) each(do func(line int, row []string) error) error {
	f.approvals, f.rets, f.again = 0, 0, 0
	var last []string
	for i := range f.n {
		row := []string{"0" + strings.TrimPrefix(numberOf(i), "+90"), "ONAY", f.now.Add(-time.Hour - time.Duration(i%3600)*time.Second).Format(iys.TimeLayout),
			"HS_WEB", "Şule; Çağrı"}
		if i%2 == 1 {
			row[1] = "RET"
		}
		switch {
		case i%100 == 99:
			x := faults[i/100%len(faults)]
			row[1] = "ONAY"
			x.edit(row, f.now)
			f.bad[i+2] = x.code
		case i%50 == 7:
			row = last
			f.again++
		case i%2 == 0:
			f.approvals++
		default:
			f.rets++
		}
		if err := do(i+2, row); err != nil {
			return err
		}
		last = row
	}
	return nil
}

// isKnown says that İYS has an approval of the number, which the file takes back.
func isKnown(i int) bool { return i%knownEvery == 1 }

// known puts the approvals there that the file takes back.
func (f *file) known(sim *iystest.Sim) {
	for i := range f.n {
		if isKnown(i) {
			sim.Put(iystest.Movement{BrandCode: brandCode, Recipient: numberOf(i), RecipientType: "BIREYSEL", Type: "MESAJ", Status: "ONAY", Source: "HS_WEB",
				ConsentDate: f.now.AddDate(0, 0, -30), CreationDate: f.now.AddDate(0, 0, -30)})
		}
	}
}

func (f *file) write(path, format string) error {
	if format == gateway.FormatXLSX {
		return f.writeBook(path)
	}
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	w := csv.NewWriter(bufio.NewWriterSize(out, 1<<20))
	w.Comma = ';'
	err = w.Write(fileHeader)
	err = errors.Join(err, f.each(func(_ int, row []string) error { return w.Write(row) }))
	w.Flush()
	return errors.Join(err, w.Error(), out.Close())
}

func (f *file) writeBook(path string) error {
	book := excelize.NewFile()
	s, err := book.NewStreamWriter("Sheet1")
	if err != nil {
		return err
	}
	write := func(line int, row []string) error {
		cells := make([]any, len(row))
		for i := range row {
			cells[i] = row[i]
		}
		return s.SetRow("A"+strconv.Itoa(line), cells)
	}
	err = write(1, fileHeader)
	return errors.Join(err, f.each(write), s.Flush(), book.SaveAs(path), book.Close())
}

// call does a request of the API; a status other than 2xx is an error.
func (s *stand) call(ctx context.Context, method, path, kind string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.gw.API+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+s.gw.APIKey)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		resp.Body.Close()
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, text)
	}
	return resp, nil
}

// view does a request that answers with an import.
func (s *stand) view(ctx context.Context, method, path, kind string, body io.Reader) (v gateway.ImportView, err error) {
	resp, err := s.call(ctx, method, path, kind, body)
	if err != nil {
		return v, err
	}
	defer resp.Body.Close()
	return v, json.NewDecoder(resp.Body).Decode(&v)
}

func (s *stand) upload(ctx context.Context, path, format string) (v gateway.ImportView, err error) {
	f, err := os.Open(path)
	if err != nil {
		return v, err
	}
	defer f.Close()
	return s.view(ctx, "POST", "/v1/consents/import?mode=register&channel=sms&brand="+brandCode+"&name="+filepath.Base(path), gateway.ImportMedia[format], f)
}

// imported waits for the end of an import.
func (s *stand) imported(ctx context.Context, id string) (gateway.ImportView, error) {
	for {
		v, err := s.view(ctx, "GET", "/v1/imports/"+id, "", nil)
		if err != nil || v.State == gateway.ImportDone {
			return v, err
		}
		if v.State != gateway.ImportRunning {
			return v, fmt.Errorf("the import is %s: %s", v.State, v.Error)
		}
		select {
		case <-ctx.Done():
			return v, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
		s.noteMemory()
	}
}

// exchanged waits until İYS has been told everything, and returns how the entries ended.
func (s *stand) exchanged(ctx context.Context) (map[string]int, error) {
	last, moved := math.MaxInt, time.Now()
	for {
		a, err := s.gw.do("outbox", "")
		if err != nil || a.Open == 0 {
			return a.Ends, err
		}
		if a.Open < last {
			last, moved = a.Open, time.Now()
		}
		if time.Since(moved) > 3*time.Minute {
			return nil, fmt.Errorf("%d changes do not reach İYS", a.Open)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(5 * time.Second):
		}
		s.noteMemory()
	}
}

// noteMemory remembers the most anonymous memory the gateway was seen with. The rest of what is resident are the store's files, mapped:
// the kernel takes those pages back when it needs them.
//
// With profiles wanted, each new peak leaves a heap profile: what was live at the collection before it.
func (s *stand) noteMemory() {
	now := processMemory(s.gw.pid).Anon
	if now <= s.anonPeak {
		return
	}
	if dir := s.b.opt.profile; dir != "" && now > 1.05*s.anonPeak {
		// A peak without its profile is still a peak.
		_, _ = s.gw.do("heap", filepath.Join(dir, fmt.Sprintf("peak-%04.0fMB.heap", now)))
	}
	s.anonPeak = now
}

// judge holds the counts against the file.
func (f *file) judge(r *result, v *gateway.ImportView, ends map[string]int, sim *iystest.Sim) {
	expect := func(what string, got, want int) {
		if got != want {
			r.note("%s: %d, want %d", what, got, want)
			r.Losses += max(1, want-got)
		}
	}
	expect("rows", v.Rows, f.n)
	expect("bad rows", v.Bad, len(f.bad))
	expect("repeated rows", v.Known, f.again)
	taken, refused := 0, 0
	for name, n := range ends {
		switch {
		case name == "accepted":
			taken += n
		case strings.HasSuffix(name, " unsent"): // judged here; İYS was not bothered
		default:
			refused += n
			r.note("%d entries ended %s", n, name)
		}
	}
	knownRets := 0
	for i := range f.n {
		if isKnown(i) && i%100 != 99 && i%50 != 7 {
			knownRets++
		}
	}
	expect("changes İYS took", taken, f.approvals+knownRets)
	moves := 0
	for _, m := range sim.Consents() {
		if i, ok := indexOf([]byte(m.Recipient)); ok && (m.Status == "ONAY" && i%2 == 0 || m.Status == "RET" && isKnown(i)) {
			moves++
		}
	}
	expect("records at İYS", moves, f.approvals+knownRets)
	c := sim.Counters()
	requests, items := c.Quality(), float64(taken)/float64(max(1, taken+refused))
	r.set("requestQuality", requests)
	r.set("itemQuality", items)
	r.Values["quality"] = min(requests, items)
	r.set("requests", float64(c.Requests))
	r.set("batches", float64(c.ByOperation["addBatch"]))
	r.set("rows", float64(v.Rows))
	r.set("bad", float64(v.Bad))
	r.set("repeated", float64(v.Known))
}

// compare reads the refused rows back and holds each against what was wrong with it.
func (f *file) compare(ctx context.Context, r *result, s *stand, id, format string) error {
	resp, err := s.call(ctx, "GET", "/v1/imports/"+id+"/errors", "", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	rows, err := readTable(resp.Body, format)
	if err != nil {
		return err
	}
	w := len(fileHeader)
	right := 0
	for i, row := range rows {
		if i == 0 || len(row) < w+5 {
			continue
		}
		line, _ := strconv.Atoi(row[w])
		if f.bad[line] == row[w+1]+"/"+row[w+2] && row[w+3] != "" && row[w+4] != "" {
			right++
		} else if right == i-1 {
			r.note("line %d came back as %s/%s, want %s", line, row[w+1], row[w+2], f.bad[line])
		}
	}
	r.set("refusedRowsRight", float64(right))
	r.Losses += len(f.bad) - right + max(0, len(rows)-1-len(f.bad))
	return nil
}

func readTable(in io.Reader, format string) ([][]string, error) {
	if format == gateway.FormatXLSX {
		f, err := excelize.OpenReader(in)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return f.GetRows("Sheet1")
	}
	rd := csv.NewReader(in)
	rd.Comma = ';'
	return rd.ReadAll()
}
