package test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"izinli/configs"
	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/smpp"
	"izinli/gateway/smppclient"
	"izinli/test/stage"
)

// strangers are the other callers of the story: another account, a caller without money, one that may only read, one that may
// call from elsewhere only.
type strangers struct {
	otherBrand                    string // of another account
	readOnly, elsewhere, poor     string // API keys
	poorSystem, poorPassword      string // SMPP, the account without credits
	narrowSystem, narrowPassword  string // SMPP, a window of two
	commercialSystem, commercialP string // SMPP, class commercial only
	distantSystem, distantP       string // SMPP, to be used from elsewhere
}

func introduce(t *testing.T, s *stage.Stage) strangers {
	t.Helper()
	a := s.Server.Admin
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	issue := func(c gateway.Credential) string {
		t.Helper()
		is, err := a.CreateCredential(ctx, desk.NewCredential{Credential: c})
		must(err)
		return is.Secret
	}
	other, err := a.PutAccount(ctx, gateway.Account{Name: "Başka A.Ş."})
	must(err)
	x := strangers{otherBrand: "620001", poorSystem: "poor", narrowSystem: "narrow", commercialSystem: "shop", distantSystem: "distant"}
	_, err = a.PutBrand(ctx, gateway.Brand{Code: x.otherBrand, Account: other.ID, Name: "Başka", SMS: gateway.BrandMode{Mode: selfManaged,
		Text: "Beyan", Version: "1", User: "x", IP: "192.0.2.1"}})
	must(err)
	_, err = a.PutSender(ctx, gateway.Sender{Name: "BASKA", Account: other.ID, Channel: gateway.ChannelSMS, Brand: x.otherBrand, Approved: true})
	must(err)
	all := []string{gateway.ClassCommercial, gateway.ClassTransactional, gateway.ClassOTP}
	mine, cidr := s.Seeds.Account, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	api := gateway.Credential{Kind: gateway.KindAPI, Account: mine, Classes: all, From: s.Seeds.Sender}
	with := func(c gateway.Credential, change func(*gateway.Credential)) gateway.Credential {
		change(&c)
		return c
	}
	x.readOnly = issue(with(api, func(c *gateway.Credential) { c.Scopes = []string{gateway.ScopeRead} }))
	x.elsewhere = issue(with(api, func(c *gateway.Credential) { c.CIDRs = cidr }))
	x.poor = issue(with(api, func(c *gateway.Credential) { c.Account, c.From = other.ID, "BASKA" }))
	bind := with(api, func(c *gateway.Credential) { c.Kind = gateway.KindSMPP })
	x.poorPassword = issue(with(bind, func(c *gateway.Credential) { c.ID, c.Account, c.From = x.poorSystem, other.ID, "BASKA" }))
	x.narrowPassword = issue(with(bind, func(c *gateway.Credential) { c.ID, c.Window = x.narrowSystem, 2 }))
	x.commercialP = issue(with(bind, func(c *gateway.Credential) { c.ID, c.Classes = x.commercialSystem, nil }))
	x.distantP = issue(with(bind, func(c *gateway.Credential) { c.ID, c.CIDRs = x.distantSystem, cidr }))
	return x
}

// untouched runs act and demands that it cost nothing and left nothing behind.
func untouched(t *testing.T, s *stage.Stage, act func()) {
	t.Helper()
	credits, stored := s.Credits(), s.Stored()
	act()
	if got := s.Credits(); got != credits {
		t.Errorf("balance %d, want %d as before: a refused request costs nothing", got, credits)
	}
	if got := s.Stored(); got != stored {
		t.Errorf("%d messages stored, want %d as before: a refused request leaves nothing", got, stored)
	}
}

const bodyLimit = 1 << 20

