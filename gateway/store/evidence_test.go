package store

import (
	"bytes"
	"encoding/json"
	"html"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
	"izinli/gateway/evidence"
	"izinli/iys"
	"izinli/iys/exchange"
)

// noon sets the clock to noon in Istanbul of a day some days after the one the world began on, so that no test crosses midnight.
func (w *world) noon(ahead int) {
	w.set(dayStart(w.today + uint32(ahead)).Add(12 * time.Hour))
}

// dossier is the evidence of one message, through JSON as it would travel.
func (w *world) dossier(id gateway.MessageID, addr string) *evidence.Bundle {
	w.t.Helper()
	b, err := w.st.Evidence(w.t.Context(), w.acct, addr, []gateway.MessageID{id})
	w.must(err)
	b.Account = evidence.Account{ID: w.acct, Name: "Örnek"}
	w.must(b.Seal())
	v, err := json.Marshal(b)
	w.must(err)
	var out evidence.Bundle
	w.must(json.Unmarshal(v, &out))
	return &out
}

func TestEvidenceIsProved(t *testing.T) {
	w := newWorld(t, 3)
	w.must(w.st.PutBrand(t.Context(), &gateway.Brand{Code: "1", Account: w.acct}))
	w.noon(3)
	for range 40 {
		w.accept(3) // many records of the day
		w.tick(time.Second)
	}
	ref := w.order[17]
	m := w.batches[ref].messages[1]
	w.must(w.st.PutConsents(t.Context(), []iys.Consent{{Key: iys.Key{Brand: "1", Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipient: m.rcpt.Address},
		Status: iys.StatusApproved, Source: iys.SourceHSWeb, ConsentDate: w.now, TransactionID: "tx-1", Origin: iys.OriginPull}}, "pull"))
	w.tick(36 * time.Hour)
	sealed, err := w.st.SealDays(t.Context())
	w.must(err)
	if len(sealed) != 1 || !sealed[0].Closed || sealed[0].Accounts[0].Records != 40 {
		t.Fatalf("sealed %+v, want one day of 40 records", sealed)
	}
	if again, err := w.st.SealDays(t.Context()); err != nil || len(again) > 0 {
		t.Errorf("sealed twice: %v %v", again, err)
	}
	published := map[string]string{sealed[0].Day: sealed[0].Root}
	b := w.dossier(m.id, m.rcpt.Address)
	if f := evidence.Verify(b, DecodeRecord, published); len(f.Problems) > 0 || f.Decisions != 1 || f.Roots != 1 {
		t.Fatalf("got %+v, want one decision proved to a published root", f)
	}
	got := b.Messages[0]
	if got.Text != "Merhaba" || got.Class != gateway.ClassCommercial || len(b.Consents) != 1 || b.Consents[0].TransactionID != "tx-1" || len(b.Consents[0].History) != 1 {
		t.Errorf("the bundle says %+v and %+v", got, b.Consents)
	}
	var page bytes.Buffer
	w.must(b.HTML(&page))
	for _, want := range []string{"Kanıt dosyası", "Evidence", m.id.String(), m.rcpt.Address, "Merhaba", "tx-1", "Zincir ispatı"} {
		if !strings.Contains(html.UnescapeString(page.String()), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(page.String(), "http://") || strings.Contains(page.String(), "https://") || strings.Contains(page.String(), "<script") {
		t.Error("the page needs something from elsewhere")
	}
	for why, forge := range map[string]func(b *evidence.Bundle){
		"another text":    func(b *evidence.Bundle) { b.Messages[0].Text = "Hayırlı bayramlar" },
		"another verdict": func(b *evidence.Bundle) { b.Messages[0].Decisions[0].Verdict = "hold"; b.Digest = ""; w.must(b.Seal()) },
		"another consent": func(b *evidence.Bundle) { b.Messages[0].Decisions[0].TransactionID = "tx-2"; w.must(b.Seal()) },
		"another record":  func(b *evidence.Bundle) { b.Records[0].Value[40] ^= 1; w.must(b.Seal()) },
		"another place":   func(b *evidence.Bundle) { b.Records[0].Seq++; w.must(b.Seal()) },
		"another path":    func(b *evidence.Bundle) { b.Records[0].Path[0] = b.Records[0].Path[1]; w.must(b.Seal()) },
		"another account": func(b *evidence.Bundle) { b.Account.ID++; w.must(b.Seal()) },
		"a record less":   func(b *evidence.Bundle) { b.Records = nil; w.must(b.Seal()) },
		"a root of one's own": func(b *evidence.Bundle) {
			b.Days[0].Accounts[0].Root = strings.Repeat("0", 64)
			w.must(b.Days[0].Seal())
			w.must(b.Seal())
		},
	} {
		x := w.dossier(m.id, m.rcpt.Address)
		forge(x)
		if f := evidence.Verify(x, DecodeRecord, published); len(f.Problems) == 0 {
			t.Errorf("%s: no problem was found", why)
		}
	}
	if f := evidence.Verify(b, DecodeRecord, map[string]string{sealed[0].Day: strings.Repeat("0", 64)}); len(f.Problems) != 1 {
		t.Errorf("another published root: %+v", f)
	}
	if f := evidence.Verify(w.dossier(m.id, m.rcpt.Address), func(_, _ []byte) (evidence.Decoded, error) { return evidence.Decoded{}, errCorrupt }, nil); len(f.Problems) == 0 {
		t.Error("records nobody can read prove something")
	}
}

// TestASealedDayCannotBeRewritten: somebody who owns the store replaces the last record of an old day and mends the chain behind it;
// the sealed root still tells.
func TestASealedDayCannotBeRewritten(t *testing.T) {
	w := newWorld(t, 4)
	for ahead := 1; ahead <= 3; ahead++ {
		w.noon(ahead)
		w.accept(2)
		w.tick(time.Second)
		w.accept(2)
	}
	w.noon(6)
	_, err := w.st.SealDays(t.Context())
	w.must(err)
	rep, err := w.st.Verify(t.Context())
	w.must(err)
	if len(rep.Problems) > 0 || rep.Roots != 3 {
		t.Fatalf("before: %+v", rep)
	}
	w.must(w.st.db.Update(func(txn *badger.Txn) error {
		var keys [][]byte
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kChain}})
		for it.Rewind(); it.Valid(); it.Next() {
			keys = append(keys, it.Item().KeyCopy(nil))
		}
		it.Close()
		var prev []byte
		for i, k := range keys {
			item, err := txn.Get(k)
			if err != nil {
				return err
			}
			v, err := item.ValueCopy(nil)
			if err != nil {
				return err
			}
			if i == 1 { // the forged one: another verdict
				v = bytes.Replace(v, []byte("consent_onay"), []byte("consent_0nay"), 1)
				v = bytes.Replace(v, []byte("no_consent"), []byte("n0_consent"), 1)
			}
			if i > 1 {
				copy(v[1:33], prev)
			}
			h := chainHash(k, v)
			prev = h[:]
			if err := txn.Set(k, v); err != nil {
				return err
			}
		}
		end, err := getValue(txn, chainEndKey(w.acct))
		if err != nil {
			return err
		}
		return txn.Set(chainEndKey(w.acct), append(slices.Clone(end[:8]), prev...))
	}))
	rep, err = w.st.Verify(t.Context())
	w.must(err)
	if len(rep.Broken) != 3 || !strings.Contains(rep.Broken[0].What, "sealed") || rep.Broken[0].Day != dayText(w.today+1) {
		t.Errorf("got %+v, want the sealed days named, the first one first", rep.Broken)
	}
}

