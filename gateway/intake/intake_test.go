package intake_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/consent"
	"izinli/gateway/intake"
	"izinli/gateway/mail"
	"izinli/gateway/store"
	"izinli/iys"
)

// office approves everybody but those it was told about.
type office struct {
	mu     sync.Mutex
	known  map[string]iys.Verdict // guarded by mu
	onAsk  map[string]iys.Verdict // what İYS will say; guarded by mu
	decide func()                 // guarded by mu
}

func approve() iys.Verdict {
	return iys.Verdict{Outcome: iys.OutcomeSend, Rule: iys.RuleConsentApproved, PolicyVersion: 1}
}

func (o *office) Decide(_ *gateway.Batch, address string, _ time.Time) iys.Verdict {
	o.mu.Lock()
	f := o.decide
	o.mu.Unlock()
	if f != nil {
		f()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if v, ok := o.known[address]; ok {
		return v
	}
	return approve()
}

func (o *office) Ask(_ context.Context, _ *gateway.Batch, addresses []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, a := range addresses {
		if v, ok := o.onAsk[a]; ok {
			o.known[a] = v
		}
	}
}

func (o *office) Cite(context.Context, []consent.Citation) {}

type bench struct {
	t   *testing.T
	st  *store.Store
	in  *intake.Intake
	off *office
	now time.Time
	a   gateway.AccountID
}

const (
	ayse = "+905321234567"
	veli = "+905321234568"
)

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, off: &office{known: map[string]iys.Verdict{}, onAsk: map[string]iys.Verdict{}}, now: time.Date(2026, 3, 4, 12, 0, 0, 0, iys.Istanbul)}
	clock := func() time.Time { return b.now }
	var err error
	if b.st, err = store.Open(store.Options{InMemory: true, Now: clock, Gather: -1}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.st.Close() })
	ctx := t.Context()
	for i, name := range []string{"Örnek", "Başka"} {
		acct := &gateway.Account{Name: name}
		b.must(b.st.PutAccount(ctx, acct))
		code := fmt.Sprint(675403 + i)
		b.must(b.st.PutBrand(ctx, &gateway.Brand{Code: code, Account: acct.ID, SMS: gateway.BrandMode{Mode: "partner"}}))
		b.must(b.st.PutSender(ctx, &gateway.Sender{Name: []string{"ORNEK", "BASKA"}[i], Account: acct.ID, Channel: "sms", Brand: code, Approved: true}))
		_, err := b.st.AddCredits(ctx, acct.ID, 20_000, "")
		b.must(err)
		if i == 0 {
			b.a = acct.ID
		}
	}
	b.must(b.st.PutBrand(ctx, &gateway.Brand{Code: "700000", Account: b.a, SMS: gateway.BrandMode{Mode: "partner"}}))
	b.must(b.st.PutSender(ctx, &gateway.Sender{Name: "BEKLEYEN", Account: b.a, Channel: "sms", Brand: "675403"}))
	b.in = intake.New(intake.Config{Now: clock}, b.st, b.off)
	return b
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) policy(p gateway.AccountPolicy) {
	b.t.Helper()
	b.must(b.st.PutAccount(b.t.Context(), &gateway.Account{ID: b.a, Name: "Örnek", Policy: p}))
}

// sub is a submission that is accepted as it is.
func (b *bench) sub() *gateway.Submission {
	return &gateway.Submission{Principal: &gateway.Principal{Account: b.a, Credential: gateway.Credential{ID: "k", Account: b.a,
		Classes: []string{gateway.ClassCommercial, gateway.ClassTransactional}}},
		Door: gateway.DoorHTTP, Class: gateway.ClassCommercial, From: "ORNEK", Text: "Merhaba", To: []gateway.Destination{{Address: ayse}}}
}

func code(err error) gateway.Code {
	var e *gateway.Error
	if errors.As(err, &e) {
		return e.Code
	}
	if err != nil {
		return "not a refusal"
	}
	return ""
}

