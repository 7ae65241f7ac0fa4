package store

import (
	"slices"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/mail"
)

// mails accepts one mail over SMTP with a recipient per NOTIFY value.
func (w *world) mails(notify ...string) (ids []gateway.MessageID) {
	w.t.Helper()
	return w.mailed(gateway.ChannelEmail, "okur@example.com", notify...)
}

func (w *world) mailed(channel, address string, notify ...string) (ids []gateway.MessageID) {
	w.t.Helper()
	ref := gateway.BatchRef{Account: w.acct, Batch: w.ids.Next(w.now)}
	a := &gateway.Acceptance{Batch: gateway.Batch{Account: w.acct, ID: ref.Batch, Door: gateway.DoorSMTP, Channel: channel,
		Class: gateway.ClassCommercial, Brand: "1", From: "bulten@ornek.example", Count: len(notify), SendAt: w.now, ValidUntil: w.now.Add(24 * time.Hour),
		Headers: map[string]string{mail.MarkFrom: "bulten@ornek.example"}}}
	for i, n := range notify {
		r := gateway.Recipient{Address: address, State: gateway.StateQueued}
		if n != "" {
			r.Vars = []gateway.Var{{Name: mail.MarkNotify, Value: n}}
		}
		a.Recipients = append(a.Recipients, r)
		a.Decisions = append(a.Decisions, gateway.Decision{Kind: gateway.DecisionAccept, Verdict: "send", Rule: "consent_onay", Status: "ONAY"})
		ids = append(ids, ref.Message(uint32(i)))
	}
	w.must(w.st.Accept(w.t.Context(), a))
	return ids
}

// put moves a mail to a state, as dispatch does.
func (w *world) put(id gateway.MessageID, st gateway.State, code gateway.Code, err string) {
	w.t.Helper()
	b, r, rerr := w.st.Mail(w.t.Context(), id)
	w.must(rerr)
	ch := gateway.Change{Message: id, Batch: b, Recipient: r, State: st, Code: code, Operator: "smtp/mx", Close: true}
	if st == gateway.StateQueued || st == gateway.StateHeld {
		ch.NextAt = w.now.Add(time.Hour)
	}
	ch.Answers = []gateway.SegmentAnswer{{State: gateway.StateNone, Err: err}}
	if st == gateway.StateSent {
		ch.Answers[0].State = gateway.StateSent
	}
	w.must(w.st.ApplyWait([]gateway.Change{ch}))
}

// delays runs the look for delays of four hours and takes the notifications owed.
func (w *world) delays() (told []gateway.MessageID) {
	w.t.Helper()
	for more := true; more; {
		var err error
		more, err = w.st.OweDelays(w.t.Context(), w.now.Add(-4*time.Hour), 2)
		w.must(err)
	}
	list, err := w.st.Notices(w.t.Context(), gateway.MessageID{}, 100)
	w.must(err)
	for _, d := range list {
		if d.Delayed {
			told = append(told, d.Message)
		}
	}
	w.must(w.st.NoticesSent(w.t.Context(), list))
	return told
}

// Who asked for it is told of a delay, once per recipient, across a restart; nobody else is, nor of what has left or ended.
func TestDelaysAreToldOnce(t *testing.T) {
	w := newWorld(t, 1)
	ids := w.mails("SUCCESS,FAILURE,DELAY", "FAILURE", "", "NEVER", "DELAY", "DELAY", "DELAY")
	w.put(ids[0], gateway.StateQueued, gateway.CodeDeferred, "451 4.2.0 come back later")
	w.put(ids[4], gateway.StateHeld, gateway.CodeOperatorDown, "")
	w.put(ids[5], gateway.StateSent, "", "")
	w.put(ids[6], gateway.StateRejected, gateway.CodeOperatorRejected, "550 5.7.1 no")
	w.tick(3 * time.Hour)
	if got := w.delays(); len(got) != 0 {
		t.Errorf("told after three hours of %v", got)
	}
	w.reopen()
	w.tick(time.Hour + time.Minute)
	if got := w.delays(); !slices.Equal(got, []gateway.MessageID{ids[0], ids[4]}) {
		t.Errorf("told of %v, want the two that wait and asked", got)
	}
	w.reopen()
	w.tick(10 * time.Hour)
	if got := w.delays(); len(got) != 0 {
		t.Errorf("told twice of %v", got)
	}
}

