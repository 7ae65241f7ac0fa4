package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
)

// Receipts of one system_id are its own, come in order, survive a restart until acknowledged, and are told of.
func TestOwedReceipts(t *testing.T) {
	w := newWorld(t, 1)
	ctx := t.Context()
	told := make(chan string, 64)
	w.st.WatchOwed(func(s string) { told <- s })
	want := []string{}
	for i := range 5 {
		in := &gateway.Inbound{Account: w.acct, From: "+90532", To: "3333", Text: fmt.Sprint(i), At: w.now}
		w.must(w.st.Receive(ctx, in, "esme1"))
		want = append(want, in.Text)
	}
	w.must(w.st.Receive(ctx, &gateway.Inbound{Account: w.acct, Text: "other"}, "esme1x"))
	if s := <-told; s != "esme1" {
		t.Errorf("told of %q, want esme1", s)
	}
	texts := func(rs []gateway.ReceiptDue) (out []string) {
		for _, r := range rs {
			out = append(out, r.MO.Text)
		}
		return out
	}
	owed, err := w.st.Owed(ctx, "esme1", 0, 100)
	w.must(err)
	if got := texts(owed); !slices.Equal(got, want) {
		t.Fatalf("owed %v, want %v", got, want)
	}
	done := make(chan error, 1)
	w.st.OwedDone("esme1", []uint64{owed[0].Seq, owed[1].Seq}, func(err error) { done <- err })
	w.must(<-done)
	w.reopen()
	rest, err := w.st.Owed(ctx, "esme1", 0, 100)
	w.must(err)
	if got := texts(rest); !slices.Equal(got, want[2:]) {
		t.Errorf("owed after a restart %v, want %v", got, want[2:])
	}
	next, err := w.st.Owed(ctx, "esme1", rest[0].Seq, 100)
	w.must(err)
	if got := texts(next); !slices.Equal(got, want[3:]) {
		t.Errorf("owed behind the first %v, want %v", got, want[3:])
	}
}

// Inbound messages are read with a cursor, each once, by their own account only.
func TestInboundCursor(t *testing.T) {
	w := newWorld(t, 1)
	other := &gateway.Account{Name: "x"}
	w.must(w.st.PutAccount(t.Context(), other))
	for i := range 7 {
		w.must(w.st.Receive(t.Context(), &gateway.Inbound{Account: w.acct, Text: fmt.Sprint(i)}, ""))
		w.must(w.st.Receive(t.Context(), &gateway.Inbound{Account: other.ID, Text: "secret"}, ""))
	}
	var got []string
	cursor := ""
	for range 5 {
		page, err := w.st.Inbound(t.Context(), w.acct, cursor, 3)
		w.must(err)
		for _, in := range page.Items {
			got = append(got, in.Text)
		}
		cursor = page.Next
	}
	if want := []string{"0", "1", "2", "3", "4", "5", "6"}; !slices.Equal(got, want) {
		t.Errorf("read %v, want %v", got, want)
	}
	if _, err := w.st.Inbound(t.Context(), w.acct, "!", 3); codeOf(err) != gateway.CodeInvalid {
		t.Errorf("foreign cursor = %v, want invalid", err)
	}
}