// Each rule for a request as a whole: just beyond it the request is refused and nothing is stored, just within it is taken.
func TestRequestRefusals(t *testing.T) {
	type edit = func(b *bench, s *gateway.Submission)
	for _, c := range []struct {
		name string
		code gateway.Code
		bad  edit
		good edit
	}{
		{"channel", gateway.CodeInvalid, func(_ *bench, s *gateway.Submission) { s.Channel = "fax" },
			func(_ *bench, s *gateway.Submission) { s.Channel = "sms" }},
		{"e-mail", gateway.CodeSender, func(_ *bench, s *gateway.Submission) { s.Channel = "email" }, nil},
		{"recipient type", gateway.CodeInvalid, func(_ *bench, s *gateway.Submission) { s.RecipientType = "tacir" },
			func(_ *bench, s *gateway.Submission) { s.RecipientType = "TACIR" }},
		{"class", gateway.CodeInvalid, func(_ *bench, s *gateway.Submission) { s.Class = "bulk" }, nil},
		{"class not allowed", gateway.CodeClassNotAllowed, func(_ *bench, s *gateway.Submission) { s.Class = gateway.ClassOTP },
			func(_ *bench, s *gateway.Submission) {
				s.Class = gateway.ClassOTP
				s.Principal.Credential.Classes = []string{gateway.ClassOTP}
			}},
		{"no class listed", gateway.CodeClassNotAllowed, func(_ *bench, s *gateway.Submission) {
			s.Class, s.Reason, s.Principal.Credential.Classes = gateway.ClassTransactional, "order", nil
		}, func(_ *bench, s *gateway.Submission) { s.Principal.Credential.Classes = nil }},
		{"reason missing", gateway.CodeReason, func(_ *bench, s *gateway.Submission) { s.Class = gateway.ClassTransactional },
			func(_ *bench, s *gateway.Submission) { s.Class, s.Reason = gateway.ClassTransactional, "order" }},
		{"reason unknown", gateway.CodeReason, func(_ *bench, s *gateway.Submission) { s.Class, s.Reason = gateway.ClassTransactional, "fun" },
			func(_ *bench, s *gateway.Submission) {
				s.Class, s.Principal.Credential.Reason = gateway.ClassTransactional, "legal"
			}},
		{"no recipient", gateway.CodeInvalid, func(_ *bench, s *gateway.Submission) { s.To = nil }, nil},
		{"too many recipients", gateway.CodeTooManyRecipients, func(_ *bench, s *gateway.Submission) { s.To = make([]gateway.Destination, 10_001) }, nil},
		{"sender unknown", gateway.CodeSender, func(_ *bench, s *gateway.Submission) { s.From = "YOK" }, nil},
		{"sender not approved", gateway.CodeSender, func(_ *bench, s *gateway.Submission) { s.From = "BEKLEYEN" }, nil},
		{"sender of another account", gateway.CodeSender, func(_ *bench, s *gateway.Submission) { s.From = "BASKA" }, nil},
		{"sender of another brand", gateway.CodeSender, func(_ *bench, s *gateway.Submission) { s.Brand = "700000" },
			func(_ *bench, s *gateway.Submission) { s.Brand = "675403" }},
		{"sender missing", gateway.CodeSender, func(_ *bench, s *gateway.Submission) { s.From = "" },
			func(_ *bench, s *gateway.Submission) { s.From, s.Principal.Credential.From = "", "ORNEK" }},
		{"brand unknown", gateway.CodeBrand, func(_ *bench, s *gateway.Submission) { s.Brand = "1" }, nil},
		{"brand of another account", gateway.CodeBrand, func(_ *bench, s *gateway.Submission) { s.Brand = "675404" }, nil},
		{"sendAt past", gateway.CodeSendAt, func(b *bench, s *gateway.Submission) { s.SendAt = b.now.Add(-5*time.Minute - time.Second) },
			func(b *bench, s *gateway.Submission) { s.SendAt = b.now.Add(-5 * time.Minute) }},
		{"sendAt ahead", gateway.CodeSendAt, func(b *bench, s *gateway.Submission) { s.SendAt = b.now.Add(400*24*time.Hour + time.Second) },
			func(b *bench, s *gateway.Submission) { s.SendAt = b.now.Add(400 * 24 * time.Hour) }},
		{"validity short", gateway.CodeValidity, func(_ *bench, s *gateway.Submission) { s.ValidFor = 59 * time.Second },
			func(_ *bench, s *gateway.Submission) { s.ValidFor = time.Minute }},
		{"validity long", gateway.CodeValidity, func(_ *bench, s *gateway.Submission) { s.ValidFor = 72*time.Hour + time.Second },
			func(_ *bench, s *gateway.Submission) { s.ValidFor = 72 * time.Hour }},
		{"validity negative", gateway.CodeValidity, func(_ *bench, s *gateway.Submission) { s.ValidFor = -time.Hour }, nil},
		{"empty text", gateway.CodeEmptyText, func(_ *bench, s *gateway.Submission) { s.Text = "" }, nil},
		{"text too long", gateway.CodeTextTooLong, func(_ *bench, s *gateway.Submission) { s.Text = strings.Repeat("a", 1531) },
			func(_ *bench, s *gateway.Submission) { s.Text = strings.Repeat("a", 1530) }},
		{"unencodable", gateway.CodeUnencodable, func(_ *bench, s *gateway.Submission) { s.Text, s.Encoding = "漢字", "gsm7" },
			func(_ *bench, s *gateway.Submission) { s.Text, s.Encoding = "漢字", "ucs2" }},
		{"encoding", gateway.CodeInvalid, func(_ *bench, s *gateway.Submission) { s.Encoding = "utf-8" },
			func(_ *bench, s *gateway.Submission) { s.Encoding = "gsm7" }},
		{"no credit", gateway.CodeNoCredit, func(b *bench, s *gateway.Submission) { b.broke() }, nil},
		{"suspended", gateway.CodeUnauthorized, func(b *bench, _ *gateway.Submission) {
			b.must(b.st.PutAccount(b.t.Context(), &gateway.Account{ID: b.a, Suspended: true}))
		}, nil},
		{"raw without parts", gateway.CodeTextTooLong, func(_ *bench, s *gateway.Submission) { s.Raw = &gateway.RawSMS{} },
			func(_ *bench, s *gateway.Submission) {
				s.Raw = &gateway.RawSMS{Parts: []gateway.RawPart{{Body: []byte{1}}}}
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			s := b.sub()
			c.bad(b, s)
			for _, dry := range []bool{false, true} {
				s.DryRun = dry
				if _, err := b.in.Submit(t.Context(), s); code(err) != c.code {
					t.Errorf("dryRun %t: got %v, want %s", dry, err, c.code)
				}
			}
			if page, err := b.st.Messages(t.Context(), b.a, gateway.MessageFilter{}); err != nil || len(page.Items) != 0 {
				t.Errorf("%d messages stored, %v, want none", len(page.Items), err)
			}
			good := newBench(t)
			s = good.sub()
			if c.good != nil {
				c.good(good, s)
			}
			if res, err := good.in.Submit(t.Context(), s); err != nil || res.Accepted != 1 {
				t.Errorf("the twin: accepted %d, %v, want 1", res.Accepted, err)
			}
		})
	}
}

