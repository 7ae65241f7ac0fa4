package smppserver

import (
	"strings"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/smpp"
)

var ornek = smpp.Address{TON: 5, Addr: []byte("ORNEK")}

func TestQuery(t *testing.T) {
	w := newWorld()
	c := serve(t, w, Config{}, nil).bound(smpp.BindTRX)
	_, id := c.submit(newSubmit("x"))
	for _, tc := range []struct {
		state gateway.State
		want  smpp.MessageState
		final bool
	}{
		{gateway.StateQueued, smpp.StateEnroute, false},
		{gateway.StateScheduled, smpp.StateEnroute, false}, // SCHEDULED is 5.0
		{gateway.StateHeld, smpp.StateEnroute, false},
		{gateway.StateSent, smpp.StateEnroute, false},
		{gateway.StateDelivered, smpp.StateDelivered, true},
		{gateway.StateUndelivered, smpp.StateUndeliverable, true},
		{gateway.StateExpired, smpp.StateExpired, true},
		{gateway.StateRejected, smpp.StateRejected, true},
		{gateway.StateDropped, smpp.StateRejected, true},
		{gateway.StateCancelled, smpp.StateDeleted, true},
		{gateway.StateFailed, smpp.StateUndeliverable, true},
		{gateway.StateUnknown, smpp.StateUnknown, true},
	} {
		w.mu.Lock()
		w.views[0].State, w.views[0].Updated = tc.state, time.Date(2026, 3, 20, 11, 30, 0, 5, time.UTC)
		w.mu.Unlock()
		h, body := c.call(&smpp.QuerySM{MessageID: []byte(id), Source: ornek})
		var resp smpp.QuerySMResp
		if err := resp.Decode(h, body); err != nil || h.Status != 0 || resp.State != tc.want || string(resp.MessageID) != id {
			t.Errorf("%v: got %v %v %v", tc.state, h.Status, resp.State, err)
		}
		date := ""
		if tc.final {
			date = "260320143000012+"
		}
		if string(resp.FinalDate) != date {
			t.Errorf("%v: final_date %q, want %q", tc.state, resp.FinalDate, date)
		}
	}
	for why, q := range map[string]*smpp.QuerySM{
		"unknown id":      {MessageID: []byte(gateway.MessageID{Account: testAccount, Batch: 99}.String()), Source: ornek},
		"another account": {MessageID: []byte(gateway.MessageID{Account: 8, Batch: 99}.String()), Source: ornek},
		"no id of ours":   {MessageID: []byte("12345"), Source: ornek},
	} {
		if h, _ := c.call(q); h.Status != smpp.StatusInvMsgID {
			t.Errorf("%s: got %v", why, h.Status)
		}
	}
	if h, _ := c.call(&smpp.QuerySM{MessageID: []byte(id), Source: smpp.Address{TON: 5, Addr: []byte("BASKA")}}); h.Status != smpp.StatusQueryFail {
		t.Errorf("other source: got %v", h.Status)
	}
}

func TestCancel(t *testing.T) {
	w := newWorld()
	c := serve(t, w, Config{}, nil).bound(smpp.BindTRX)
	dest := func(i int) smpp.Address { return newSubmit("", numbered(i)).Dest }
	_, first := c.submit(newSubmit("x", numbered(1)))
	c.submit(newSubmit("x", numbered(2)))
	c.submit(newSubmit("x", numbered(2), func(m *smpp.SubmitSM) { m.ServiceType = []byte("OTP") }))
	c.submit(newSubmit("x", numbered(2), func(m *smpp.SubmitSM) { m.Source.Addr = []byte("BASKA") }))
	steps := []struct {
		why  string
		pdu  smpp.CancelSM
		want smpp.CommandStatus
		n    int
	}{
		{"other source", smpp.CancelSM{MessageID: []byte(first), Source: smpp.Address{TON: 5, Addr: []byte("BASKA")}}, smpp.StatusCancelFail, 0},
		{"other destination", smpp.CancelSM{MessageID: []byte(first), Source: ornek, Dest: dest(9)}, smpp.StatusCancelFail, 0},
		{"by id", smpp.CancelSM{MessageID: []byte(first), Source: ornek, Dest: dest(1)}, smpp.StatusOK, 1},
		{"once more", smpp.CancelSM{MessageID: []byte(first), Source: ornek}, smpp.StatusCancelFail, 0},
		{"unknown id", smpp.CancelSM{MessageID: []byte("x"), Source: ornek}, smpp.StatusInvMsgID, 0},
		{"by addresses and class", smpp.CancelSM{ServiceType: []byte("OTP"), Source: ornek, Dest: dest(2)}, smpp.StatusOK, 1},
		{"by addresses", smpp.CancelSM{Source: ornek, Dest: dest(2)}, smpp.StatusOK, 1},
		{"nothing left", smpp.CancelSM{Source: ornek, Dest: dest(2)}, smpp.StatusCancelFail, 0},
		{"no destination", smpp.CancelSM{Source: ornek}, smpp.StatusCancelFail, 0},
	}
	for _, s := range steps {
		before := len(w.steered)
		if h, _ := c.call(&s.pdu); h.Status != s.want || len(w.steered)-before != s.n {
			t.Errorf("%s: got %v and %d cancelled, want %v and %d", s.why, h.Status, len(w.steered)-before, s.want, s.n)
		}
	}
}