// TestVerifyNamesTheFirstBrokenLink: day, sequence and what is wrong.
func TestVerifyNamesTheFirstBrokenLink(t *testing.T) {
	for _, c := range []struct {
		why    string
		tamper func(txn *badger.Txn, k func(seq uint32) []byte) error
		seq    uint32
		what   string
	}{
		{"one changed", func(txn *badger.Txn, k func(uint32) []byte) error {
			v, err := getValue(txn, k(2))
			if err != nil {
				return err
			}
			v[len(v)-1] ^= 1
			return txn.Set(k(2), v)
		}, 2, "was changed"},
		{"one taken out", func(txn *badger.Txn, k func(uint32) []byte) error { return txn.Delete(k(2)) }, 3, "before it is missing"},
		{"the first taken out", func(txn *badger.Txn, k func(uint32) []byte) error { return txn.Delete(k(0)) }, 1, "begins here"},
		{"the last taken out", func(txn *badger.Txn, k func(uint32) []byte) error { return txn.Delete(k(4)) }, 4, "ends before"},
		{"one that is no record", func(txn *badger.Txn, k func(uint32) []byte) error { return txn.Set(k(3), []byte{1, 2}) }, 3, "cannot be read"},
	} {
		w := newWorld(t, 5)
		w.noon(1)
		for range 5 {
			w.accept(2)
			w.tick(time.Second)
		}
		day := dayOf(w.now)
		w.must(w.st.db.Update(func(txn *badger.Txn) error {
			return c.tamper(txn, func(seq uint32) []byte { return chainKey(w.acct, day, seq) })
		}))
		rep, err := w.st.Verify(t.Context())
		w.must(err)
		want := gateway.ChainBreak{Account: w.acct, Day: dayText(day), Seq: c.seq}
		if len(rep.Broken) == 0 || rep.Broken[0].Account != want.Account || rep.Broken[0].Day != want.Day || rep.Broken[0].Seq != want.Seq ||
			!strings.Contains(rep.Broken[0].What, c.what) {
			t.Errorf("%s: got %+v, want %+v: %s", c.why, rep.Broken, want, c.what)
		}
	}
}