func (b *bench) broke() {
	b.t.Helper()
	_, err := b.st.AddCredits(b.t.Context(), b.a, -20_000, "")
	b.must(err)
}

// One bad recipient is refused alone, with its own code; the others of the request go on.
func TestRecipientRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		policy gateway.AccountPolicy
		to     gateway.Destination
		text   string
		want   gateway.Code
	}{
		{name: "not a number", to: gateway.Destination{Address: "12345"}, want: gateway.CodeBadNumber},
		{name: "empty", to: gateway.Destination{}, want: gateway.CodeBadNumber},
		{name: "landline", to: gateway.Destination{Address: "02121234567"}, want: gateway.CodeNotMobile},
		{name: "foreign", to: gateway.Destination{Address: "+4915112345678"}, want: gateway.CodeForeign},
		{name: "foreign allowed", policy: gateway.AccountPolicy{AllowForeign: true}, to: gateway.Destination{Address: "+4915112345678"}},
		{name: "long ref", to: gateway.Destination{Address: veli, Ref: strings.Repeat("ş", 65)}, want: gateway.CodeInvalid},
		{name: "longest ref", to: gateway.Destination{Address: veli, Ref: strings.Repeat("ş", 64)}},
		{name: "variable missing", text: "Merhaba {{ad}}", to: gateway.Destination{Address: veli}, want: gateway.CodeTemplateVariable},
		{name: "variable there", text: "Merhaba {{ad}}", to: gateway.Destination{Address: veli, Vars: []gateway.Var{{Name: "ad", Value: "Veli"}}}},
		{name: "variable too long", text: "Merhaba {{ad}}", want: gateway.CodeTextTooLong,
			to: gateway.Destination{Address: veli, Vars: []gateway.Var{{Name: "ad", Value: strings.Repeat("x", 2000)}}}},
		{name: "renders empty", text: "{{ad}}", to: gateway.Destination{Address: veli, Vars: []gateway.Var{{Name: "ad"}}}, want: gateway.CodeEmptyText},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.policy(c.policy)
			s := b.sub()
			if c.text != "" {
				s.Text = c.text
			}
			s.To = []gateway.Destination{{Address: ayse, Vars: []gateway.Var{{Name: "ad", Value: "Ayşe"}}}, c.to}
			res, err := b.in.Submit(t.Context(), s)
			b.must(err)
			if got := res.Messages[1].Code; got != c.want {
				t.Errorf("code = %q, want %q", got, c.want)
			}
			wantAccepted := 2
			if c.want != "" {
				wantAccepted = 1
				if !res.Messages[1].Refused() || !res.Messages[1].ID.IsZero() || res.Messages[1].Text == "" {
					t.Errorf("refused verdict = %+v, want no id, no state, a sentence", res.Messages[1])
				}
			}
			if res.Accepted != wantAccepted || res.Refused != 2-wantAccepted {
				t.Errorf("accepted %d refused %d, want %d %d", res.Accepted, res.Refused, wantAccepted, 2-wantAccepted)
			}
		})
	}
}