func TestCancelMulti(t *testing.T) {
	w := newWorld()
	c := serve(t, w, Config{}, nil).bound(smpp.BindTRX)
	m := &smpp.SubmitMulti{Source: ornek, ShortMessage: []byte("x")}
	for i := range 3 {
		m.Dests = append(m.Dests, smpp.Dest{Address: newSubmit("", numbered(i)).Dest})
	}
	h, body := c.call(m)
	var resp smpp.SubmitMultiResp
	if err := resp.Decode(h, body); err != nil {
		t.Fatal(err)
	}
	if h, _ := c.call(&smpp.CancelSM{MessageID: resp.MessageID, Source: ornek, Dest: m.Dests[1].Address}); h.Status != 0 || len(w.steered) != 1 {
		t.Errorf("one of them: got %v, %d cancelled", h.Status, len(w.steered))
	}
	if h, _ := c.call(&smpp.CancelSM{MessageID: resp.MessageID, Source: ornek}); h.Status != 0 || len(w.steered) != 3 {
		t.Errorf("the rest: got %v, %d cancelled", h.Status, len(w.steered))
	}
}

func TestReplace(t *testing.T) {
	w := newWorld()
	c := serve(t, w, Config{}, nil).bound(smpp.BindTRX)
	_, id := c.submit(newSubmit("x"))
	if h, _ := c.call(&smpp.ReplaceSM{MessageID: []byte(id), Source: ornek, ShortMessage: []byte("yeni")}); h.Status != 0 {
		t.Errorf("got %v", h.Status)
	}
	if len(w.steered) != 1 || w.steered[0] != "replace "+id+" yeni" {
		t.Errorf("steered %q", w.steered)
	}
	for _, tc := range []struct {
		why  string
		pdu  smpp.ReplaceSM
		err  error
		want smpp.CommandStatus
	}{
		{"left already", smpp.ReplaceSM{MessageID: []byte(id), Source: ornek, ShortMessage: []byte("y")}, gateway.Refuse(gateway.CodeTooLate, "", ""), smpp.StatusReplaceFail},
		{"judged again", smpp.ReplaceSM{MessageID: []byte(id), Source: ornek, ShortMessage: []byte("y")}, gateway.Refuse(gateway.CodeBlocked, "", ""), smpp.StatusPolicyRefused},
		{"other source", smpp.ReplaceSM{MessageID: []byte(id), ShortMessage: []byte("y"), Source: smpp.Address{Addr: []byte("B")}}, nil, smpp.StatusReplaceFail},
		{"unknown", smpp.ReplaceSM{MessageID: []byte("1"), ShortMessage: []byte("y"), Source: ornek}, nil, smpp.StatusInvMsgID},
		{"no text", smpp.ReplaceSM{MessageID: []byte(id), Source: ornek}, nil, smpp.StatusInvMsgLen},
	} {
		w.replace = tc.err
		if h, _ := c.call(&tc.pdu); h.Status != tc.want {
			t.Errorf("%s: got %v, want %v", tc.why, h.Status, tc.want)
		}
	}
}

func TestReplaceIfPresent(t *testing.T) {
	w := newWorld()
	c := serve(t, w, Config{}, nil).bound(smpp.BindTRX)
	flag := func(m *smpp.SubmitSM) { m.ReplaceIfPresent = 1 }
	st, first := c.submit(newSubmit("bir", flag)) // nothing to replace: a new one
	if st != 0 || len(w.submissions()) != 1 {
		t.Fatalf("got %v", st)
	}
	st, again := c.submit(newSubmit("iki", flag))
	if st != 0 || again != first || len(w.submissions()) != 1 || !strings.HasSuffix(w.steered[0], " iki") {
		t.Errorf("got %v %q, want the id of the first; steered %q", st, again, w.steered)
	}
	if st, id := c.submit(newSubmit("uc", flag, numbered(5))); st != 0 || id == first {
		t.Errorf("another destination: got %v %q", st, id)
	}
	if st, id := c.submit(newSubmit("dort", flag, func(m *smpp.SubmitSM) { m.ServiceType = []byte("OTP") })); st != 0 || id == first {
		t.Errorf("another class: got %v %q", st, id)
	}
	w.replace = gateway.Refuse(gateway.CodeTooLate, "", "")
	if st, id := c.submit(newSubmit("bes", flag)); st != 0 || id == first {
		t.Errorf("just left: got %v %q, want a new message", st, id)
	}
	w.replace = gateway.Refuse(gateway.CodeNoConsent, "", "")
	if st, _ := c.submit(newSubmit("alti", flag)); st != smpp.StatusPolicyRefused {
		t.Errorf("refused: got %v", st)
	}
}
