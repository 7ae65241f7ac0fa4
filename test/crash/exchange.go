package crash

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"izinli/cmd/assembly"
	"izinli/configs"
	"izinli/iys"
	"izinli/iys/iysapi"
	"izinli/iys/iystest"
	"izinli/test/stage"
)

// ExchangeStory is a run in which consents travel both ways between the gateway and İYS while the gateway is killed.
type ExchangeStory struct {
	Changes, Kills int
	Seed           uint64 // of the points of the kills; printed
}

// Of the changes, by index: six in ten are approvals the customer brings, two are refusals he brings of people İYS knows as
// approved, two are acts of citizens at İYS.
func kindOf(i int) string {
	switch i % 10 {
	case 3, 7:
		return "refusal"
	case 1, 8:
		return "citizen"
	}
	return "approval"
}

// exchangeRun is a story of the exchange being told.
type exchangeRun struct {
	ExchangeStory
	t     *testing.T
	s     *stage.Stage
	gw    *process
	begun time.Time

	api   atomic.Pointer[stage.API] // of the gateway that runs
	acked atomic.Int64              // changes the customer was told are kept
	acts  atomic.Int64              // of citizens
	done  chan struct{}             // closed when everything was brought

	after map[iysapi.ChangeSource]cursorAt
}

// cursorAt is where a listing stood.
type cursorAt struct {
	stamp int64
	end   time.Time
}

// RunExchange tells the story: every change reaches İYS exactly once in effect, the cursors never go back, and what citizens did
// is known in the end.
func RunExchange(t *testing.T, st ExchangeStory) {
	t.Helper()
	if st.Seed == 0 {
		st.Seed = rand.Uint64()
	}
	t.Logf("seed %d", st.Seed)
	r := &exchangeRun{ExchangeStory: st, t: t, done: make(chan struct{}), after: map[iysapi.ChangeSource]cursorAt{}}
	r.setUp()
	r.startGateway()
	t.Cleanup(func() { r.gw.kill() })
	go r.bring()
	go r.citizens()
	rng := rand.New(rand.NewPCG(st.Seed, 1))
	for k := range st.Kills {
		r.killAt(k+1, st.Changes*(k+1)/(st.Kills+2), time.Duration(rng.IntN(400))*time.Millisecond)
	}
	r.settle()
	r.gw.stop(t)
	r.cursors()
	r.audit()
}

func (r *exchangeRun) setUp() {
	r.s = stage.New(r.t, func(_ *configs.Config, o *assembly.PlaygroundOptions) { o.IYS.BatchDelay = 10 * time.Millisecond })
	at := time.Now().Add(-48 * time.Hour)
	for i := range r.Changes {
		if kindOf(i) != "approval" {
			r.s.IYS.Put(iystest.Movement{BrandCode: r.s.Seeds.Brand, Recipient: number(uint32(i)), RecipientType: "BIREYSEL", Type: "MESAJ", Status: "ONAY",
				Source: "HS_ETKINLIK", ConsentDate: at, CreationDate: at.Add(time.Duration(i) * time.Second)})
		}
	}
	r.s.Run()
	r.s.Leave()
	r.begun = time.Now().Truncate(time.Second).Add(-time.Hour)
}

func (r *exchangeRun) startGateway() {
	r.t.Helper()
	r.gw = start(r.t, r.s.Config.Data, "", envPull+"=1s")
	r.api.Store(stage.NewAPI(r.t, r.gw.addrs["api"], r.s.Seeds.APIKey))
}

// changesACall is how many changes one call brings.
const changesACall = 250