func TestBadInputOverHTTP(t *testing.T) {
	t.Parallel()
	s := stage.New(t, stage.WithConfig(func(c *configs.Config) { c.Limits.Body = bodyLimit }))
	x := introduce(t, s)
	s.Run()

	good := stage.Body{"class": "transactional", "reason": "order", "from": s.Seeds.Sender, "text": "Siparişiniz yolda", "to": []string{"+905325000001"}}
	rehearse := stage.Body{"dryRun": true}
	at := func(d time.Duration) string { return time.Now().Add(d).Format(time.RFC3339) }
	raw := func(b stage.Body) []byte {
		out, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	crowd := func(n int) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = fmt.Sprintf("+9053251%05d", i)
		}
		return out
	}
	for _, c := range []struct {
		name   string
		key    string // of the playground when empty
		body   any
		twin   any // the nearest good request, where good itself is not the one, or what makes it when its turn comes; rehearsed
		status int
		code   gateway.Code
	}{
		{"no key", "-", good, nil, 401, "unauthorized"},
		{"unknown key", "izk_" + strings.Repeat("0", 26), good, nil, 401, "unauthorized"},
		{"right id, wrong secret", s.Seeds.APIKey[:len(s.Seeds.APIKey)-4] + "0000", good, nil, 401, "unauthorized"},
		{"missing scope", x.readOnly, good, nil, 403, "missing_scope"},
		{"address outside the allow-list", x.elsewhere, good, nil, 403, "address_not_allowed"},
		{"no body", "", []byte{}, nil, 400, "malformed"},
		{"not JSON", "", []byte("to=+905325000001&text=hi"), nil, 400, "malformed"},
		{"JSON cut short", "", raw(good)[:40], nil, 400, "malformed"},
		{"something after the JSON", "", append(raw(good), "{}"...), nil, 400, "malformed"},
		{"a key twice", "", []byte(`{"text":"a","text":"b","to":["+905325000001"]}`), nil, 400, "malformed"},
		{"not UTF-8", "", []byte("{\"text\":\"\xff\",\"to\":[\"+905325000001\"]}"), nil, 400, "malformed"},
		{"unknown field", "", good.With(stage.Body{"txet": "x"}), nil, 400, "unknown_field"},
		{"unknown field of a recipient", "", good.With(stage.Body{"to": []stage.Body{{"address": "+905325000001", "adress": "x"}}}), nil, 400, "unknown_field"},
		{"a number for a text", "", good.With(stage.Body{"text": 5}), nil, 400, "invalid"},
		{"body too large", "", good.With(stage.Body{"text": strings.Repeat("a", bodyLimit)}), nil, 413, "too_large"},
		{"nobody to send to", "", good.With(stage.Body{"to": []string{}}), nil, 400, "invalid"},
		{"10 001 recipients", "", good.With(stage.Body{"to": crowd(10_001)}), good.With(stage.Body{"to": crowd(10_000)}), 422, "too_many_recipients"},
		{"unknown class", "", good.With(stage.Body{"class": "urgent"}), nil, 400, "invalid"},
		{"transactional without a reason", "", good.With(stage.Body{"reason": nil}), nil, 422, "reason_required"},
		{"transactional with a reason of its own", "", good.With(stage.Body{"reason": "discount"}), nil, 422, "reason_required"},
		{"unapproved sender", "", good.With(stage.Body{"from": "BANKAM"}), nil, 422, "sender_not_approved"},
		{"sender of another account", "", good.With(stage.Body{"from": "BASKA"}), nil, 422, "sender_not_approved"},
		{"sender of another brand", "", good.With(stage.Body{"brand": s.Seeds.OtherBrand}), good.With(stage.Body{"brand": s.Seeds.Brand}), 422, "sender_not_approved"},
		{"unknown brand", "", good.With(stage.Body{"brand": "999999"}), nil, 422, "unknown_brand"},
		{"brand of another account", "", good.With(stage.Body{"brand": x.otherBrand}), nil, 422, "unknown_brand"},
		{"sendAt over 5 minutes past", "", good.With(stage.Body{"sendAt": at(-6 * time.Minute)}), func() stage.Body { return good.With(stage.Body{"sendAt": at(-4 * time.Minute)}) }, 422, "send_at_out_of_range"},
		{"sendAt over 400 days ahead", "", good.With(stage.Body{"sendAt": at(401 * 24 * time.Hour)}), good.With(stage.Body{"sendAt": at(399 * 24 * time.Hour)}), 422, "send_at_out_of_range"},
		{"sendAt without a zone", "", good.With(stage.Body{"sendAt": "2026-12-01T10:00:00"}), good.With(stage.Body{"sendAt": at(time.Hour)}), 400, "invalid"},
		{"validity of seconds", "", good.With(stage.Body{"validFor": "59s"}), good.With(stage.Body{"validFor": "60s"}), 422, "validity_out_of_range"},
		{"validity of weeks", "", good.With(stage.Body{"validFor": "73h"}), good.With(stage.Body{"validFor": "72h"}), 422, "validity_out_of_range"},
		{"empty text", "", good.With(stage.Body{"text": ""}), nil, 422, "empty_text"},
		{"no text", "", good.With(stage.Body{"text": nil}), nil, 422, "empty_text"},
		{"text over the segment limit", "", good.With(stage.Body{"text": strings.Repeat("a", 10*153+1)}), good.With(stage.Body{"text": strings.Repeat("a", 10*153)}), 422, "text_too_long"},
		{"unencodable in forced GSM-7", "", good.With(stage.Body{"encoding": "gsm7"}), good.With(stage.Body{"encoding": "gsm7", "text": "Siparisiniz yolda"}), 422, "unencodable_text"},
		{"no credit", x.poor, good.With(stage.Body{"from": "BASKA"}), nil, 402, "no_credit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			caller := stage.NewAPI(t, s.Server.Addrs["api"], s.Seeds.APIKey)
			twin := good
			switch v := c.twin.(type) {
			case stage.Body:
				twin = v
			case func() stage.Body:
				twin = v()
			}
			if ans := caller.Call("POST", "/v1/messages", twin.With(rehearse)); ans.Status != 202 {
				t.Fatalf("the good twin is refused: %d %s", ans.Status, ans.Body)
			}
			switch c.key {
			case "":
			case "-":
				caller.Key = ""
			default:
				caller.Key = c.key
			}
			untouched(t, s.On(t), func() {
				ans := caller.Call("POST", "/v1/messages", c.body)
				if ans.Status != c.status || ans.Code() != c.code {
					t.Errorf("answer %d %q, want %d %q: %s", ans.Status, ans.Code(), c.status, c.code, ans.Body)
				}
			})
		})
	}
	if n := len(s.Operator.Submits()); n != 0 {
		t.Errorf("the operator received %d messages of refused requests", n)
	}
}

