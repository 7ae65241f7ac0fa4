package store

import (
	"testing"

	"izinli/gateway"
	"izinli/gateway/mail"
)

// A body that a notification returns stays until that has gone, over a restart, and no longer; one that nothing returns goes as ever.
func TestBodyStaysForItsNotification(t *testing.T) {
	for _, c := range []struct {
		why       string
		ret       string
		notify    string
		size      int64
		n         int
		full      bool
		withTwice bool // another notification takes the place of the first
	}{
		{"alone", "FULL", "", 30, 1, true, false},
		{"of two", "FULL", "", 30, 2, true, false},
		{"told anew", "FULL", "", 30, 1, true, true},
		{"header alone", "HDRS", "", 30, 1, false, false},
		{"nobody is told", "FULL", "NEVER", 30, 1, false, false},
		{"too large", "FULL", "", mail.MaxReturned + 1, 1, false, false},
	} {
		w := newWorld(t, 5)
		a, _ := w.batchOf(c.n)
		a.Batch.Door, a.Batch.Channel, a.Batch.SendAt, a.Credits = gateway.DoorSMTP, gateway.ChannelEmail, w.now, 0
		a.Batch.ValidUntil = w.now.Add(gateway.DefaultValidity)
		a.Batch.Headers = map[string]string{mail.MarkFrom: "a@b.example", mail.MarkReturn: c.ret}
		a.Body = []byte("From: a@b.example\r\n\r\nMerhaba\r\n")
		a.Batch.Body = gateway.BodyRef{ID: "sbbbbbbbbbbbbbbbbbbbbbbbbbb", Size: c.size}
		for i := range a.Recipients {
			a.Recipients[i].State, a.Recipients[i].Code = gateway.StateQueued, ""
			a.Recipients[i].Vars = []gateway.Var{{Name: mail.MarkNotify, Value: "FAILURE"}}
			if c.notify != "" {
				a.Recipients[i].Vars[0].Value = c.notify
			}
		}
		w.must(w.st.Accept(t.Context(), a))
		for i := range c.n {
			w.sent(a, i)
		}
		if c.withTwice {
			w.must(w.st.do(func(t *tx) error {
				return t.notice(a.Batch.Ref().Message(0), storedNotice{State: gateway.StateDelivered})
			}))
		}
		w.hasBody(a, c.full)
		list, err := w.st.Notices(t.Context(), gateway.MessageID{}, 10)
		w.must(err)
		for _, d := range list {
			if d.Full != c.full {
				t.Errorf("%s: full %v", c.why, d.Full)
			}
		}
		w.must(w.st.NoticesSent(t.Context(), list))
		w.must(w.st.NoticesSent(t.Context(), list)) // twice is once
		w.hasBody(a, false)
		if report, err := w.st.Verify(t.Context()); err != nil || len(report.Problems) > 0 {
			t.Errorf("%s: %+v, %v", c.why, report, err)
		}
	}
}
