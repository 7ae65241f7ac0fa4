package store

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
	"izinli/gateway/mail"
)

// What became of an SMS that came as a mail is told as RFC 3461 asks: a delivery or a handing on where it is wished, a failure unless
// it is not, a doubt as one; and nothing while a receipt may still come.
func TestNoticesOfSMSThatCameAsMail(t *testing.T) {
	w := newWorld(t, 1)
	const both = "SUCCESS,FAILURE"
	ids := w.mailed(gateway.ChannelSMS, "+905321000001", both, both, "FAILURE", "NEVER", both, "FAILURE", "", both)
	for i, id := range ids[:6] {
		b, r, err := w.st.Mail(t.Context(), id)
		w.must(err)
		w.must(w.st.ApplyWait([]gateway.Change{{Message: id, Batch: b, Recipient: r, State: gateway.StateSent, Operator: "op1", Close: true,
			Answers: []gateway.SegmentAnswer{{State: gateway.StateSent, OperatorID: string(rune('a' + i))}}}}))
	}
	w.put(ids[6], gateway.StateRejected, gateway.CodeOperatorRejected, "0x0000000B")
	w.put(ids[7], gateway.StateUnknown, gateway.CodeDoubt, "")
	for id, st := range map[string]gateway.State{"a": gateway.StateDelivered, "b": gateway.StateUndelivered, "c": gateway.StateDelivered, "d": gateway.StateUndelivered} {
		done := make(chan error, 1)
		w.st.Receipt(gateway.OperatorReceipt{Operator: "op1", ID: id, State: st, Err: "001"}, func(_ bool, err error) { done <- err })
		w.must(<-done)
	}
	type told struct {
		state   gateway.State
		relayed bool
	}
	check := func(why string, want map[gateway.MessageID]told) {
		t.Helper()
		list, err := w.st.Notices(t.Context(), gateway.MessageID{}, 100)
		w.must(err)
		for _, d := range list {
			if got, ok := want[d.Message]; !ok || got != (told{d.State, d.Relayed}) {
				t.Errorf("%s: told of %d: %s, relayed %v; want %+v", why, d.Message.Index, d.State, d.Relayed, got)
			}
		}
		if len(list) != len(want) {
			t.Errorf("%s: told of %d messages, want %d", why, len(list), len(want))
		}
		w.must(w.st.NoticesSent(t.Context(), list))
	}
	check("by receipts", map[gateway.MessageID]told{ids[0]: {gateway.StateDelivered, false}, ids[1]: {gateway.StateUndelivered, false},
		ids[6]: {gateway.StateRejected, false}, ids[7]: {gateway.StateUnknown, false}})
	w.tick(24*time.Hour + gateway.UnknownAfter + time.Hour)
	_, err := w.st.Sweep(t.Context())
	w.must(err)
	check("without them", map[gateway.MessageID]told{ids[4]: {gateway.StateUnknown, true}})
}

// A receipt that says the operator does not know is told as a handing on where that is wished, whether it comes before the answer to the
// submit or after it, and once; what it says later is told besides.
func TestNoticesOfUnknownReceipts(t *testing.T) {
	w := newWorld(t, 1)
	const both = "SUCCESS,FAILURE"
	ids := w.mailed(gateway.ChannelSMS, "+905321000001", both, both, "FAILURE", "FAILURE", "NEVER")
	receipt := func(i int, st gateway.State) {
		t.Helper()
		done := make(chan error, 1)
		w.st.Receipt(gateway.OperatorReceipt{Operator: "op1", ID: string(rune('a' + i)), State: st, Err: "000"}, func(_ bool, err error) { done <- err })
		w.must(<-done)
	}
	for i, id := range ids {
		early := i%2 == 1
		if early {
			receipt(i, gateway.StateUnknown)
		}
		b, r, err := w.st.Mail(t.Context(), id)
		w.must(err)
		w.must(w.st.ApplyWait([]gateway.Change{{Message: id, Batch: b, Recipient: r, State: gateway.StateSent, Operator: "op1", Close: true,
			Answers: []gateway.SegmentAnswer{{State: gateway.StateSent, OperatorID: string(rune('a' + i))}}}}))
		if !early {
			receipt(i, gateway.StateUnknown)
		}
		receipt(i, gateway.StateUnknown) // a repeat
	}
	check := func(why string, want ...gateway.NoticeDue) {
		t.Helper()
		list, err := w.st.Notices(t.Context(), gateway.MessageID{}, 100)
		w.must(err)
		if len(list) != len(want) {
			t.Fatalf("%s: told of %d messages, want %d: %+v", why, len(list), len(want), list)
		}
		for i, d := range list {
			if x := want[i]; d.Message != x.Message || d.State != x.State || d.Relayed != x.Relayed {
				t.Errorf("%s: told of %d: %s, relayed %v; want %d, %s, %v", why, d.Message.Index, d.State, d.Relayed, x.Message.Index, x.State, x.Relayed)
			}
		}
		w.must(w.st.NoticesSent(t.Context(), list))
	}
	check("not known", gateway.NoticeDue{Message: ids[0], State: gateway.StateUnknown, Relayed: true}, gateway.NoticeDue{Message: ids[1], State: gateway.StateUnknown, Relayed: true})
	w.tick(24*time.Hour + gateway.UnknownAfter + time.Hour)
	_, err := w.st.Sweep(t.Context())
	w.must(err)
	check("time passed")
	receipt(0, gateway.StateDelivered)
	receipt(2, gateway.StateUndelivered)
	check("told later", gateway.NoticeDue{Message: ids[0], State: gateway.StateDelivered}, gateway.NoticeDue{Message: ids[2], State: gateway.StateUndelivered})
}