// Every way of listing messages shows each once, newest batch first, and nobody else's.
func TestMessagePages(t *testing.T) {
	w := newWorld(t, 1)
	ctx := t.Context()
	want := map[gateway.MessageID]bool{}
	to := map[gateway.MessageID]string{}
	for _, n := range []int{3, 120, 1, 7} {
		w.tick(time.Second)
		w.accept(n)
		for _, m := range w.batches[w.order[len(w.order)-1]].messages {
			want[m.id] = true
			to[m.id] = m.rcpt.Address
		}
	}
	for _, f := range []gateway.MessageFilter{{}, {Batch: w.order[1]}, {To: to[w.order[1].Message(50)]}, {State: gateway.StateDropped},
		{Since: w.order[2].Batch.Time()}} {
		f.Limit = 13
		seen := map[gateway.MessageID]bool{}
		last := gateway.BatchID(^uint64(0))
		for {
			page, err := w.st.Messages(ctx, w.acct, f)
			w.must(err)
			for _, v := range page.Items {
				if seen[v.ID] || v.ID.Batch > last {
					t.Fatalf("filter %+v: %s is shown twice or out of order", f, v.ID)
				}
				seen[v.ID], last = true, v.ID.Batch
			}
			if f.Cursor = page.Next; f.Cursor == "" {
				break
			}
		}
		n := 0
		for id := range want {
			fits := (f.Batch == gateway.BatchRef{} || id.Ref() == f.Batch) && (f.To == "" || to[id] == f.To) && !id.Batch.Time().Before(f.Since)
			if f.State != gateway.StateNone {
				v, err := w.st.Message(ctx, w.acct, id)
				w.must(err)
				fits = fits && v.State == f.State
			}
			if fits {
				n++
			}
		}
		if len(seen) != n || n == 0 {
			t.Errorf("filter %+v: %d messages, want %d", f, len(seen), n)
		}
	}
	id := w.order[0].Message(0)
	if _, err := w.st.Message(ctx, w.acct+1, id); codeOf(err) != gateway.CodeNotFound {
		t.Errorf("another account's message = %v, want not_found", err)
	}
	if _, err := w.st.Messages(ctx, w.acct+1, gateway.MessageFilter{Cursor: id.String()}); codeOf(err) != gateway.CodeInvalid {
		t.Errorf("another account's cursor = %v, want invalid", err)
	}
	if _, err := w.st.Lookup(w.acct+1, id.String()); codeOf(err) != gateway.CodeNotFound {
		t.Errorf("another account's id = %v, want not_found", err)
	}
}

// Parts come in any order, once; a complete set is handed out whole and its later ids lead to the message.
func TestParts(t *testing.T) {
	w := newWorld(t, 1)
	ctx := t.Context()
	set := gateway.PartSet{Account: w.acct, Source: "ORNEK", Dest: "90532", Reference: 7, Total: 3}
	put := func(seq byte, id string) ([]gateway.Part, string) {
		t.Helper()
		p := &gateway.Part{Set: set, Seq: seq, ID: id, System: "esme1", At: w.now, PDU: []byte{seq}}
		all, err := w.st.PutPart(ctx, p)
		w.must(err)
		return all, p.ID
	}
	first, second := w.ids.Next(w.now), w.ids.Next(w.now)
	id1 := gateway.MessageID{Account: w.acct, Batch: first}
	id3 := gateway.MessageID{Account: w.acct, Batch: second}.String()
	if all, _ := put(3, id3); all != nil {
		t.Fatal("one of three parts is a whole")
	}
	w.tick(48 * time.Hour) // longer than anybody should be away
	w.reopen()
	put(1, id1.String())
	if _, id := put(1, "again"); id != id1.String() {
		t.Errorf("a repeated part got id %s, want the first one's", id)
	}
	if open, err := w.st.OpenParts(ctx, w.now.Add(-time.Hour)); err != nil || len(open) != 1 || len(open[0]) != 2 {
		t.Errorf("open sets = %v, %v, want one with two parts", open, err)
	}
	if open, err := w.st.OpenMO(ctx, w.now.Add(time.Hour)); err != nil || len(open) != 0 {
		t.Errorf("a client's parts are among the handsets': %v, %v", open, err)
	}
	all, _ := put(2, "id2")
	if len(all) != 3 || all[0].Seq != 1 || all[2].ID != id3 {
		t.Fatalf("whole set = %+v", all)
	}
	if _, err := w.st.PutPart(ctx, &gateway.Part{Set: set, Seq: 4}); codeOf(err) != gateway.CodeInvalid {
		t.Errorf("part 4 of 3 = %v, want invalid", err)
	}
	a, _ := w.batchOf(1)
	a.Batch.ID, a.Parts, a.PartIDs = first, &all[0].Set, []string{"id2", id3}
	w.must(w.st.Accept(ctx, a))
	for _, id := range []string{id1.String(), "id2", id3} { // the id of a later part looks like that of a message
		if m, err := w.st.Lookup(w.acct, id); err != nil || m != id1 {
			t.Errorf("id %s leads to %s, %v, want %s", id, m, err, id1)
		}
		if _, err := w.st.Lookup(w.acct+1, id); codeOf(err) != gateway.CodeNotFound {
			t.Errorf("id %s from another account = %v, want not_found", id, err)
		}
	}
	if open, err := w.st.OpenParts(ctx, w.now.Add(time.Hour)); err != nil || len(open) != 0 {
		t.Errorf("parts are left after their acceptance: %v, %v", open, err)
	}
}