// TestOneBadRecipientSinksNobody: what is wrong with a recipient is said of it alone.
func TestOneBadRecipientSinksNobody(t *testing.T) {
	t.Parallel()
	s := stage.New(t)
	s.Run()
	credits := s.Credits()
	res := s.API.Send(stage.Body{"class": "transactional", "reason": "order", "from": s.Seeds.Sender, "text": "Merhaba {{ad}}", "to": []stage.Body{
		{"address": "0532 600 00 01", "ref": "a", "vars": stage.Body{"ad": "Ayşe"}},
		{"address": "05326", "ref": "b", "vars": stage.Body{"ad": "Ali"}},
		{"address": "0212 234 56 78", "ref": "c", "vars": stage.Body{"ad": "Can"}},
		{"address": "+4915112345678", "ref": "d", "vars": stage.Body{"ad": "Jan"}},
		{"address": "05326000002", "ref": "e", "vars": stage.Body{"soyad": "Kaya"}},
		{"address": "kimse@ornek.example", "ref": "f", "vars": stage.Body{"ad": "Ece"}},
		{"address": "05326000003", "ref": "g", "vars": stage.Body{"ad": "Efe"}},
	}})
	want := []struct {
		ref  string
		code gateway.Code
	}{{"a", ""}, {"b", "invalid_number"}, {"c", "not_mobile"}, {"d", "foreign_number"}, {"e", "unknown_variable"}, {"f", "invalid_number"}, {"g", ""}}
	if res.Accepted != 2 || res.Refused != 5 || res.Dropped != 0 || len(res.Messages) != len(want) {
		t.Fatalf("accepted %d, refused %d, dropped %d, %d answers; want 2, 5, 0, %d", res.Accepted, res.Refused, res.Dropped, len(res.Messages), len(want))
	}
	for i, w := range want {
		m := res.Messages[i]
		if m.Ref != w.ref || m.Code != w.code || m.ID.IsZero() != (w.code != "") {
			t.Errorf("recipient %d: ref %q code %q id %v, want ref %q code %q and an id only if taken", i, m.Ref, m.Code, m.ID, w.ref, w.code)
		}
	}
	for _, i := range []int{0, 6} {
		s.Await(res.Messages[i].ID, gateway.StateDelivered)
	}
	if got := s.Credits(); got != credits-2 {
		t.Errorf("balance %d, want %d: two messages of one segment", got, credits-2)
	}
	if got := s.Stored(); got != 2 {
		t.Errorf("%d messages stored, want 2", got)
	}
}

