package test

import (
	"strings"
	"testing"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/smpp"
	"izinli/gateway/smppclient"
	"izinli/test/stage"
)

// TestTenantsApart: what belongs to one account does not exist for another, whatever road it asks by (P6).
func TestTenantsApart(t *testing.T) {
	t.Parallel()
	s := stage.New(t)
	theirs := neighbour(t, s)
	const number = "+905337000001"
	s.Consent(s.Seeds.Brand, "BIREYSEL", number, "ONAY")
	s.Run()
	mine, foreign := s.API, stage.NewAPI(t, s.Server.Addrs["api"], theirs.key)
	res := mine.Send(stage.Body{"from": s.Seeds.Sender, "text": "Merhaba", "to": []string{number}})
	id := res.Messages[0].ID.String()
	s.Await(res.Messages[0].ID, gateway.StateDelivered)
	credits := s.Credits()

	for _, c := range []struct {
		what, method, path string
		body               any
		status             int // for the other account
		code               gateway.Code
		mine               int // for the owner; 0: not asked
	}{
		{"a message", "GET", "/v1/messages/" + id, nil, 404, "not_found", 200},
		{"its decisions", "GET", "/v1/messages/" + id + "/decision", nil, 404, "not_found", 200},
		{"its cancelling", "DELETE", "/v1/messages/" + id, nil, 404, "not_found", 409},
		{"a batch", "GET", "/v1/batches/" + res.Batch.String(), nil, 404, "not_found", 200},
		{"its cancelling", "DELETE", "/v1/batches/" + res.Batch.String(), nil, 404, "not_found", 0},
		{"its pausing", "POST", "/v1/batches/" + res.Batch.String() + "/pause", nil, 404, "not_found", 0},
		{"the messages of a batch", "GET", "/v1/messages?batch=" + res.Batch.String(), nil, 404, "not_found", 200},
		{"a consent", "GET", "/v1/consents/MESAJ/" + number + "?brand=" + s.Seeds.Brand, nil, 422, "unknown_brand", 200},
		{"an opt-out", "POST", "/v1/optouts", stage.Body{"brand": s.Seeds.Brand, "channel": "sms", "address": number}, 422, "unknown_brand", 0},
		{"a message under the brand", "POST", "/v1/messages", stage.Body{"brand": s.Seeds.Brand, "from": "BASKA", "text": "a", "to": []string{number}}, 422, "unknown_brand", 0},
		{"a message under the sender", "POST", "/v1/messages", stage.Body{"from": s.Seeds.Sender, "text": "a", "to": []string{number}}, 422, "sender_not_approved", 0},
	} {
		t.Run(c.what, func(t *testing.T) {
			if ans := foreign.Call(c.method, c.path, c.body); ans.Status != c.status || ans.Code() != c.code {
				t.Errorf("the other account is answered %d %q, want %d %q: %s", ans.Status, ans.Code(), c.status, c.code, ans.Body)
			}
			if c.mine == 0 {
				return
			}
			if ans := mine.Call(c.method, c.path, c.body); ans.Status != c.mine {
				t.Errorf("the owner is answered %d, want %d: %s", ans.Status, c.mine, ans.Body)
			}
		})
	}

	var list gateway.Page[gateway.MessageView]
	foreign.Must(200, "GET", "/v1/messages", nil, &list)
	if len(list.Items) != 0 {
		t.Errorf("the other account lists %d messages, want none", len(list.Items))
	}
	foreign.Must(200, "GET", "/v1/messages?to="+strings.TrimPrefix(number, "+"), nil, &list)
	if len(list.Items) != 0 {
		t.Errorf("the other account finds %d messages by number, want none", len(list.Items))
	}
	mine.Must(200, "GET", "/v1/messages", nil, &list)
	if len(list.Items) != 1 {
		t.Errorf("the owner lists %d messages, want 1", len(list.Items))
	}
	var balance gateway.Balance
	foreign.Must(200, "GET", "/v1/balance", nil, &balance)
	if balance.Credits != 50 || s.Credits() != credits {
		t.Errorf("balances %d and %d, want 50 and %d", balance.Credits, s.Credits(), credits)
	}
	if v := (&campaign{Stage: s}).lookup(number, s.Seeds.Brand); v.Blocked {
		t.Error("another account's opt-out blocks my brand")
	}
	if n := len(s.Reached(number)); n != 1 {
		t.Errorf("the operator received %d messages for the number, want mine alone", n)
	}
}