// bring hands the customer's changes in; a call without an answer is made again, for the customer cannot know.
func (r *exchangeRun) bring() {
	defer close(r.done)
	var list []map[string]any
	flush := func() {
		body, err := json.Marshal(map[string]any{"consents": list})
		if err != nil {
			r.t.Error(err)
			return
		}
		for r.t.Context().Err() == nil {
			ans, err := r.api.Load().Try(http.MethodPost, "/v1/consents", body, nil)
			if err == nil && ans.Status == http.StatusOK {
				if bytes.Contains(ans.Body, []byte(`"code"`)) {
					r.t.Errorf("a change was refused: %.300s", ans.Body)
				}
				r.acked.Add(int64(len(list)))
				break
			}
			if err == nil && ans.Status < 500 {
				r.t.Errorf("status %d: %.300s", ans.Status, ans.Body)
				break
			}
			<-time.After(50 * time.Millisecond)
		}
		list = nil
	}
	for i := range r.Changes {
		status := map[string]string{"approval": "ONAY", "refusal": "RET"}[kindOf(i)]
		if status == "" {
			continue
		}
		list = append(list, map[string]any{"brand": r.s.Seeds.Brand, "channel": "sms", "recipient": number(uint32(i)), "recipientType": "BIREYSEL", "status": status,
			"source": "HS_WEB", "consentDate": r.dateOf(i).Format(time.RFC3339)})
		if len(list) == changesACall {
			flush()
		}
	}
	if len(list) > 0 {
		flush()
	}
}

func (r *exchangeRun) dateOf(i int) time.Time {
	return r.begun.Add(time.Duration(i%3000) * time.Second)
}

// citizens refuse at İYS, in step with what the customer brings.
func (r *exchangeRun) citizens() {
	for i := range r.Changes {
		if kindOf(i) != "citizen" {
			continue
		}
		for r.t.Context().Err() == nil && int(r.acked.Load()) < i*7/10 {
			<-time.After(20 * time.Millisecond)
		}
		r.s.IYS.Citizen(r.s.Seeds.Brand, "MESAJ", "BIREYSEL", number(uint32(i)), "RET", "IYS_MOBIL")
		r.acts.Add(1)
	}
}

// arrived counts the customer's movements at İYS.
func (r *exchangeRun) arrived() int {
	n := 0
	for _, m := range r.s.IYS.Movements() {
		if m.Source == "HS_WEB" {
			n++
		}
	}
	return n
}

// killAt kills the gateway a moment after about n changes have arrived, looks at its store, and starts it again.
func (r *exchangeRun) killAt(k, n int, moment time.Duration) {
	r.t.Helper()
	var at int
	stage.UntilWithin(r.t, patience, fmt.Sprintf("%d changes to arrive at İYS", n*8/10), func() error {
		if at = r.arrived(); at >= n*8/10 {
			return nil
		}
		return fmt.Errorf("%d have, %d acknowledged\n%s", at, r.acked.Load(), r.gw.log)
	})
	<-time.After(moment)
	r.gw.kill()
	r.t.Logf("kill %d: %d of the customer's changes at İYS, %d acknowledged, %d acts of citizens", k, r.arrived(), r.acked.Load(), r.acts.Load())
	r.cursors()
	r.startGateway()
}

// cursors reads where the listings stand and holds it against where they stood.
func (r *exchangeRun) cursors() {
	r.t.Helper()
	st, err := openStore(r.s.Config.Data, time.Now)
	if err != nil {
		r.t.Fatal(err)
	}
	defer st.Close()
	for _, src := range []iysapi.ChangeSource{iysapi.ChangesByPerson, iysapi.ChangesByProvider} {
		c, err := st.Cursor(r.t.Context(), r.s.Seeds.Brand, src)
		if err != nil {
			r.t.Fatal(err)
		}
		stamp, _, _ := strings.Cut(c.After, "_")
		now := cursorAt{end: c.EndAt}
		now.stamp, _ = strconv.ParseInt(stamp, 10, 64) // empty: nothing was listed yet
		if old := r.after[src]; now.stamp < old.stamp || now.end.Before(old.end) {
			r.t.Errorf("cursor %s went back from %+v to %+v", src, old, now)
		}
		r.after[src] = now
	}
}