func (w *world) expiries(prefix []byte) (out []time.Time) {
	w.t.Helper()
	w.must(w.st.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
		defer it.Close()
		for it.Seek(prefix); it.ValidForPrefix(prefix); it.Next() {
			out = append(out, time.Unix(int64(it.Item().ExpiresAt()), 0))
		}
		return nil
	}))
	return out
}

// retention is less than renewAhead: everything is near its end.
const retention = 30 * 24 * time.Hour

// retaining opens the store anew with a retention of its own.
func (w *world) retaining(d time.Duration) *Store {
	w.t.Helper()
	w.must(w.st.Close())
	st, err := Open(Options{Dir: w.dir, Key: testKey, Now: w.time, Gather: -1, Retention: d, Reserve: 1})
	w.must(err)
	w.st = st
	return st
}

// TestHoldsKeepEvidence: what is held gets more time when its end comes near, and nothing else does.
func TestHoldsKeepEvidence(t *testing.T) {
	w := newWorld(t, 6)
	st, ctx := w.retaining(retention), t.Context()
	w.must(st.PutBrand(ctx, &gateway.Brand{Code: "1", Account: w.acct}))
	w.accept(3)
	w.tick(time.Second)
	w.accept(3)
	held, other := w.order[0], w.order[1]
	late := time.Now().Add(retention + 24*time.Hour)
	later := func(list []time.Time) (n int) {
		for _, x := range list {
			if x.After(late) {
				n++
			}
		}
		return n
	}
	if n, err := st.Renew(ctx); err != nil || n != 0 {
		t.Fatalf("without holds %d records got more time, %v", n, err)
	}
	id := held.Message(0).String()
	w.must(st.PutHold(ctx, gateway.Hold{Account: w.acct, Message: id, Why: "2026/123"}))
	if later(w.expiries(batchKey(held))) != 1 || later(w.expiries(batchKey(other))) != 0 || later(w.expiries([]byte{kChain})) != 1 {
		t.Errorf("batch %v, other %v, chain %v: want the held message and its decision alone", w.expiries(batchKey(held)), w.expiries(batchKey(other)), w.expiries([]byte{kChain}))
	}
	w.check() // the chain holds as before
	if n, err := st.Renew(ctx); err != nil || n != 0 {
		t.Errorf("again %d records got more time, %v: their end is far", n, err)
	}
	if list, err := st.Holds(ctx, w.acct); err != nil || len(list) != 1 || list[0].Why != "2026/123" {
		t.Errorf("holds: %+v %v", list, err)
	}
	addr := w.batches[other].messages[2].rcpt.Address
	w.must(st.PutHold(ctx, gateway.Hold{Account: w.acct, Address: addr, Why: "x"}))
	if later(w.expiries(batchKey(other))) != 1 {
		t.Error("a message to a held address was not kept")
	}
	w.must(st.DeleteHold(ctx, gateway.Hold{Account: w.acct, Message: id}))
	if err := st.DeleteHold(ctx, gateway.Hold{Account: w.acct, Message: id}); codeOf(err) != gateway.CodeNotFound {
		t.Errorf("lifted twice: %v", err)
	}
	w.tick(time.Second)
	w.accept(1)
	w.must(st.PutHold(ctx, gateway.Hold{Account: w.acct, Why: "all"}))
	for _, kind := range []byte{kBatch, kChain, kAddressPage} {
		if all := w.expiries([]byte{kind}); later(all) != len(all) {
			t.Errorf("kind %c: %d of %d records are held", kind, later(all), len(all))
		}
	}
}