// Events wait for their time, keep their id over retries, and go when done; a webhook set anew is not paused by the old one's failure.
func TestEvents(t *testing.T) {
	w := newWorld(t, 1)
	ctx := t.Context()
	w.must(w.st.OweEvent(ctx, w.acct, "inbound", map[string]int{"n": 1}))
	w.must(w.st.OweEvent(ctx, w.acct+9, "inbound", 1)) // no webhook: nothing is owed
	evs, err := w.st.DueEvents(ctx, w.now, 10)
	w.must(err)
	if len(evs) != 1 {
		t.Fatalf("%d events, want 1", len(evs))
	}
	ev := evs[0]
	ev.Tries, ev.LastErr, ev.NextAt = 1, "503", w.now.Add(time.Minute)
	w.must(w.st.EventRetry(ctx, ev))
	if evs, err = w.st.DueEvents(ctx, w.now, 10); err != nil || len(evs) != 0 {
		t.Errorf("%d events before their time, %v", len(evs), err)
	}
	if evs, err = w.st.DueEvents(ctx, w.now.Add(time.Minute), 10); err != nil || len(evs) != 1 || evs[0].ID != ev.ID || evs[0].Tries != 1 {
		t.Fatalf("after the wait %+v, %v, want the same event", evs, err)
	}
	w.must(w.st.EventDone(ctx, ev.ID, w.acct))
	if evs, err = w.st.DueEvents(ctx, w.now.Add(time.Hour), 10); err != nil || len(evs) != 0 {
		t.Errorf("%d events after they were done, %v", len(evs), err)
	}
	w.must(w.st.PauseWebhook(ctx, w.acct, "fails"))
	if !w.st.Directory().Webhooks[w.acct].Paused {
		t.Error("the webhook is not paused")
	}
}