// At the SMPP door what policy says of sender and brand becomes a dropped message, told by receipt.
func TestPolicyAtSMPP(t *testing.T) {
	for want, edit := range map[gateway.Code]func(s *gateway.Submission){
		gateway.CodeSender: func(s *gateway.Submission) { s.From = "YOK" },
		gateway.CodeBrand:  func(s *gateway.Submission) { s.Brand = "1" },
	} {
		b := newBench(t)
		s := b.sub()
		s.Door, s.Receipt = gateway.DoorSMPP, gateway.ReceiptAll
		edit(s)
		res, err := b.in.Submit(t.Context(), s)
		b.must(err)
		if res.Dropped != 1 || res.Messages[0].Code != want || res.Credits != 0 {
			t.Errorf("%s: %+v, want one dropped, no charge", want, res)
		}
		owed, err := b.st.Owed(t.Context(), "k", 0, 10)
		b.must(err)
		if len(owed) != 1 || owed[0].Code != want {
			t.Errorf("%s: %d receipts owed, want one with that code", want, len(owed))
		}
	}
}

// Whom the SMTP door has taken at RCPT, before it knew the text, and who cannot get that text or may not be written to any more, is
// dropped with a decision and told of by a notification; beside him others go on. Where nobody is left the door says so, and at doors
// that answer for each recipient he is refused as ever.
func TestRefusedAfterRCPT(t *testing.T) {
	const foreign = "+4915112345678"
	for _, c := range []struct {
		why  string
		door gateway.Door
		text string
		to   []string
		want []gateway.Code // "": accepted
		told int
	}{
		{"too long on his route", gateway.DoorSMTP, strings.Repeat("a", 155), []string{ayse, veli}, []gateway.Code{"", gateway.CodeTextTooLong}, 1},
		{"too long without national tables", gateway.DoorSMTP, strings.Repeat("ş", 155), []string{ayse, veli}, []gateway.Code{"", gateway.CodeTextTooLong}, 1},
		{"abroad, which was allowed at RCPT", gateway.DoorSMTP, "Merhaba", []string{ayse, foreign}, []gateway.Code{"", gateway.CodeForeign}, 1},
		{"nobody is left", gateway.DoorSMTP, strings.Repeat("a", 155), []string{veli, foreign}, []gateway.Code{gateway.CodeTextTooLong, gateway.CodeForeign}, 0},
		{"no number at all", gateway.DoorSMTP, "Merhaba", []string{ayse, "x"}, []gateway.Code{"", gateway.CodeBadNumber}, 0},
		{"another door", gateway.DoorHTTP, strings.Repeat("a", 155), []string{ayse, veli}, []gateway.Code{"", gateway.CodeTextTooLong}, 0},
	} {
		t.Run(c.why, func(t *testing.T) {
			b := newBench(t)
			b.policy(gateway.AccountPolicy{MaxSegments: 1})
			b.must(b.st.PutOperator(t.Context(), &gateway.Operator{Name: "op1", Addr: "127.0.0.1:1", National: true}))
			b.must(b.st.PutOperator(t.Context(), &gateway.Operator{Name: "op2", Addr: "127.0.0.1:1", Suffix: 10}))
			b.must(b.st.PutRoute(t.Context(), &gateway.Route{ID: "r1", Operators: []gateway.RouteStep{{Operator: "op1"}}}))
			b.must(b.st.PutRoute(t.Context(), &gateway.Route{ID: "r2", Prefix: veli, Operators: []gateway.RouteStep{{Operator: "op2"}}}))
			s := b.sub()
			s.Door, s.Channel, s.Text, s.To = c.door, gateway.ChannelSMS, c.text, nil
			s.Headers = map[string]string{mail.MarkFrom: "bulten@ornek.example"}
			given := []gateway.Var{{Name: mail.MarkRcpt, Value: "kisi@sms.example"}}
			for _, a := range c.to {
				s.To = append(s.To, gateway.Destination{Address: a, Vars: append(given[:1:1], gateway.Var{Name: "ad", Value: "x"})})
			}
			s.DryRun = true
			dry, err := b.in.Submit(t.Context(), s)
			b.must(err)
			s.DryRun = false
			res, err := b.in.Submit(t.Context(), s)
			b.must(err)
			due, err := b.st.Notices(t.Context(), gateway.MessageID{}, 10)
			b.must(err)
			if len(due) != c.told {
				t.Fatalf("told of %d, want %d", len(due), c.told)
			}
			for i, v := range res.Messages {
				if v.Code != c.want[i] || dry.Messages[i].Code != c.want[i] || dry.Messages[i].Refused() != (v.Code != "") {
					t.Errorf("%s: %s, in a dry run %s; want %q", c.to[i], v.Code, dry.Messages[i].Code, c.want[i])
				}
				if stored := v.Code == "" || c.door == gateway.DoorSMTP && c.to[i] != "x"; stored == v.Refused() || v.ID.IsZero() != v.Refused() {
					t.Errorf("%s: %+v, want it stored: %v", c.to[i], v, stored)
				}
				if v.State != gateway.StateDropped {
					continue
				}
				if ds, err := b.st.Decisions(t.Context(), b.a, v.ID); err != nil || len(ds) != 1 || ds[0].Verdict != "drop" || ds[0].Rule != string(v.Code) {
					t.Errorf("%s: decisions %+v, %v", c.to[i], ds, err)
				}
				if len(due) > 0 && (due[0].Message != v.ID || due[0].Code != v.Code || !slices.Equal(due[0].Recipient.Vars, given)) {
					t.Errorf("%s: told of as %+v, %+v", c.to[i], due[0], due[0].Recipient)
				}
			}
			if res.Credits != res.Accepted {
				t.Errorf("%d credits for %d", res.Credits, res.Accepted)
			}
			rep, err := b.st.Verify(t.Context())
			b.must(err)
			if len(rep.Problems) > 0 {
				t.Errorf("verify: %v", rep.Problems)
			}
		})
	}
}