// TestEvidenceOutlivesTheConsent: the history of a consent is kept as long as it is valid, and for the retention after its end.
func TestEvidenceOutlivesTheConsent(t *testing.T) {
	w := newWorld(t, 7)
	st, ctx := w.retaining(retention), t.Context()
	w.must(st.PutBrand(ctx, &gateway.Brand{Code: "1", Account: w.acct}))
	key := func(addr string) iys.Key {
		return iys.Key{Brand: "1", Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipient: addr}
	}
	valid, ended, gone := "+905320000001", "+905320000002", "+905320000003"
	now := time.Now()
	w.must(st.PutConsents(ctx, []iys.Consent{
		{Key: key(valid), Status: iys.StatusApproved, ConsentDate: now.AddDate(-2, 0, 0), Origin: iys.OriginPull},
		{Key: key(ended), Status: iys.StatusRejected, ConsentDate: now.Add(10 * 24 * time.Hour), Origin: iys.OriginPull},
		{Key: key(gone), Status: iys.StatusRejected, ConsentDate: now.AddDate(-1, 0, 0), Origin: iys.OriginPull},
	}, "pull"))
	before := map[string]time.Time{}
	place := func(addr string) []byte { return historyPrefix(w.acct, "1", 'm', addr) }
	for _, a := range []string{valid, ended, gone} {
		before[a] = w.expiries(place(a))[0]
	}
	// Ten days pass, as far as the approval's history is concerned.
	w.must(st.do(func(t *tx) error {
		k := onlyKey(w, place(valid))
		v, err := t.get(k)
		if err != nil {
			return err
		}
		return t.set(k, v, retention-10*24*time.Hour)
	}))
	if n, err := st.Renew(ctx); err != nil || n != 2 {
		t.Errorf("%d records got more time, %v; want those of the valid consent and of the one that ends later", n, err)
	}
	if got := w.expiries(place(valid))[0]; got.Before(before[valid].Add(-time.Minute)) {
		t.Errorf("valid: kept until %v, want the whole retention from now", got)
	}
	if got, want := w.expiries(place(ended))[0], now.Add(40*24*time.Hour); got.Sub(want).Abs() > time.Minute {
		t.Errorf("ended: kept until %v, want %v", got, want)
	}
	if got := w.expiries(place(gone))[0]; !got.Equal(before[gone]) {
		t.Errorf("gone: kept until %v, want %v", got, before[gone])
	}
}