// The next hop's word of a delay is passed on in the same way, before or after our own time for it.
func TestDelayAtTheNextHop(t *testing.T) {
	w := newWorld(t, 2)
	ids := w.mails("DELAY", "DELAY", "FAILURE", "DELAY")
	for _, id := range ids[:3] {
		w.put(id, gateway.StateSent, "", "")
	}
	tell := func(id gateway.MessageID) bool {
		told, err := w.st.Delayed(t.Context(), id, "450 4.4.1 no answer")
		w.must(err)
		return told
	}
	if !tell(ids[0]) || tell(ids[0]) {
		t.Error("want one word of the first")
	}
	w.tick(5 * time.Hour)
	if got := w.delays(); !slices.Equal(got, []gateway.MessageID{ids[0], ids[3]}) {
		t.Errorf("told of %v, want what the next hop said and what still waits here", got)
	}
	if !tell(ids[1]) || tell(ids[1]) || tell(ids[2]) || tell(ids[3]) {
		t.Error("want one word of the second, none of who did not ask or was told")
	}
	if _, err := w.st.Delayed(t.Context(), gateway.BatchRef{Account: w.acct, Batch: 1}.Message(0), ""); codeOf(err) != gateway.CodeNotFound {
		t.Errorf("a message nobody knows: %v", err)
	}
}

// A failure that comes while word of a delay is on its way is not forgotten with it.
func TestNoticeThatTookAnothersPlace(t *testing.T) {
	w := newWorld(t, 3)
	id := w.mails("FAILURE,DELAY")[0]
	w.put(id, gateway.StateQueued, gateway.CodeDeferred, "451 4.2.0 later")
	w.tick(5 * time.Hour)
	if _, err := w.st.OweDelays(t.Context(), w.now.Add(-4*time.Hour), 10); err != nil {
		t.Fatal(err)
	}
	list, err := w.st.Notices(t.Context(), gateway.MessageID{}, 10)
	w.must(err)
	if len(list) != 1 || !list[0].Delayed {
		t.Fatalf("owed: %+v", list)
	}
	w.tick(time.Second)
	w.put(id, gateway.StateRejected, gateway.CodeOperatorRejected, "550 5.7.1 no")
	w.must(w.st.NoticesSent(t.Context(), list))
	list, err = w.st.Notices(t.Context(), gateway.MessageID{}, 10)
	w.must(err)
	if len(list) != 1 || list[0].Delayed || list[0].State != gateway.StateRejected {
		t.Errorf("owed afterwards: %+v, want the failure", list)
	}
}

// What was accepted lately is kept in memory without the body of a mail, and its header counts towards the bound.
func TestRecentKeepsNoBodies(t *testing.T) {
	r := newRecent(1 << 20)
	b := &gateway.Batch{Account: 1, ID: 7, Headers: map[string]string{mail.MarkHead: string(make([]byte, 4096))},
		Body: gateway.BodyRef{ID: "m1", Size: 20 << 10, Inline: make([]byte, 20<<10)}}
	rs := []gateway.Recipient{{Address: "okur@example.com"}}
	r.put(b, rs)
	got, _ := r.message(b.Ref().Message(0))
	if got == nil || got.Body.ID != "m1" || got.Body.Inline != nil {
		t.Errorf("kept: %+v", got)
	}
	if b.Body.Inline == nil {
		t.Error("the caller's batch was changed")
	}
	if r.young.size < 4096 {
		t.Errorf("an entry with a header of 4096 octets counts for %d", r.young.size)
	}
}

// The next hop's word that nothing more will be heard is passed on to who asked for success, once, and changes nothing.
func TestRelayedByTheNextHop(t *testing.T) {
	w := newWorld(t, 4)
	ids := w.mails("SUCCESS,FAILURE", "FAILURE", "", "SUCCESS", "SUCCESS")
	for _, id := range ids[:3] {
		w.put(id, gateway.StateSent, "", "")
	}
	w.put(ids[4], gateway.StateRejected, gateway.CodeOperatorRejected, "550 5.7.1 no")
	tell := func(id gateway.MessageID) bool {
		told, err := w.st.Relayed(t.Context(), id)
		w.must(err)
		return told
	}
	list, err := w.st.Notices(t.Context(), gateway.MessageID{}, 10)
	w.must(err)
	w.must(w.st.NoticesSent(t.Context(), list))
	if !tell(ids[0]) || tell(ids[1]) || tell(ids[2]) || tell(ids[3]) || tell(ids[4]) {
		t.Error("want word of the first alone: the others did not ask, have not left, or failed")
	}
	list, err = w.st.Notices(t.Context(), gateway.MessageID{}, 10)
	w.must(err)
	if len(list) != 1 || list[0].Message != ids[0] || !list[0].Relayed || list[0].State != gateway.StateSent || list[0].Delayed {
		t.Fatalf("owed: %+v", list)
	}
	w.must(w.st.NoticesSent(t.Context(), list))
	w.reopen()
	if tell(ids[0]) {
		t.Error("told twice")
	}
	if changed, err := w.st.Return(t.Context(), gateway.MailReturn{Message: ids[0], State: gateway.StateUndelivered, Code: gateway.CodeBounced, Err: "550 5.1.1 x"}); err != nil || !changed {
		t.Errorf("a bounce afterwards: %v, %v", changed, err)
	}
	if _, err := w.st.Relayed(t.Context(), gateway.BatchRef{Account: w.acct, Batch: 1}.Message(0)); codeOf(err) != gateway.CodeNotFound {
		t.Errorf("a message nobody knows: %v", err)
	}
}