// settle waits until everything was brought, has arrived, and nothing is owed any more.
func (r *exchangeRun) settle() {
	r.t.Helper()
	wait := func(what string, cond func() error) {
		r.t.Helper()
		stage.UntilWithin(r.t, patience, what, cond)
	}
	wait("all changes to be brought", func() error {
		select {
		case <-r.done:
			return nil
		default:
			return fmt.Errorf("%d acknowledged\n%s", r.acked.Load(), r.gw.log)
		}
	})
	wait("all citizens to have acted", func() error {
		if n := int(r.acts.Load()); n < r.Changes/5 {
			return fmt.Errorf("%d of %d", n, r.Changes/5)
		}
		return nil
	})
	wait("nothing to be owed", func() error {
		n, err := r.owed()
		if err == nil && n > 0 {
			err = fmt.Errorf("%d entries, %d of %d arrived\n%s", n, r.arrived(), r.acked.Load(), r.gw.log)
		}
		return err
	})
	acted := time.Now()
	wait("a whole pull after the last act", func() error {
		since := time.Since(acted).Seconds() // before the age is read: the pull began after the act, not just after the look
		age, err := r.monitor(fmt.Sprintf(`izinli_iys_freshness_seconds{brand="%s",channel="MESAJ"}`, r.s.Seeds.Brand))
		if err == nil && age >= since {
			err = fmt.Errorf("the last pull began %.1f s ago, the last act is %.1f s old\n%s", age, since, r.gw.log)
		}
		return err
	})
}

// owed is what İYS is owed.
func (r *exchangeRun) owed() (int, error) {
	n, err := r.monitor(`izinli_outbox_entries{kind="open"}`)
	return int(n), err
}

// monitor reads one value from the monitors.
func (r *exchangeRun) monitor(name string) (float64, error) {
	res, err := http.Get("http://" + r.gw.addrs["ops"] + "/metrics")
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(b), name+" ")
	if !ok {
		return 0, fmt.Errorf("the monitors do not tell %s", name)
	}
	line, _, _ := strings.Cut(rest, "\n")
	return strconv.ParseFloat(line, 64)
}

// audit counts what İYS got, and what the gateway knows of citizens.
func (r *exchangeRun) audit() {
	t := r.t
	type change struct{ address, status, date string }
	seen := map[change]int{}
	sources := map[string]int{}
	for _, m := range r.s.IYS.Movements() {
		sources[m.Source]++
		if m.Source == "HS_WEB" {
			seen[change{m.Recipient, m.Status, iys.FormatTime(m.ConsentDate)}]++
		}
	}
	lost, twice, others := 0, 0, len(seen)
	var keys []iys.Key
	for i := range r.Changes {
		status := map[string]string{"approval": "ONAY", "refusal": "RET"}[kindOf(i)]
		if status == "" {
			keys = append(keys, iys.Key{Brand: r.s.Seeds.Brand, Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipient: number(uint32(i))})
			continue
		}
		switch n := seen[change{number(uint32(i)), status, iys.FormatTime(r.dateOf(i))}]; {
		case n == 0:
			lost++
		case n > 1:
			twice += n - 1
		}
		others--
	}
	st, err := openStore(r.s.Config.Data, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	held, err := st.Consents(t.Context(), keys)
	if err != nil {
		t.Fatal(err)
	}
	unheard := 0
	for _, c := range held {
		if c.Status != iys.StatusRejected {
			unheard++
		}
	}
	q := r.s.IYS.Counters()
	t.Logf("%d changes acknowledged, %d acts of citizens, %d kills: %d lost, %d twice, %d that nobody asked for, %d acts unheard; movements %v; "+
		"İYS saw %d requests, quality %.4f", r.acked.Load(), r.acts.Load(), r.Kills, lost, twice, others, unheard, sources, q.Requests, q.Quality())
	if lost != 0 || twice != 0 || others != 0 || unheard != 0 {
		t.Error("not exactly once in effect")
	}
	stage.VerifyStore(t, st)
}
