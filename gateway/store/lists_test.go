package store

import (
	"fmt"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/iys"
)

// Events that were given up are kept, listed and sent again with their time anew; those that wait are brought forward.
func TestEventsAreReplayed(t *testing.T) {
	w := newWorld(t, 7)
	ctx := t.Context()
	w.must(w.st.PutWebhook(ctx, &gateway.Webhook{Account: w.acct, URL: "https://example.com"}))
	for i := range 5 {
		w.must(w.st.OweEvent(ctx, w.acct, "inbound", map[string]int{"n": i}))
	}
	due, err := w.st.DueEvents(ctx, w.now, 10)
	w.must(err)
	if len(due) != 5 {
		t.Fatalf("%d events due, want 5", len(due))
	}
	for i := range due[:2] {
		due[i].Tries, due[i].LastErr = 80, "status 500"
		w.must(w.st.EventFailed(ctx, due[i]))
	}
	due[2].Tries, due[2].LastErr, due[2].NextAt = 3, "status 503", w.now.Add(time.Hour)
	w.must(w.st.EventRetry(ctx, due[2]))
	list := func(failed bool) (ids []string) {
		cursor := ""
		for {
			page, err := w.st.Events(ctx, w.acct, failed, cursor, 2)
			w.must(err)
			for _, e := range page.Items {
				ids = append(ids, e.ID)
				if len(e.Body) > 0 || e.Type != "inbound" {
					t.Errorf("listed event %+v; want its type and no body", e)
				}
			}
			if cursor = page.Next; cursor == "" {
				return ids
			}
		}
	}
	if got, want := fmt.Sprint(list(true)), fmt.Sprint([]string{due[1].ID, due[0].ID}); got != want {
		t.Errorf("given up %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(list(false)), fmt.Sprint([]string{due[3].ID, due[4].ID, due[2].ID}); got != want {
		t.Errorf("waiting %s, want %s", got, want)
	}
	w.tick(10 * time.Minute)
	if n, err := w.st.ReplayEvents(ctx, w.acct+1, []string{due[0].ID}); n != 0 || err != nil {
		t.Errorf("another account replayed %d, %v", n, err)
	}
	if n, err := w.st.ReplayEvents(ctx, w.acct, []string{due[0].ID, "zzz", "nonsense!"}); n != 1 || err != nil {
		t.Errorf("replayed %d, %v; want the one that exists", n, err)
	}
	n, err := w.st.ReplayEvents(ctx, w.acct, nil)
	if n != 5 || err != nil {
		t.Errorf("replayed %d, %v; want all five", n, err)
	}
	again, err := w.st.DueEvents(ctx, w.now, 10)
	w.must(err)
	if len(again) != 5 || len(list(true)) != 0 {
		t.Fatalf("%d due, %d given up; want all due", len(again), len(list(true)))
	}
	for _, e := range again {
		if e.ID == due[0].ID && (e.Tries != 0 || !e.At.Equal(w.now) || len(e.Body) == 0) {
			t.Errorf("an event given up comes back as %+v, want its body and its time anew", e)
		}
	}
	w.must(w.st.EventDone(ctx, due[0].ID, w.acct))
	if got := len(list(false)); got != 4 {
		t.Errorf("%d wait after one was delivered, want 4", got)
	}
	if _, err := w.st.Events(ctx, w.acct, true, "xy", 2); codeOf(err) != gateway.CodeInvalid {
		t.Errorf("a foreign cursor = %v, want invalid", err)
	}
}

func TestBlocksAndBookingsAreListed(t *testing.T) {
	w := newWorld(t, 8)
	ctx := t.Context()
	for i := range 7 {
		w.must(w.st.OptOut(ctx, gateway.Block{Account: w.acct, Brand: "675403", Channel: "MESAJ", Address: fmt.Sprintf("+90532000000%d", i), Route: "sms", Source: "HS_MESAJ", At: w.now}, nil, ""))
		_, err := w.st.AddCredits(ctx, w.acct, int64(100+i), fmt.Sprintf("fatura %d", i))
		w.must(err)
	}
	var blocks []string
	for cursor := ""; ; {
		page, err := w.st.Blocks(ctx, w.acct, cursor, 3)
		w.must(err)
		for _, b := range page.Items {
			blocks = append(blocks, b.Address)
			if b.Account != w.acct || b.Route != "sms" {
				t.Errorf("block %+v", b)
			}
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if len(blocks) != 7 || blocks[0] != "+905320000000" || blocks[6] != "+905320000006" {
		t.Errorf("blocks %v, want all seven in order", blocks)
	}
	if page, err := w.st.Blocks(ctx, w.acct+1, "", 3); err != nil || len(page.Items) != 0 {
		t.Errorf("another account sees %v, %v", page.Items, err)
	}
	var notes []string
	for cursor := ""; ; {
		page, err := w.st.Bookings(ctx, w.acct, cursor, 3)
		w.must(err)
		for _, b := range page.Items {
			notes = append(notes, fmt.Sprint(b.Note, " ", b.Credits))
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if len(notes) < 7 || notes[0] != "fatura 6 106" || notes[6] != "fatura 0 100" {
		t.Errorf("bookings %v, want the newest first", notes)
	}
	if _, err := w.st.Bookings(ctx, w.acct, "0", 3); codeOf(err) != gateway.CodeInvalid {
		t.Errorf("a foreign cursor = %v, want invalid", err)
	}
}

func TestConsentTotals(t *testing.T) {
	w := newWorld(t, 9)
	ctx := t.Context()
	w.must(w.st.PutBrand(ctx, &gateway.Brand{Code: "675403", Account: w.acct, Name: "Örnek"}))
	var list []iys.Consent
	for i := range 9 {
		c := iys.Consent{Key: iys.Key{Brand: "675403", Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipient: fmt.Sprintf("+90532000000%d", i)},
			Status: iys.StatusApproved, Origin: iys.OriginLive, ReadAt: w.now}
		if i%3 == 0 {
			c.Status = iys.StatusRejected
		}
		list = append(list, c)
	}
	w.must(w.st.PutConsents(ctx, list, "live"))
	got, err := w.st.ConsentTotals(ctx, "675403")
	w.must(err)
	if c := got[iys.ChannelSMS]; c[iys.StatusApproved] != 6 || c[iys.StatusRejected] != 3 || len(got) != 1 {
		t.Errorf("got %v, want 6 approved and 3 rejected", got)
	}
}

// TestAddressCounts: approvals alone, telephone numbers by the channel that has more of them, another account's left out.
func TestAddressCounts(t *testing.T) {
	w := newWorld(t, 3)
	ctx := t.Context()
	other := gateway.Account{Name: "Başka"}
	w.must(w.st.PutAccount(ctx, &other))
	w.must(w.st.PutBrand(ctx, &gateway.Brand{Code: "1", Account: w.acct}))
	w.must(w.st.PutBrand(ctx, &gateway.Brand{Code: "2", Account: w.acct}))
	w.must(w.st.PutBrand(ctx, &gateway.Brand{Code: "3", Account: other.ID}))
	var list []iys.Consent
	add := func(n int, brand string, ch iys.Channel, status iys.Status) {
		for i := range n {
			addr := fmt.Sprintf("+90532%07d", i)
			if ch == iys.ChannelEmail {
				addr = fmt.Sprintf("k%d@example.com", i)
			}
			list = append(list, iys.Consent{Key: iys.Key{Brand: brand, Channel: ch, RecipientType: iys.RecipientPerson, Recipient: addr}, Status: status, ConsentDate: w.now, Origin: iys.OriginPull})
		}
	}
	add(3, "1", iys.ChannelSMS, iys.StatusApproved)
	add(2, "2", iys.ChannelSMS, iys.StatusApproved)
	add(7, "1", iys.ChannelCall, iys.StatusApproved)
	add(4, "1", iys.ChannelEmail, iys.StatusApproved)
	add(9, "2", iys.ChannelEmail, iys.StatusRejected)
	add(20, "3", iys.ChannelSMS, iys.StatusApproved)
	w.must(w.st.PutConsents(ctx, list, "pull"))
	if phones, emails, err := w.st.AddressCounts(ctx, w.acct); err != nil || phones != 7 || emails != 4 {
		t.Errorf("%d phones, %d e-mails, %v; want the 7 for calls, and 4", phones, emails, err)
	}
	if phones, emails, err := w.st.AddressCounts(ctx, other.ID); err != nil || phones != 20 || emails != 0 {
		t.Errorf("the other account: %d, %d, %v", phones, emails, err)
	}
}