// TestEvidenceOfAConsentThatEndedWithoutADate: İYS tells of some ends without a date of the person's. The proof of the consent before is
// kept for the retention from when İYS registered the end, or said that there is no approval.
func TestEvidenceOfAConsentThatEndedWithoutADate(t *testing.T) {
	w := newWorld(t, 9)
	st, ctx := w.retaining(retention), t.Context()
	w.must(st.PutBrand(ctx, &gateway.Brand{Code: "1", Account: w.acct}))
	now := time.Now()
	end := now.Add(-5 * 24 * time.Hour)
	key := func(addr string, rt iys.RecipientType) iys.Key {
		return iys.Key{Brand: "1", Channel: iys.ChannelSMS, RecipientType: rt, Recipient: addr}
	}
	asked, closed, unknown := "+905320000001", "+905320000002", "+905320000003"
	list := []iys.Consent{
		{Key: key(asked, iys.RecipientPerson), Status: iys.StatusNotApproved, Origin: iys.OriginLive, ReadAt: end},
		{Key: key(closed, iys.RecipientMerchant), Status: iys.StatusRejected, Source: iys.SourceIYSLineClosed, CreationDate: end, ReadAt: now, Origin: iys.OriginPull},
		{Key: key(unknown, iys.RecipientPerson), Status: iys.StatusRejected, Origin: iys.OriginPull},
	}
	place := func(addr string) []byte { return historyPrefix(w.acct, "1", 'm', addr) }
	for _, c := range list {
		before := c
		before.Status, before.Source, before.ConsentDate, before.Origin = iys.StatusApproved, iys.SourceHSWeb, now.AddDate(-2, 0, 0), iys.OriginPull
		w.must(st.PutConsents(ctx, []iys.Consent{before}, "pull"))
		w.must(st.do(func(t *tx) error { // the proof has ten days left
			k := onlyKey(w, place(c.Recipient))
			v, err := t.get(k)
			if err != nil {
				return err
			}
			return t.set(k, v, 10*24*time.Hour)
		}))
		w.must(st.Commit(ctx, exchange.Changes{Consents: []iys.Consent{c}}))
	}
	_, err := st.Renew(ctx)
	w.must(err)
	for addr, want := range map[string]time.Time{asked: end.Add(retention), closed: end.Add(retention), unknown: now.Add(10 * 24 * time.Hour)} {
		if got := w.expiries(place(addr)); len(got) < 1 || slices.MinFunc(got, time.Time.Compare).Sub(want).Abs() > time.Minute {
			t.Errorf("%s is kept until %v, want %v", addr, got, want)
		}
	}
}

// TestEvidenceOfWhatIsNoRecordHere: of a consent the customer keeps at İYS himself the last word of the history counts, and a block ends it.
func TestEvidenceOfWhatIsNoRecordHere(t *testing.T) {
	w := newWorld(t, 8)
	st, ctx := w.retaining(retention), t.Context()
	w.must(st.PutBrand(ctx, &gateway.Brand{Code: "1", Account: w.acct}))
	now := time.Now()
	place := func(addr string) []byte { return historyPrefix(w.acct, "1", 'm', addr) }
	valid, blocked, refused := "+905320000001", "+905320000002", "+905320000003"
	for _, addr := range []string{valid, blocked} {
		o := gateway.OptIn{Code: "c" + addr, Form: "f", Account: w.acct, Brand: "1", Channel: gateway.ChannelSMS, Address: addr, Expires: now.Add(time.Hour)}
		w.must(st.PutOptIn(ctx, &o))
		_, err := st.ConfirmOptIn(ctx, o.Code, gateway.Trace{At: now}, "proof")
		w.must(err)
	}
	w.must(st.do(func(t *tx) error {
		k := iys.Key{Brand: "1", Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipient: refused}
		return t.history(w.acct, &iys.Consent{Key: k, Status: iys.StatusApproved}, "api", "pending")
	}))
	for _, addr := range []string{valid, blocked, refused} {
		got := w.expiries(place(addr))
		if len(got) != 1 || got[0].Sub(now.Add(retention)).Abs() > time.Minute {
			t.Fatalf("%s is kept until %v, want the retention", addr, got)
		}
		w.must(st.do(func(t *tx) error { // ten days pass
			k := onlyKey(w, place(addr))
			v, err := t.get(k)
			if err != nil {
				return err
			}
			return t.set(k, v, retention-10*24*time.Hour)
		}))
	}
	at := now.Add(-5 * 24 * time.Hour)
	w.must(st.OptOut(ctx, gateway.Block{Account: w.acct, Brand: "1", Channel: "MESAJ", Address: blocked, Route: "sms", At: at}, nil, "owed_by_customer"))
	_, err := st.Renew(ctx)
	w.must(err)
	for addr, want := range map[string]time.Time{valid: now.Add(retention), blocked: at.Add(retention), refused: now.Add(retention - 10*24*time.Hour)} {
		if got := w.expiries(place(addr)); got[0].Sub(want).Abs() > time.Minute {
			t.Errorf("%s is kept until %v, want %v", addr, got[0], want)
		}
	}
}