// The outbox as exchange.Store wants it: due by time and status, open by key, gone from both when finished.
func TestOutbox(t *testing.T) {
	w := newWorld(t, 1)
	ctx := t.Context()
	w.must(w.st.PutBrand(ctx, &gateway.Brand{Code: "675403", Account: w.acct}))
	key := iys.Key{Brand: "675403", Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipient: "+905321234567"}
	e := exchange.NewEntry(iys.Consent{Key: key, Status: iys.StatusRejected, Source: iys.SourceHSSMS, ConsentDate: w.now}, w.now, iys.DefaultCalendar())
	w.must(w.st.PutEntries(ctx, []exchange.Entry{e}, "api", nil))
	due, err := w.st.DueEntries(ctx, iys.StatusRejected, w.now, 10)
	w.must(err)
	if len(due) != 1 || due[0].ID == 0 || due[0].Key != key {
		t.Fatalf("due = %+v", due)
	}
	if x, err := w.st.DueEntries(ctx, iys.StatusApproved, w.now, 10); err != nil || len(x) != 0 {
		t.Errorf("approvals due = %v, %v, want none", x, err)
	}
	later := due[0]
	later.NextAt = w.now.Add(time.Minute)
	rec := iys.Consent{Key: key, Status: iys.StatusRejected, Source: iys.SourceHSSMS, ConsentDate: w.now, Origin: iys.OriginPull}
	cur := exchange.Cursor{Brand: "675403", Source: iysapi.ChangesByPerson, After: "x", EndAt: w.now}
	w.must(w.st.Commit(ctx, exchange.Changes{Entries: []exchange.Entry{later}, Consents: []iys.Consent{rec}, Cursors: []exchange.Cursor{cur}}))
	w.reopen()
	if x, err := w.st.DueEntries(ctx, iys.StatusRejected, w.now, 10); err != nil || len(x) != 0 {
		t.Errorf("due before its time: %v, %v", x, err)
	}
	if x, err := w.st.OpenEntries(ctx, []iys.Key{key, {}}); err != nil || len(x) != 1 {
		t.Errorf("open = %v, %v, want one", x, err)
	}
	if x, err := w.st.AgedEntries(ctx, w.now.Add(time.Second), 10); err != nil || len(x) != 1 {
		t.Errorf("aged = %v, %v, want one", x, err)
	}
	if c, err := w.st.Cursor(ctx, "675403", iysapi.ChangesByPerson); err != nil || c.After != "x" || !c.EndAt.Equal(w.now) {
		t.Errorf("cursor = %+v, %v", c, err)
	}
	if c, err := w.st.Consents(ctx, []iys.Key{{Brand: "1"}, key}); err != nil || len(c) != 2 || c[0].Status != "" || c[1].Status != iys.StatusRejected {
		t.Errorf("consents = %+v, %v", c, err)
	}
	later.State, later.Code = exchange.StateRefused, "H175"
	w.must(w.st.Commit(ctx, exchange.Changes{Entries: []exchange.Entry{later}}))
	if x, err := w.st.OpenEntries(ctx, []iys.Key{key}); err != nil || len(x) != 0 {
		t.Errorf("open after the refusal = %v, %v, want none", x, err)
	}
	if s, err := w.st.SyncState(ctx, key); err != nil || s != "" {
		t.Errorf("sync state = %q, %v, want none open", s, err)
	}
	h, err := w.st.History(ctx, "675403", iys.ChannelSMS, key.Recipient)
	if err != nil || len(h) < 2 || h[len(h)-1].Sync != "refused(H175)" {
		t.Errorf("history = %+v, %v, want the refusal last", h, err)
	}
}