func TestBadBinds(t *testing.T) {
	t.Parallel()
	s := stage.New(t)
	x := introduce(t, s)
	s.Run()
	for _, c := range []struct {
		name, system, password string
		slow                   bool
	}{
		{"unknown system_id", "nobody", "geheim", true},
		{"wrong password", s.Seeds.SystemID, "falsch", true},
		{"address outside the allow-list", x.distantSystem, x.distantP, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := stage.Dial(t, s.Server.Addrs["smpp"])
			began := time.Now()
			if st := w.Bind(smpp.BindTRX, c.system, c.password); st != smpp.StatusBindFail {
				t.Errorf("bind answered %s, want ESME_RBINDFAIL", st)
			}
			if took := time.Since(began); c.slow && took < 200*time.Millisecond {
				t.Errorf("a wrong secret was answered after %s: guessing is not slowed", took)
			}
			if _, ended := w.Ended(); !ended {
				t.Error("the connection stays open after a refused bind")
			}
		})
	}
	if st := stage.Dial(t, s.Server.Addrs["smpp"]).Bind(smpp.BindTRX, s.Seeds.SystemID, s.Seeds.Password); st != smpp.StatusOK {
		t.Errorf("the right password is answered %s", st)
	}
}

// TestBadInputOverSMPP: fields a decent client may get wrong.
func TestBadInputOverSMPP(t *testing.T) {
	t.Parallel()
	s := stage.New(t)
	x := introduce(t, s)
	s.Run()
	client := s.Bind()
	poor := s.Bind(func(c *smppclient.Config) { c.SystemID, c.Password = x.poorSystem, x.poorPassword })
	shop := s.Bind(func(c *smppclient.Config) { c.SystemID, c.Password = x.commercialSystem, x.commercialP })
	now := time.Now()
	transactional := func(change func(*smpp.SubmitSM)) smpp.SubmitSM {
		m := stage.Text(s.Seeds.Sender, "+905327000001", "Merhaba")
		m.TLVs = m.TLVs.AppendCString(smpp.TagMessageClass, "transactional").AppendCString(smpp.TagReason, "order")
		change(&m)
		return m
	}
	silent := func(m *smpp.SubmitSM) { m.RegisteredDelivery = 0 }
	for _, c := range []struct {
		name   string
		by     *stage.Client
		change func(*smpp.SubmitSM)
		want   smpp.CommandStatus
	}{
		{"invalid number", client, func(m *smpp.SubmitSM) { m.Dest.Addr = []byte("9053") }, smpp.StatusInvDstAddr},
		{"landline", client, func(m *smpp.SubmitSM) { m.Dest.Addr = []byte("902122345678") }, smpp.StatusInvDstAddr},
		{"foreign number on a domestic account", client, func(m *smpp.SubmitSM) { m.Dest.Addr = []byte("4915112345678") }, smpp.StatusInvDstAddr},
		{"schedule over 5 minutes past", client, func(m *smpp.SubmitSM) { m.ScheduleTime = smpp.AppendTime(nil, now.Add(-6*time.Minute)) }, smpp.StatusInvSchedule},
		{"schedule over 400 days ahead", client, func(m *smpp.SubmitSM) { m.ScheduleTime = smpp.AppendTime(nil, now.Add(401*24*time.Hour)) }, smpp.StatusInvSchedule},
		{"schedule that is no time", client, func(m *smpp.SubmitSM) { m.ScheduleTime = []byte("269999999999999+") }, smpp.StatusInvSchedule},
		{"validity of seconds", client, func(m *smpp.SubmitSM) { m.ValidityPeriod = smpp.AppendRelative(nil, 30*time.Second) }, smpp.StatusInvExpiry},
		{"validity of weeks", client, func(m *smpp.SubmitSM) { m.ValidityPeriod = smpp.AppendRelative(nil, 80*time.Hour) }, smpp.StatusInvExpiry},
		{"empty text", client, func(m *smpp.SubmitSM) { m.ShortMessage = nil }, smpp.StatusInvMsgLen},
		{"text over the segment limit", client, func(m *smpp.SubmitSM) {
			m.ShortMessage = nil
			m.TLVs = m.TLVs.Append(smpp.TagMessagePayload, []byte(strings.Repeat("a", 10*153+1)))
		}, smpp.StatusInvMsgLen},
		{"no credit", poor, func(m *smpp.SubmitSM) { m.Source = smppclient.DefaultProfile().Source("BASKA") }, smpp.StatusInsufficientFunds},
		{"class the credential may not use", shop, func(m *smpp.SubmitSM) {}, smpp.StatusSubmitFail},
		{"unknown class", client, func(m *smpp.SubmitSM) { m.TLVs = smpp.TLVs(nil).AppendCString(smpp.TagMessageClass, "urgent") }, smpp.StatusInvTLVValue},
		{"unknown reason", client, func(m *smpp.SubmitSM) {
			m.TLVs = smpp.TLVs(nil).AppendCString(smpp.TagMessageClass, "transactional").AppendCString(smpp.TagReason, "discount")
		}, smpp.StatusInvTLVValue},
		{"transactional without a reason", client, func(m *smpp.SubmitSM) {
			m.TLVs = smpp.TLVs(nil).AppendCString(smpp.TagMessageClass, "transactional")
		}, smpp.StatusInvTLVValue},
		{"malformed UDH", client, func(m *smpp.SubmitSM) {
			m.ESMClass = smpp.ESMUDHI
			m.ShortMessage = []byte{5, 0, 9, 1, 2, 1, 'a'}
		}, smpp.StatusInvESMClass},
		{"UDH longer than the message", client, func(m *smpp.SubmitSM) {
			m.ESMClass = smpp.ESMUDHI
			m.ShortMessage = []byte{200, 0, 3, 1, 2, 1}
		}, smpp.StatusInvESMClass},
		{"part 3 of 2", client, func(m *smpp.SubmitSM) {
			m.ESMClass = smpp.ESMUDHI
			m.ShortMessage = []byte{5, 0, 3, 7, 2, 3, 'a'}
		}, smpp.StatusInvESMClass},
		{"SAR parameters without their companions", client, func(m *smpp.SubmitSM) { m.TLVs = m.TLVs.AppendUint16(smpp.TagSarMsgRefNum, 1) }, smpp.StatusMissingTLV},
		{"TLV of a wrong length", client, func(m *smpp.SubmitSM) { m.TLVs = m.TLVs.Append(smpp.TagSarMsgRefNum, []byte{1}) }, smpp.StatusInvTLVLen},
		{"text twice", client, func(m *smpp.SubmitSM) { m.TLVs = m.TLVs.Append(smpp.TagMessagePayload, []byte("a")) }, smpp.StatusInvMsgLen},
		{"odd UCS-2", client, func(m *smpp.SubmitSM) { m.DataCoding, m.ShortMessage = smpp.DCUCS2, []byte{0, 'a', 0} }, smpp.StatusSubmitFail},
	} {
		t.Run(c.name, func(t *testing.T) {
			untouched(t, s.On(t), func() {
				if o := c.by.On(t).Submit(transactional(c.change)); o.Status != c.want {
					t.Errorf("submit_sm_resp %s, want %s", o.Status, c.want)
				}
			})
		})
	}
	// Policy is told by receipt where one was asked for (the message is kept as dropped, and free), else in the response.
	for _, c := range []struct {
		name   string
		change func(*smpp.SubmitSM)
		inline smpp.CommandStatus
		err    string
	}{
		{"unapproved sender", func(m *smpp.SubmitSM) { m.Source.Addr = []byte("BANKAM") }, smpp.StatusInvSrcAddr, "904"},
		{"unknown brand", func(m *smpp.SubmitSM) { m.TLVs = m.TLVs.AppendCString(smpp.TagBrandCode, "999999") }, smpp.StatusPolicyRefused, "905"},
		{"brand of another account", func(m *smpp.SubmitSM) { m.TLVs = m.TLVs.AppendCString(smpp.TagBrandCode, x.otherBrand) }, smpp.StatusPolicyRefused, "905"},
	} {
		t.Run(c.name, func(t *testing.T) {
			credits := s.Credits()
			if o := client.On(t).Submit(transactional(func(m *smpp.SubmitSM) { c.change(m); silent(m) })); o.Status != c.inline {
				t.Errorf("without a receipt: submit_sm_resp %s, want %s", o.Status, c.inline)
			}
			id := client.On(t).MustSubmit(transactional(c.change))
			if r := client.On(t).Receipt(id); r.State != smpp.StateRejected || string(r.Err) != c.err {
				t.Errorf("receipt state %d err %s, want REJECTD %s", r.State, r.Err, c.err)
			}
			if got := s.Credits(); got != credits {
				t.Errorf("balance %d, want %d as before", got, credits)
			}
		})
	}
	// The passing twin of them all.
	s.Await(client.MustSubmit(transactional(func(*smpp.SubmitSM) {})), gateway.StateDelivered)
	if n := len(s.Operator.Submits()); n != 1 {
		t.Errorf("the operator received %d messages, want the good one alone", n)
	}
}