// TestTenantsApartOverSMPP: receipts go to the account that submitted, and nobody queries or cancels another's message.
func TestTenantsApartOverSMPP(t *testing.T) {
	t.Parallel()
	s := stage.New(t)
	theirs := neighbour(t, s)
	s.Run()
	mine := s.Bind()
	foreign := s.Bind(func(c *smppclient.Config) { c.SystemID, c.Password = "baska", theirs.password })
	id := mine.MustSubmit(otp(s, "+905337000002"))
	other := otp(s, "+905337000003")
	other.Source.Addr = []byte("BASKA")
	otherID := foreign.MustSubmit(other)
	if r := mine.Receipt(id); r.State != smpp.StateDelivered {
		t.Errorf("my receipt: state %d", r.State)
	}
	if r := foreign.Receipt(otherID); r.State != smpp.StateDelivered {
		t.Errorf("their receipt: state %d", r.State)
	}
	if len(foreign.Receipts(id)) != 0 || len(mine.Receipts(otherID)) != 0 {
		t.Error("a receipt went to the wrong account")
	}
	w := stage.Dial(t, s.Server.Addrs["smpp"])
	if st := w.Bind(smpp.BindTX, "baska", theirs.password); st != smpp.StatusOK {
		t.Fatalf("bind: %s", st)
	}
	source := stage.Text(s.Seeds.Sender, "+905337000002", "").Source
	if h, _ := w.Ask(&smpp.QuerySM{MessageID: []byte(id.String()), Source: source}); h.Status == smpp.StatusOK {
		t.Error("query_sm of another account's message is answered ESME_ROK")
	}
	if h, _ := w.Ask(&smpp.CancelSM{MessageID: []byte(id.String()), Source: source}); h.Status == smpp.StatusOK {
		t.Error("cancel_sm of another account's message is answered ESME_ROK")
	}
}

// neighbourhood is another account on the same gateway.
type neighbourhood struct{ key, password string }

func neighbour(t *testing.T, s *stage.Stage) neighbourhood {
	t.Helper()
	ctx, a := t.Context(), s.Server.Admin
	acct, err := a.PutAccount(ctx, gateway.Account{Name: "Başka A.Ş."})
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.PutBrand(ctx, gateway.Brand{Code: "620001", Account: acct.ID, Name: "Başka", SMS: gateway.BrandMode{Mode: selfManaged,
		Text: "Beyan", Version: "1", User: "x", IP: "192.0.2.1"}})
	if err == nil {
		_, err = a.PutSender(ctx, gateway.Sender{Name: "BASKA", Account: acct.ID, Channel: gateway.ChannelSMS, Brand: "620001", Approved: true})
	}
	if err == nil {
		_, err = a.AddCredits(ctx, desk.CreditEntry{Account: acct.ID, Credits: 50, Note: "invoice"})
	}
	if err != nil {
		t.Fatal(err)
	}
	var n neighbourhood
	for _, c := range []gateway.Credential{{Kind: gateway.KindAPI}, {Kind: gateway.KindSMPP, ID: "baska"}} {
		c.Account, c.From, c.Classes = acct.ID, "BASKA", []string{gateway.ClassCommercial, gateway.ClassOTP}
		is, err := a.CreateCredential(ctx, desk.NewCredential{Credential: c})
		if err != nil {
			t.Fatal(err)
		}
		if c.Kind == gateway.KindAPI {
			n.key = is.Secret
		} else {
			n.password = is.Secret
		}
	}
	return n
}