// The trail and the blacklist page without gaps and repeats.
func TestAuditAndBlacklistPages(t *testing.T) {
	w := newWorld(t, 1)
	ctx := t.Context()
	for i := range 7 {
		w.must(w.st.PutAudit(ctx, []byte{byte(i)}))
		w.must(w.st.PutBlacklist(ctx, w.acct, fmt.Sprintf("+9053200000%02d", i), ""))
		w.must(w.st.PutBlacklist(ctx, w.acct+1, "+905329999999", ""))
	}
	var trail []byte
	for cursor := ""; ; {
		page, err := w.st.Audits(ctx, cursor, 3)
		w.must(err)
		for _, e := range page.Items {
			trail = append(trail, e[0])
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if want := []byte{6, 5, 4, 3, 2, 1, 0}; !slices.Equal(trail, want) {
		t.Errorf("trail %v, want %v", trail, want)
	}
	n := 0
	for cursor := ""; ; {
		page, err := w.st.Blacklist(ctx, w.acct, cursor, 3)
		w.must(err)
		for _, b := range page.Items {
			if b.Address != fmt.Sprintf("+9053200000%02d", n) {
				t.Errorf("entry %d is %s", n, b.Address)
			}
			n++
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if n != 7 {
		t.Errorf("%d entries, want 7", n)
	}
}

// What a client has not acknowledged outlives the time for which it is tried, so that its end is seen. What was not even read goes then,
// and nothing of it stays in memory.
func TestOwedExpires(t *testing.T) {
	w := newWorld(t, 1)
	ctx := t.Context()
	for range 2 {
		w.must(w.st.Receive(ctx, &gateway.Inbound{Account: w.acct, From: "+90532", To: "3333", Text: "x", At: w.now}, "esme1"))
	}
	list, err := w.st.Owed(ctx, "esme1", 0, 100)
	w.must(err)
	for i := range list {
		w.must(w.st.db.Update(func(txn *badger.Txn) error { // as Badger does when its time is over
			k := owedKey("esme1", list[i].Seq)
			item, err := txn.Get(k)
			if err != nil {
				return err
			}
			if life := time.Until(time.Unix(int64(item.ExpiresAt()), 0)); life < gateway.MaxValidity+time.Hour {
				t.Errorf("a page lives for %s", life)
			}
			return txn.Delete(k)
		}))
		rest, err := w.st.Owed(ctx, "esme1", 0, 100)
		w.must(err)
		if want := len(list) - i - 1; len(rest) != want || len(w.st.owed.pages["esme1"]) != want {
			t.Errorf("%d deliveries owed, %d pages in memory; want %d", len(rest), len(w.st.owed.pages["esme1"]), want)
		}
	}
	if len(w.st.owed.pages) != 0 {
		t.Errorf("pages of %d clients in memory, want none", len(w.st.owed.pages))
	}
}

// What customers owe is read by brand and channel, page by page, and each once: not what is pending, nor what another brand or
// channel owes, also of a brand whose number begins alike.
func TestOwedOfAChannel(t *testing.T) {
	w := newWorld(t, 1)
	ctx := t.Context()
	want := map[uint64]bool{}
	for _, brand := range []string{"675403", "6754031"} {
		w.must(w.st.PutBrand(ctx, &gateway.Brand{Code: brand, Account: w.acct}))
		for n := range 40 {
			k := iys.Key{Brand: brand, Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipient: fmt.Sprintf("+90532%07d", n/2)}
			if n%4 == 3 {
				k.RecipientType = iys.RecipientMerchant
			}
			if n%10 == 9 {
				k.Channel, k.Recipient = iys.ChannelEmail, fmt.Sprintf("kisi%d@ornek.example", n)
			}
			e := exchange.NewEntry(iys.Consent{Key: k, Status: iys.StatusRejected, Source: iys.SourceHSSMS, ConsentDate: w.now}, w.now, iys.DefaultCalendar())
			if n%5 != 0 {
				e.State = exchange.StateOwed
			}
			list := []exchange.Entry{e}
			w.must(w.st.PutEntries(ctx, list, "api", nil))
			if e.State == exchange.StateOwed && brand == "675403" && k.Channel == iys.ChannelSMS {
				want[list[0].ID] = true
			}
		}
	}
	got := map[uint64]bool{}
	var after iys.Key
	for pages := 0; ; pages++ {
		list, err := w.st.OwedOf(ctx, "675403", iys.ChannelSMS, after, 3)
		w.must(err)
		if len(list) == 0 {
			break
		}
		if len(list) > 4 || pages > 40 {
			t.Fatalf("page %d has %d entries, want three and what more its last address owes", pages, len(list))
		}
		for _, e := range list {
			if got[e.ID] || !want[e.ID] {
				t.Errorf("entry %d: %+v, seen %t", e.ID, e, got[e.ID])
			}
			got[e.ID], after = true, e.Key
		}
	}
	if len(got) != len(want) || len(want) < 20 {
		t.Errorf("%d entries read, want %d", len(got), len(want))
	}
	if list, err := w.st.OwedOf(ctx, "111111", iys.ChannelSMS, iys.Key{}, 3); err != nil || len(list) != 0 {
		t.Errorf("of a brand that owes nothing: %v %v", list, err)
	}
}