// A transactional text with promotional words, by the account's policy.
func TestPromotional(t *testing.T) {
	for policy, want := range map[string]struct {
		state gateway.State
		words bool
	}{"": {gateway.StateQueued, true}, "warn": {gateway.StateQueued, true}, "hold": {gateway.StateHeld, true}, "off": {gateway.StateQueued, false}} {
		b := newBench(t)
		b.policy(gateway.AccountPolicy{Promotional: policy})
		s := b.sub()
		s.Class, s.Reason, s.Text = gateway.ClassTransactional, "order", "Kaçırılmayacak indirim ve kampanya fırsatı"
		res, err := b.in.Submit(t.Context(), s)
		b.must(err)
		v := res.Messages[0]
		if v.State != want.state || len(v.Words) > 0 != want.words {
			t.Errorf("policy %q: %s with words %v, want %s, words %t", policy, v.State, v.Words, want.state, want.words)
		}
		ds, err := b.st.Decisions(t.Context(), b.a, v.ID)
		b.must(err)
		if len(ds) != 1 || !slices.Equal(ds[0].Words, v.Words) {
			t.Errorf("policy %q: recorded words %v, want %v", policy, ds[0].Words, v.Words)
		}
		if policy != "hold" {
			continue
		}
		// Replacing the text judges it again, both ways.
		b.must(b.in.ReplaceMessage(t.Context(), s.Principal, v.ID, "Siparisiniz yolda", time.Time{}, 0))
		if m, err := b.st.Message(t.Context(), b.a, v.ID); err != nil || m.State != gateway.StateQueued {
			t.Errorf("replaced by a plain text it is %s, %v, want queued", m.State, err)
		}
		b.must(b.in.ReplaceMessage(t.Context(), s.Principal, v.ID, s.Text, time.Time{}, 0))
		if m, err := b.st.Message(t.Context(), b.a, v.ID); err != nil || m.State != gateway.StateHeld {
			t.Errorf("replaced by a promotional text it is %s, %v, want held", m.State, err)
		}
	}
}