// TestViaIsKeptWithItsConsent: the question by which İYS's proof is fetched lives as long as the consent's evidence; one without an answer
// goes, unless somebody holds it.
func TestViaIsKeptWithItsConsent(t *testing.T) {
	w := newWorld(t, 9)
	st, ctx := w.retaining(retention), t.Context()
	w.must(st.PutBrand(ctx, &gateway.Brand{Code: "1", Account: w.acct}))
	const valid, none = "+905320000001", "+905320000002"
	now := time.Now()
	w.must(st.PutConsents(ctx, []iys.Consent{{Key: iys.Key{Brand: "1", Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipient: valid},
		Status: iys.StatusApproved, ConsentDate: now.AddDate(-2, 0, 0), Origin: iys.OriginPush}}, "push"))
	given := gateway.ViaOperation{Account: w.acct, Brand: "1", Address: valid, Request: "r1", Consents: []gateway.ViaConsent{{Channel: "MESAJ", TransactionID: "t1"}}}
	failed := gateway.ViaOperation{Account: w.acct, Brand: "1", Address: none, Request: "r2"}
	place := func(v *gateway.ViaOperation) []byte {
		n, err := strconv.ParseUint(v.ID, 36, 64)
		w.must(err)
		return viaKey(w.acct, n)
	}
	for _, v := range []*gateway.ViaOperation{&given, &failed} {
		w.must(st.PutVia(ctx, v))
		w.must(st.do(func(t *tx) error { // ten days pass
			b, err := t.get(place(v))
			if err != nil {
				return err
			}
			return t.set(place(v), b, retention-10*24*time.Hour)
		}))
	}
	_, err := st.Renew(ctx)
	w.must(err)
	if got := w.expiries(place(&given))[0]; got.Sub(now.Add(retention)).Abs() > time.Minute {
		t.Errorf("the question of a valid consent is kept until %v, want the retention from now", got)
	}
	if got := w.expiries(place(&failed))[0]; got.Sub(now.Add(retention-10*24*time.Hour)).Abs() > time.Minute {
		t.Errorf("a question nobody answered is kept until %v, want what it had", got)
	}
	w.must(st.PutHold(ctx, gateway.Hold{Account: w.acct, Address: none, Why: "2026/124"}))
	if got := w.expiries(place(&failed))[0]; got.Before(now.Add(retention)) {
		t.Errorf("under hold it is kept until %v", got)
	}
	page, err := st.ListVia(ctx, w.acct, "", 1)
	if err != nil || len(page.Items) != 1 || page.Items[0].ID != failed.ID || page.Next == "" {
		t.Fatalf("first page %+v %v", page, err)
	}
	if page, err = st.ListVia(ctx, w.acct, page.Next, 1); err != nil || len(page.Items) != 1 || page.Items[0].ID != given.ID || page.Next != "" {
		t.Errorf("second page %+v %v", page, err)
	}
}

// onlyKey is the one key under a prefix.
func onlyKey(w *world, prefix []byte) (k key) {
	w.must(w.st.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
		defer it.Close()
		if it.Seek(prefix); it.ValidForPrefix(prefix) {
			k = it.Item().KeyCopy(nil)
		}
		return nil
	}))
	return k
}
