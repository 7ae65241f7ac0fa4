package desk_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/evidence"
	"izinli/gateway/store"
)

func TestEvidenceOfAMessageAndAnAddress(t *testing.T) {
	o := furnished(t)
	ref := accept(t, o, "+905321234567", "+905321234568", "+905321234567")
	c := dial(t, serve(t, o)) // over the socket, as the command line does
	b := must[evidence.Bundle](t)(c.Evidence(ctx, desk.EvidenceQuery{Message: ref.Message(1).String()}))
	if b.Address != "+905321234568" || len(b.Messages) != 1 || b.Account.ID != 1 || b.Account.Name == "" || b.By == "" {
		t.Errorf("got %+v", b)
	}
	if f := evidence.Verify(&b, store.DecodeRecord, nil); len(f.Problems) > 0 || f.Decisions != 1 {
		t.Errorf("got %+v", f)
	}
	b = must[evidence.Bundle](t)(c.Evidence(ctx, desk.EvidenceQuery{Account: 1, Address: "0532 123 45 67"}))
	if len(b.Messages) != 2 {
		t.Errorf("got %d messages, want both", len(b.Messages))
	}
	if f := evidence.Verify(&b, store.DecodeRecord, nil); len(f.Problems) > 0 || f.Decisions != 2 {
		t.Errorf("got %+v", f)
	}
	last := o.entries[len(o.entries)-1]
	if last.What != "Evidence" || !strings.Contains(string(last.After), b.Digest) {
		t.Errorf("the trail ends with %+v", last)
	}
	if days := must[[]evidence.DayRoot](t)(c.Roots(ctx, desk.RootQuery{From: time.Now().AddDate(0, 0, -1), To: time.Now()})); len(days) != 1 || days[0].Closed || days[0].Accounts[0].Records != 1 {
		t.Errorf("roots: %+v", days)
	}
	for _, x := range []struct {
		q     desk.EvidenceQuery
		code  gateway.Code
		field string
	}{
		{desk.EvidenceQuery{}, gateway.CodeInvalid, "message"},
		{desk.EvidenceQuery{Message: "x", Address: "y"}, gateway.CodeInvalid, "message"},
		{desk.EvidenceQuery{Message: "x"}, gateway.CodeInvalid, "id"},
		{desk.EvidenceQuery{Message: ref.Message(9).String()}, gateway.CodeNotFound, "message"},
		{desk.EvidenceQuery{Address: "05321234567"}, gateway.CodeInvalid, "account"},
		{desk.EvidenceQuery{Account: 1, Address: "kimse"}, gateway.CodeBadNumber, "to"},
	} {
		_, err := c.Evidence(ctx, x.q)
		refused(t, err, x.code, x.field, "")
	}
}

func TestLegalHolds(t *testing.T) {
	o := furnished(t)
	id := accept(t, o, "+905321234567").Message(0).String()
	c := dial(t, serve(t, o))
	h := must[gateway.Hold](t)(c.PutHold(ctx, gateway.Hold{Message: id, Why: " Savcılık 2026/1 "}))
	if h.Account != 1 || h.By == "" || h.At.IsZero() || h.Why != "Savcılık 2026/1" {
		t.Errorf("got %+v", h)
	}
	must[gateway.Hold](t)(c.PutHold(ctx, gateway.Hold{Account: 1, Address: "0532 123 45 67", Why: "x"}))
	list := must[[]gateway.Hold](t)(c.ListHolds(ctx, desk.Query{Account: 1}))
	if len(list) != 2 || list[0].Address != "+905321234567" || list[1].Message != id {
		v, _ := json.Marshal(list)
		t.Errorf("got %s", v)
	}
	for _, x := range []struct {
		h     gateway.Hold
		code  gateway.Code
		field string
	}{
		{gateway.Hold{Why: "x"}, gateway.CodeInvalid, "account"},
		{gateway.Hold{Account: 1}, gateway.CodeInvalid, "why"},
		{gateway.Hold{Account: 1, Message: id, Address: "05321234567", Why: "x"}, gateway.CodeInvalid, "message"},
		{gateway.Hold{Message: "x", Why: "x"}, gateway.CodeInvalid, "id"},
		{gateway.Hold{Account: 77, Why: "x"}, gateway.CodeNotFound, "account"},
	} {
		_, err := c.PutHold(ctx, x.h)
		refused(t, err, x.code, x.field, "")
	}
	must[desk.Nothing](t)(c.DeleteHold(ctx, gateway.Hold{Message: id}))
	_, err := c.DeleteHold(ctx, gateway.Hold{Message: id})
	refused(t, err, gateway.CodeNotFound, "hold", id)
}