// Above 1000 recipients an answer lists only those not accepted.
func TestLargeListing(t *testing.T) {
	for _, n := range []int{1000, 1001, 10_000} {
		b := newBench(t)
		s := b.sub()
		s.To = nil
		for i := range n {
			s.To = append(s.To, gateway.Destination{Address: fmt.Sprintf("+90533%07d", i)})
		}
		s.To[5].Address = "x"
		b.off.known[s.To[7].Address] = iys.Verdict{Rule: iys.RuleBlocked}
		res, err := b.in.Submit(t.Context(), s)
		b.must(err)
		want := n
		if n > 1000 {
			want = 2
		}
		if res.Accepted != n-2 || res.Dropped != 1 || res.Refused != 1 || len(res.Messages) != want || res.Credits != n-2 {
			t.Errorf("%d: accepted %d dropped %d refused %d listed %d credits %d", n, res.Accepted, res.Dropped, res.Refused, len(res.Messages), res.Credits)
		}
		rep, err := b.st.Verify(t.Context())
		b.must(err)
		if len(rep.Problems) > 0 || rep.Messages != n-1 {
			t.Errorf("%d: %d messages stored, problems %v", n, rep.Messages, rep.Problems)
		}
	}
}

func TestIdempotency(t *testing.T) {
	b := newBench(t)
	key := func(h byte) *gateway.IdempotencyKey { return &gateway.IdempotencyKey{Key: "k", Hash: [32]byte{h}} }
	s := b.sub()
	s.Idempotency, s.SendAt = key(1), b.now.Add(time.Minute)
	// While one runs, another with the key is told so.
	b.off.decide = func() {
		b.off.mu.Lock()
		b.off.decide = nil
		b.off.mu.Unlock()
		other := b.sub()
		other.Idempotency = key(1)
		if _, err := b.in.Submit(t.Context(), other); code(err) != gateway.CodeInProgress {
			t.Errorf("same key under way = %v, want in_progress", err)
		}
	}
	first, err := b.in.Submit(t.Context(), s)
	b.must(err)
	// The repeat comes when its sendAt has long passed and its sender is gone: it gets the stored answer all the same.
	b.now = b.now.Add(time.Hour)
	b.must(b.st.DeleteSender(t.Context(), gateway.SenderKey{Account: b.a, Channel: "sms", Name: "ORNEK"}))
	again, err := b.in.Submit(t.Context(), s)
	if err != nil || !again.Replayed || again.Batch != first.Batch || len(again.Messages) != 1 || again.Messages[0].ID != first.Messages[0].ID {
		t.Errorf("repeat = %+v, %v, want the first answer", again, err)
	}
	s.Idempotency = key(2)
	if _, err := b.in.Submit(t.Context(), s); code(err) != gateway.CodeIdempotencyMismatch {
		t.Errorf("other request = %v, want idempotency_mismatch", err)
	}
	if bal, err := b.st.Balance(t.Context(), b.a); err != nil || bal.Credits != 19_999 {
		t.Errorf("credits = %d, %v, want 19999: charged once", bal.Credits, err)
	}
}