// TestBadOctets: PDUs no decent client would write. A lying length costs the connection, anything else only its own request.
func TestBadOctets(t *testing.T) {
	t.Parallel()
	s := stage.New(t)
	s.Run()
	m := stage.Text(s.Seeds.Sender, "+905328000001", "Merhaba")
	m.TLVs = smpp.TLVs(nil).AppendCString(smpp.TagMessageClass, "otp")
	bare := m
	bare.TLVs = nil
	smLength := func(p []byte) int { return len(p) - len(m.ShortMessage) - 1 } // of bare: the octet before the text
	resize := func(p []byte) []byte {
		binary.BigEndian.PutUint32(p, uint32(len(p)))
		return p
	}
	for _, c := range []struct {
		name string
		pdu  func(w *stage.Wire) []byte
		id   smpp.CommandID
		want smpp.CommandStatus
		ends bool // the connection
	}{
		{"truncated in the middle of a field", func(w *stage.Wire) []byte { return resize(m.AppendTo(nil, w.Next())[:30]) }, smpp.SubmitSMRespID, smpp.StatusInvCmdLen, false},
		{"header alone", func(w *stage.Wire) []byte { return resize(m.AppendTo(nil, w.Next())[:16]) }, smpp.SubmitSMRespID, smpp.StatusInvCmdLen, false},
		{"sm_length beyond the PDU", func(w *stage.Wire) []byte {
			p := bare.AppendTo(nil, w.Next())
			p[smLength(p)] = 200
			return p
		}, smpp.SubmitSMRespID, smpp.StatusInvMsgLen, false},
		{"sm_length short of the text", func(w *stage.Wire) []byte {
			p := bare.AppendTo(nil, w.Next())
			p[smLength(p)] = 2 // the rest reads as a TLV
			return p
		}, smpp.SubmitSMRespID, smpp.StatusInvTLVStream, false},
		{"TLV cut short", func(w *stage.Wire) []byte { p := m.AppendTo(nil, w.Next()); return resize(p[:len(p)-2]) }, smpp.SubmitSMRespID, smpp.StatusInvTLVStream, false},
		{"TLV longer than the PDU", func(w *stage.Wire) []byte {
			p := bare.AppendTo(nil, w.Next())
			return resize(append(p, 0x14, 0x00, 0xFF, 0xFF, 'x'))
		}, smpp.SubmitSMRespID, smpp.StatusInvTLVStream, false},
		{"unknown command_id", func(w *stage.Wire) []byte {
			return smpp.AppendHeader(nil, smpp.Header{ID: 0x0999, Sequence: w.Next()}, 0)
		}, smpp.GenericNackID, smpp.StatusInvCmdID, false},
		{"command_length below 16", func(w *stage.Wire) []byte {
			p := smpp.AppendHeader(nil, smpp.Header{ID: smpp.SubmitSMID, Sequence: w.Next()}, 0)
			binary.BigEndian.PutUint32(p, 15)
			return p
		}, smpp.GenericNackID, smpp.StatusInvCmdLen, true},
		{"command_length above the limit", func(w *stage.Wire) []byte {
			p := smpp.AppendHeader(nil, smpp.Header{ID: smpp.SubmitSMID, Sequence: w.Next()}, 0)
			binary.BigEndian.PutUint32(p, 64<<20)
			return p
		}, smpp.GenericNackID, smpp.StatusInvCmdLen, true},
		{"a second bind", func(w *stage.Wire) []byte {
			return (&smpp.Bind{SystemID: []byte("x"), Password: []byte("y")}).AppendTo(nil, w.Next())
		}, smpp.BindTransceiverRespID, smpp.StatusAlreadyBound, false},
		{"deliver_sm is ours to send", func(w *stage.Wire) []byte { return (*smpp.DeliverSM)(&bare).AppendTo(nil, w.Next()) }, smpp.DeliverSMRespID, smpp.StatusInvBindStatus, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := stage.Dial(t, s.Server.Addrs["smpp"])
			defer gone(t, s, w) // there are more cases than the credential may have binds
			if st := w.Bind(smpp.BindTRX, s.Seeds.SystemID, s.Seeds.Password); st != smpp.StatusOK {
				t.Fatalf("bind: %s", st)
			}
			untouched(t, s.On(t), func() {
				w.Write(c.pdu(w))
				if h, _ := w.Read(); h.ID != c.id || h.Status != c.want {
					t.Errorf("answered %s with %s, want %s with %s", h.ID, h.Status, c.id, c.want)
				}
			})
			if c.ends {
				if _, ended := w.Ended(); !ended {
					t.Error("the connection goes on although framing is lost")
				}
				return
			}
			if h, _ := w.Ask(&m); h.ID != smpp.SubmitSMRespID || h.Status != smpp.StatusOK {
				t.Errorf("the good message after it is answered %s %s, want submit_sm_resp ESME_ROK", h.ID, h.Status)
			}
		})
	}
}

