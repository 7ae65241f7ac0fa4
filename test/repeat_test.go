package test

import (
	"fmt"
	"testing"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/smpptest"
	"izinli/test/stage"
)

// TestRepeatsAreBounded: the link to the operator breaks while everything it took is unanswered. No more messages than twice
// the window may be under an open intent, so no more can come twice; what came twice was decided about twice (P3).
func TestRepeatsAreBounded(t *testing.T) {
	t.Parallel()
	s := stage.New(t, stage.WithOperator(smpptest.Config{Dedupe: true}))
	oneBind(t, s, window)
	const people = 300
	var to []string
	for i := range people {
		to = append(to, fmt.Sprintf("+905338%06d", i))
		s.Consent(s.Seeds.Brand, "BIREYSEL", to[i], "ONAY")
	}
	s.Run()
	s.Operator.Hold()
	res := s.API.Send(stage.Body{"from": s.Seeds.Sender, "text": "Kampanya", "to": to})
	if err := s.Operator.WaitCount(t.Context(), campaignMay); err != nil {
		t.Fatal(err)
	}
	stage.Until(t, "messages waiting for their permit", func() error {
		st := s.Server.Dispatch.Carriers()[0]
		if st.Waiting[gateway.LaneCommercial] == 0 || st.Open[gateway.LaneCommercial] <= window {
			return fmt.Errorf("carrier %+v", st)
		}
		return nil
	})
	intents := func() (messages, twice int) {
		for _, m := range res.Messages {
			n := 0
			for _, d := range s.Decisions(m.ID) {
				if d.Kind == "intent" {
					n++
				}
			}
			if n > 0 {
				messages++
			}
			if n > 1 {
				twice++
			}
		}
		return messages, twice
	}
	open, _ := intents()
	if open > 2*window {
		t.Errorf("%d messages are under an open intent, want at most %d", open, 2*window)
	}
	if got := s.Operator.Stats().Submits; got > window {
		t.Errorf("%d messages are unanswered at the operator, want at most its window of %d", got, window)
	}

	s.Operator.DropAll()
	s.Operator.Release()
	s.API.AwaitBatch(res.Batch, gateway.StateDelivered)
	st := s.Operator.Stats()
	if st.Unique != people || st.Duplicates == 0 || st.Duplicates > 2*window {
		t.Errorf("%d people got the message, %d a second time; want %d and between 1 and %d", st.Unique, st.Duplicates, people, 2*window)
	}
	if _, twice := intents(); twice < st.Duplicates {
		t.Errorf("%d messages were decided about twice, but %d came twice", twice, st.Duplicates)
	}
	t.Logf("%d under intents when the link broke, %d repeats", open, st.Duplicates)
}

// TestDoubtReported: an account that prefers no message over two gets the state unknown instead of a repeat.
func TestDoubtReported(t *testing.T) {
	t.Parallel()
	s := stage.New(t, stage.WithOperator(smpptest.Config{Dedupe: true}))
	oneBind(t, s, window)
	acct := *s.Store.Directory().Accounts[s.Seeds.Account]
	acct.Policy.OnDoubt = "report"
	if _, err := s.Server.Admin.PutAccount(t.Context(), acct); err != nil {
		t.Fatal(err)
	}
	s.Run()
	s.Operator.Hold()
	client := s.Bind()
	id := client.MustSubmit(otp(s, "+905338900001"))
	if err := s.Operator.WaitCount(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	s.Operator.DropAll()
	s.Operator.Release()
	if m := s.Await(id, gateway.StateUnknown); m.Code != gateway.CodeDoubt {
		t.Errorf("code %q, want %q", m.Code, gateway.CodeDoubt)
	}
	s.Await(client.MustSubmit(otp(s, "+905338900002")), gateway.StateDelivered) // the operator is back
	if st := s.Operator.Stats(); st.Unique != 2 || st.Duplicates != 0 {
		t.Errorf("the operator took %d messages and %d repeats, want 2 and none", st.Unique, st.Duplicates)
	}
}

// oneBind gives the operator one bind with a window.
func oneBind(t *testing.T, s *stage.Stage, window int) {
	t.Helper()
	_, err := s.Server.Admin.PutOperator(t.Context(), desk.OperatorInput{Operator: gateway.Operator{Name: s.Seeds.OperatorName,
		Addr: s.Operator.Addr(), SystemID: "izinli", Binds: 1, Window: window}, Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
}