// A refusal is not stored under its key.
func TestRefusalIsNotKept(t *testing.T) {
	b := newBench(t)
	s := b.sub()
	s.Idempotency, s.Text = &gateway.IdempotencyKey{Key: "k"}, ""
	if _, err := b.in.Submit(t.Context(), s); code(err) != gateway.CodeEmptyText {
		t.Fatal(err)
	}
	s.Text = "Merhaba"
	if res, err := b.in.Submit(t.Context(), s); err != nil || res.Replayed || res.Accepted != 1 {
		t.Errorf("mended request = %+v, %v, want accepted", res, err)
	}
}

// dryRun and Check answer as the real thing would, ask İYS, and store nothing.
func TestDryRun(t *testing.T) {
	b := newBench(t)
	b.off.known[ayse] = iys.Verdict{Outcome: iys.OutcomeAsk, Rule: iys.RuleConsentAbsent}
	b.off.onAsk[ayse] = iys.Verdict{Rule: iys.RuleNoConsent}
	s := b.sub()
	s.To = append(s.To, gateway.Destination{Address: veli}, gateway.Destination{Address: "x"})
	s.DryRun = true
	res, err := b.in.Submit(t.Context(), s)
	b.must(err)
	if res.Dropped != 1 || res.Accepted != 1 || res.Refused != 1 || res.Credits != 1 || res.Batch != (gateway.BatchRef{}) {
		t.Errorf("dryRun = %+v", res)
	}
	b.off.known[ayse] = iys.Verdict{Outcome: iys.OutcomeAsk, Rule: iys.RuleConsentAbsent}
	vs, err := b.in.Check(t.Context(), s)
	b.must(err)
	for i, want := range []gateway.State{gateway.StateDropped, gateway.StateQueued, gateway.StateNone} {
		if vs[i].State != want || !vs[i].ID.IsZero() || !res.Messages[i].ID.IsZero() {
			t.Errorf("verdict %d = %+v, want %s without an id", i, vs[i], want)
		}
	}
	page, err := b.st.Messages(t.Context(), b.a, gateway.MessageFilter{})
	if err != nil || len(page.Items) != 0 {
		t.Errorf("%d messages stored, %v, want none", len(page.Items), err)
	}
	// On the real road what only İYS knows is accepted and asked about before hand-off.
	b.off.known[ayse] = iys.Verdict{Outcome: iys.OutcomeAsk, Rule: iys.RuleConsentAbsent}
	s.DryRun = false
	if res, err = b.in.Submit(t.Context(), s); err != nil || res.Accepted != 2 {
		t.Errorf("accepted %d, %v, want 2", res.Accepted, err)
	}
}