// TestWrongBindState: a request before the bind, or on a bind that may not make it, is refused and leaves nothing.
func TestWrongBindState(t *testing.T) {
	t.Parallel()
	s := stage.New(t)
	s.Run()
	m := otp(s, "+905328000002")
	untouched(t, s, func() {
		w := stage.Dial(t, s.Server.Addrs["smpp"])
		if h, _ := w.Ask(&m); h.Status != smpp.StatusInvBindStatus {
			t.Errorf("submit_sm before the bind is answered %s, want ESME_RINVBNDSTS", h.Status)
		}
		w = stage.Dial(t, s.Server.Addrs["smpp"])
		if st := w.Bind(smpp.BindRX, s.Seeds.SystemID, s.Seeds.Password); st != smpp.StatusOK {
			t.Fatalf("bind_receiver: %s", st)
		}
		if h, _ := w.Ask(&m); h.Status != smpp.StatusInvBindStatus {
			t.Errorf("submit_sm on a receiver is answered %s, want ESME_RINVBNDSTS", h.Status)
		}
	})
}

// TestHalfAPDUIsNoMessage: a connection that ends in the middle of a PDU leaves nothing behind.
func TestHalfAPDUIsNoMessage(t *testing.T) {
	t.Parallel()
	s := stage.New(t)
	s.Run()
	untouched(t, s, func() {
		w := stage.Dial(t, s.Server.Addrs["smpp"])
		if st := w.Bind(smpp.BindTRX, s.Seeds.SystemID, s.Seeds.Password); st != smpp.StatusOK {
			t.Fatalf("bind: %s", st)
		}
		m := otp(s, "+905328000003")
		p := m.AppendTo(nil, w.Next())
		w.Write(p[:len(p)-3])
		gone(t, s, w)
	})
}

