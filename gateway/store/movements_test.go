package store

import (
	"fmt"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/iys"
	"izinli/iys/exchange"
)

const testBrand = "675403"

// Movements come out in the order of İYS's file, a repeat is one, days do not mix, and all that the exchange keeps beside
// survives as it went in.
func TestMovements(t *testing.T) {
	w := newWorld(t, 1)
	ctx := t.Context()
	w.must(w.st.PutBrand(ctx, &gateway.Brand{Code: testBrand, Account: w.acct}))
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, iys.Istanbul)
	move := func(second int, tx, addr string, st iys.Status) iys.Consent {
		return iys.Consent{Key: iys.Key{Brand: testBrand, Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipient: addr}, Status: st,
			Source: iys.SourceIYSWeb, TransactionID: tx, CreationDate: day.Add(time.Duration(second) * time.Second), ConsentDate: day, Origin: iys.OriginPull}
	}
	a, b, c := move(5, "bb", "+905321234567", "ONAY"), move(5, "aa", "+905321234568", "RET"), move(1, "cc", "+905321234569", "ONAY")
	both := move(5, "bb", "+905321234567", "RET") // the same second: the same id
	last, next := move(86399, "dd", "+905321234567", "ONAY"), move(86400, "ee", "+905321234567", "RET")
	for range 2 {
		if err := w.st.Commit(ctx, exchange.Changes{Moves: []iys.Consent{a, b, c, both, last, next},
			Requeries: []exchange.Requery{{Brand: testBrand, Total: 7, Done: 3, Started: day, After: a.Key}},
			Newcomers: []exchange.Newcomer{{Key: a.Key, Name: "Ad Soyad", At: day}}}); err != nil {
			t.Fatal(err)
		}
	}
	got := ""
	if err := w.st.EachMovement(ctx, testBrand, day.Add(13*time.Hour), func(m iys.Consent) error {
		got += fmt.Sprint(m.TransactionID, m.Status, " ")
		if m.TransactionID == "cc" && (m.Recipient != c.Recipient || !m.ConsentDate.Equal(c.ConsentDate) || m.Source != c.Source) {
			t.Errorf("got %+v, want %+v", m, c)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := "ccONAY aaRET bbONAY bbRET ddONAY "; got != want {
		t.Errorf("movements %q, want %q", got, want)
	}
	if err := w.st.ReplaceMovements(ctx, []iys.Consent{c}, nil); err != nil {
		t.Fatal(err)
	}
	n := 0
	w.st.EachMovement(ctx, testBrand, day, func(iys.Consent) error { n++; return nil })
	if n != 4 {
		t.Errorf("%d movements after dropping one, want 4", n)
	}
	if r, err := w.st.Requery(ctx, testBrand); err != nil || r.Total != 7 || r.Done != 3 || !r.Open() || r.After != a.Key {
		t.Errorf("plan %+v, %v", r, err)
	}
	if list, err := w.st.Newcomers(ctx, w.acct, 10); err != nil || len(list) != 1 || list[0].Name != "Ad Soyad" {
		t.Errorf("newcomers %+v, %v", list, err)
	}
	// A name is personal data: it goes with the week in which İYS lists it.
	if ends := w.expiries([]byte{kNewcomer}); len(ends) != 1 || time.Until(ends[0]) > exchange.NewcomerLife || time.Until(ends[0]) < exchange.NewcomerLife-time.Hour {
		t.Errorf("newcomers are kept until %v, want %v from now", ends, exchange.NewcomerLife)
	}
	if list, err := w.st.Newcomers(ctx, w.acct+1, 10); err != nil || len(list) != 0 {
		t.Errorf("another account's newcomers %+v, %v", list, err)
	}
}

// Records are paged in a stable order, each once.
func TestConsentsAfter(t *testing.T) {
	w := newWorld(t, 1)
	ctx := t.Context()
	w.must(w.st.PutBrand(ctx, &gateway.Brand{Code: testBrand, Account: w.acct}))
	var list []iys.Consent
	for i := range 25 {
		for _, ch := range []iys.Channel{iys.ChannelSMS, iys.ChannelCall} {
			list = append(list, iys.Consent{Key: iys.Key{Brand: testBrand, Channel: ch, RecipientType: iys.RecipientPerson,
				Recipient: fmt.Sprintf("+90532%07d", i)}, Status: iys.StatusApproved, Origin: iys.OriginPull})
		}
	}
	if err := w.st.PutConsents(ctx, list, "pull"); err != nil {
		t.Fatal(err)
	}
	seen := map[iys.Key]int{}
	after := iys.Key{}
	for pages := 0; ; pages++ {
		page, err := w.st.ConsentsAfter(ctx, testBrand, after, 7)
		if err != nil || pages > 20 {
			t.Fatal(pages, err)
		}
		for _, c := range page {
			seen[c.Key]++
		}
		if len(page) < 7 {
			break
		}
		after = page[len(page)-1].Key
	}
	if n, err := w.st.CountConsents(ctx, testBrand); err != nil || n != 50 || len(seen) != 50 {
		t.Errorf("%d counted, %d seen, %v, want 50", n, len(seen), err)
	}
	if page, err := w.st.ConsentsAfter(ctx, "nobody", iys.Key{}, 7); err != nil || len(page) != 0 {
		t.Errorf("a brand nobody owns: %v %v", page, err)
	}
}