// Replacing changes what is given and keeps the rest.
func TestReplace(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	s := b.sub()
	s.SendAt, s.ValidFor = b.now.Add(time.Hour), 2*time.Hour
	res, err := b.in.Submit(ctx, s)
	b.must(err)
	id := res.Messages[0].ID
	b.must(b.in.ReplaceMessage(ctx, s.Principal, id, strings.Repeat("a", 200), time.Time{}, 0))
	m, err := b.st.Message(ctx, b.a, id)
	b.must(err)
	if !m.SendAt.Equal(s.SendAt) || m.ValidUntil.Sub(m.SendAt) != 2*time.Hour || m.Parts != 2 || m.State != gateway.StateScheduled {
		t.Errorf("replaced text: %s, due %s for %s in %d parts; times must stay", m.State, m.SendAt, m.ValidUntil.Sub(m.SendAt), m.Parts)
	}
	if bal, _ := b.st.Balance(ctx, b.a); bal.Credits != 19_998 {
		t.Errorf("credits = %d, want 19998", bal.Credits)
	}
	b.must(b.in.ReplaceMessage(ctx, s.Principal, id, "kisa", b.now.Add(3*time.Hour), time.Hour))
	if m, err = b.st.Message(ctx, b.a, id); err != nil || m.ValidUntil.Sub(b.now) != 4*time.Hour || m.Parts != 1 {
		t.Errorf("replaced all: valid for %s in %d parts, %v", m.ValidUntil.Sub(b.now), m.Parts, err)
	}
	b.off.known[ayse] = iys.Verdict{Rule: iys.RuleBlocked}
	if err := b.in.ReplaceMessage(ctx, s.Principal, id, "x", time.Time{}, 0); code(err) != gateway.CodeBlocked {
		t.Errorf("replacing after an opt-out = %v, want blocked", err)
	}
	delete(b.off.known, ayse)
	other := *s.Principal
	other.Account++
	if err := b.in.ReplaceMessage(ctx, &other, id, "x", time.Time{}, 0); code(err) != gateway.CodeNotFound {
		t.Errorf("replacing another account's = %v, want not_found", err)
	}
	// A binary message whose time is changed stays what it is.
	s = b.sub()
	s.Raw = &gateway.RawSMS{DataCoding: 4, Parts: []gateway.RawPart{{Body: []byte{1, 2, 3}}}}
	if res, err = b.in.Submit(ctx, s); err != nil {
		t.Fatal(err)
	}
	b.must(b.in.ReplaceMessage(ctx, s.Principal, res.Messages[0].ID, "", b.now.Add(time.Hour), 0))
	w, err := b.st.Load(ctx, []gateway.DueRef{{Account: b.a, Batch: res.Batch.Batch, Count: 1}})
	b.must(err)
	if w[0].Batch.Raw == nil || string(w[0].Batch.Raw.Parts[0].Body) != "\x01\x02\x03" {
		t.Errorf("binary body = %+v, want it kept", w[0].Batch.Raw)
	}
	rep, err := b.st.Verify(ctx)
	b.must(err)
	if len(rep.Problems) > 0 {
		t.Errorf("verify: %v", rep.Problems)
	}
}

// Only the variables the text names are kept.
func TestVariablesKept(t *testing.T) {
	b := newBench(t)
	s := b.sub()
	s.Text = "Merhaba {{ad}}"
	s.To[0].Vars = []gateway.Var{{Name: "x", Value: strings.Repeat("x", 1<<20)}, {Name: "ad", Value: "Ayşe"}, {Name: "ad", Value: "iki"}}
	res, err := b.in.Submit(t.Context(), s)
	b.must(err)
	w, err := b.st.Load(t.Context(), []gateway.DueRef{{Account: b.a, Batch: res.Batch.Batch, Count: 1}})
	b.must(err)
	if got := w[0].Recipients[0].Vars; len(got) != 1 || got[0].Value != "Ayşe" {
		t.Errorf("kept %d variables, want the one that is named", len(got))
	}
}