// A notification that cannot be read, or is about a message that cannot, costs no other one anything; and who asks for what is behind one
// gets that alone.
func TestDamagedNotices(t *testing.T) {
	w := newWorld(t, 1)
	ids := w.mailed(gateway.ChannelSMS, "+905321000001", "", "", "", "", "")
	for _, id := range ids {
		w.put(id, gateway.StateRejected, gateway.CodeOperatorRejected, "")
	}
	w.reopen() // nothing is in memory
	w.must(w.st.db.Update(func(txn *badger.Txn) error {
		return errors.Join(txn.Set(noticeKey(ids[0]), []byte("{")), txn.Set(progressKey(ids[2]), []byte{0xFF, 0xFF}))
	}))
	for _, c := range []struct {
		after gateway.MessageID
		limit int
		want  []gateway.MessageID
	}{
		{gateway.MessageID{}, 10, []gateway.MessageID{ids[1], ids[3], ids[4]}},
		{gateway.MessageID{}, 2, []gateway.MessageID{ids[1], ids[3]}},
		{ids[3], 10, ids[4:]},
		{ids[4], 10, nil},
	} {
		list, err := w.st.Notices(t.Context(), c.after, c.limit)
		w.must(err)
		var got []gateway.MessageID
		for _, d := range list {
			got = append(got, d.Message)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%d behind %s: %v, want %v", c.limit, c.after, got, c.want)
		}
	}
}

// A recipient dropped beside accepted ones is told of; when none is left the door has said so.
func TestDroppedSMSThatCameAsMail(t *testing.T) {
	for _, others := range []bool{true, false} {
		w := newWorld(t, 1)
		ref := gateway.BatchRef{Account: w.acct, Batch: w.ids.Next(w.now)}
		a := &gateway.Acceptance{Batch: gateway.Batch{Account: w.acct, ID: ref.Batch, Door: gateway.DoorSMTP, Channel: gateway.ChannelSMS, Class: gateway.ClassCommercial,
			Brand: "1", From: "ORNEK", SendAt: w.now, ValidUntil: w.now.Add(time.Hour), Headers: map[string]string{mail.MarkFrom: "bulten@ornek.example"}}}
		add := func(st gateway.State, code gateway.Code) {
			a.Recipients = append(a.Recipients, gateway.Recipient{Address: "+905321000001", State: st, Code: code, Segments: 1})
			a.Decisions = append(a.Decisions, gateway.Decision{Kind: gateway.DecisionAccept, Verdict: "drop"})
			a.Batch.Count++
		}
		add(gateway.StateDropped, gateway.CodeNoConsent)
		if others {
			add(gateway.StateQueued, "")
		}
		w.must(w.st.Accept(t.Context(), a))
		list, err := w.st.Notices(t.Context(), gateway.MessageID{}, 10)
		w.must(err)
		if want := map[bool]int{true: 1, false: 0}[others]; len(list) != want || others && list[0].Code != gateway.CodeNoConsent {
			t.Errorf("others %v: %+v", others, list)
		}
	}
}