// gone hangs up and waits until the gateway has no connection left.
func gone(t *testing.T, s *stage.Stage, w *stage.Wire) {
	t.Helper()
	w.HangUp()
	stage.Until(t, "the session to end", func() error {
		if n := s.Server.SMPP.Metrics().Conns; n != 0 {
			return fmt.Errorf("%d connections", n)
		}
		return nil
	})
}

// TestWindowExceeded: a client that sends more than its window gets ESME_RTHROTTLED for the rest at once; what was answered
// ESME_ROK is stored and nothing else.
func TestWindowExceeded(t *testing.T) {
	t.Parallel()
	s := stage.New(t)
	x := introduce(t, s)
	s.Run()
	w := stage.Dial(t, s.Server.Addrs["smpp"])
	if st := w.Bind(smpp.BindTX, x.narrowSystem, x.narrowPassword); st != smpp.StatusOK {
		t.Fatalf("bind: %s", st)
	}
	const flood = 60
	var pdus []byte
	for i := range flood {
		m := otp(s, fmt.Sprintf("+9053280001%02d", i))
		pdus = m.AppendTo(pdus, w.Next())
	}
	w.Write(pdus)
	count := map[smpp.CommandStatus]int{}
	for range flood {
		h, _ := w.Read()
		count[h.Status]++
	}
	ok, throttled := count[smpp.StatusOK], count[smpp.StatusThrottled]
	if ok < 2 || throttled == 0 || ok+throttled != flood {
		t.Errorf("answers %v: want at least the window of 2 taken, the rest ESME_RTHROTTLED", count)
	}
	if got := s.Stored(); got != ok {
		t.Errorf("%d messages stored, want the %d answered ESME_ROK", got, ok)
	}
}
