package test

import (
	"fmt"
	"testing"
	"time"

	"izinli/configs"
	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/smpp"
	"izinli/iys"
	"izinli/iys/iystest"
	"izinli/test/stage"
)

// The weather a case happens in.
const (
	fair  = "fair"  // İYS answers and has just been pulled
	stale = "stale" // the last pull is older than what is believed, İYS answers
	down  = "down"  // the last pull is too old and İYS cannot be reached
)

// The brands of the table by mode, and their senders.
const (
	ahs         = "ahs"
	selfManaged = "self_managed"
	exempt      = "exempt"
	partner     = "partner"
)

// What is known of the person before the message. The acts happen at İYS before the gateway's first pull unless their name
// says otherwise.
type person string

const (
	nobody         person = "nobody İYS knows"
	approved       person = "ONAY"
	rejected       person = "RET"
	merchant       person = "ONAY as TACIR"
	veteran        person = "ONAY older than İYS's listing reaches"
	newcomer       person = "ONAY after the pull"
	leaver         person = "RET after the pull, unknown before"
	optedOut       person = "ONAY, then an opt-out by API"
	blacklisted    person = "ONAY, on the account's blacklist"
	strangerOptOut person = "unknown, with an opt-out by API"
)

// caseTable is who may be sent what. The columns after the arrow were written by hand from the law and the design, never from
// the program.
var caseTable = []struct {
	name    string
	weather string
	brand   string // mode
	class   string
	rtype   string
	person  person
	// →
	state   gateway.State
	code    gateway.Code
	verdict string // of the decision in effect
	rule    string
	where   string // the consent was read, where one let the message go
	err     string // of the receipt over SMPP
}{
	{"consented", fair, partner, "commercial", "BIREYSEL", approved, gateway.StateDelivered, "", "send", "consent_onay", "mirror", "000"},
	{"refused", fair, partner, "commercial", "BIREYSEL", rejected, gateway.StateDropped, "no_consent", "drop", "no_consent", "", "901"},
	{"unknown to İYS", fair, partner, "commercial", "BIREYSEL", nobody, gateway.StateDropped, "no_consent", "drop", "no_consent", "", "901"},
	{"consented long ago: absence is asked", fair, partner, "commercial", "BIREYSEL", veteran, gateway.StateDelivered, "", "send", "consent_onay", "live", "000"},
	{"consented after the pull: absence is asked", fair, partner, "commercial", "BIREYSEL", newcomer, gateway.StateDelivered, "", "send", "consent_onay", "live", "000"},
	{"refused after the pull: absence is asked", fair, partner, "commercial", "BIREYSEL", leaver, gateway.StateDropped, "no_consent", "drop", "no_consent", "", "901"},
	{"merchant known", fair, partner, "commercial", "TACIR", merchant, gateway.StateDelivered, "", "send", "consent_onay", "mirror", "000"},
	{"merchant unknown", fair, partner, "commercial", "TACIR", nobody, gateway.StateDropped, "no_consent", "drop", "no_consent", "", "901"},
	{"a person's consent is none of the merchant's", fair, partner, "commercial", "TACIR", approved, gateway.StateDropped, "no_consent", "drop", "no_consent", "", "901"},
	{"a merchant's consent is none of the person's", fair, partner, "commercial", "BIREYSEL", merchant, gateway.StateDropped, "no_consent", "drop", "no_consent", "", "901"},
	{"opted out here", fair, partner, "commercial", "BIREYSEL", optedOut, gateway.StateDropped, "blocked", "drop", "blocked", "", "902"},
	{"opted out here, as merchant", fair, partner, "commercial", "TACIR", optedOut, gateway.StateDropped, "blocked", "drop", "blocked", "", "902"},
	{"on the blacklist", fair, partner, "commercial", "BIREYSEL", blacklisted, gateway.StateDropped, "blacklisted", "drop", "blacklisted", "", "902"},
	{"exempt brand asks nobody", fair, exempt, "commercial", "BIREYSEL", nobody, gateway.StateDelivered, "", "send", "exempt", "", "000"},
	{"exempt brand obeys an opt-out", fair, exempt, "commercial", "BIREYSEL", strangerOptOut, gateway.StateDropped, "blocked", "drop", "blocked", "", "902"},
	{"self-managed brand trusts its owner", fair, selfManaged, "commercial", "BIREYSEL", nobody, gateway.StateDelivered, "", "send", "self_managed", "", "000"},
	{"self-managed brand obeys an opt-out", fair, selfManaged, "commercial", "BIREYSEL", strangerOptOut, gateway.StateDropped, "blocked", "drop", "blocked", "", "902"},
	{"intermediary, approved", fair, ahs, "commercial", "BIREYSEL", approved, gateway.StateDelivered, "", "send", "consent_onay", "live", "000"},
	{"intermediary, rejected", fair, ahs, "commercial", "BIREYSEL", rejected, gateway.StateDropped, "no_consent", "drop", "no_consent", "", "901"},
	{"intermediary, unknown", fair, ahs, "commercial", "BIREYSEL", nobody, gateway.StateDropped, "no_consent", "drop", "no_consent", "", "901"},
	{"transactional needs no consent", fair, partner, "transactional", "BIREYSEL", rejected, gateway.StateDelivered, "", "send", "transactional", "", "000"},
	{"transactional passes an opt-out", fair, partner, "transactional", "BIREYSEL", optedOut, gateway.StateDelivered, "", "send", "transactional", "", "000"},
	{"transactional stops at the blacklist", fair, partner, "transactional", "BIREYSEL", blacklisted, gateway.StateDropped, "blacklisted", "drop", "blacklisted", "", "902"},
	{"one-time password needs no consent", fair, partner, "otp", "BIREYSEL", rejected, gateway.StateDelivered, "", "send", "otp", "", "000"},
	{"one-time password stops at the blacklist", fair, partner, "otp", "BIREYSEL", blacklisted, gateway.StateDropped, "blacklisted", "drop", "blacklisted", "", "902"},

	{"stale mirror, approved: asked", stale, partner, "commercial", "BIREYSEL", approved, gateway.StateDelivered, "", "send", "consent_onay", "live", "000"},
	{"stale mirror, refused: an old RET stops too", stale, partner, "commercial", "BIREYSEL", rejected, gateway.StateDropped, "no_consent", "drop", "no_consent", "", "901"},
	{"stale mirror, unknown: asked", stale, partner, "commercial", "BIREYSEL", nobody, gateway.StateDropped, "no_consent", "drop", "no_consent", "", "901"},

	{"İYS down, approved long ago: held", down, partner, "commercial", "BIREYSEL", approved, gateway.StateHeld, "consent_unavailable", "hold", "consent_unavailable", "", ""},
	{"İYS down, unknown: held", down, partner, "commercial", "BIREYSEL", nobody, gateway.StateHeld, "consent_unavailable", "hold", "consent_unavailable", "", ""},
	{"İYS down, refused", down, partner, "commercial", "BIREYSEL", rejected, gateway.StateDropped, "no_consent", "drop", "no_consent", "", "901"},
	{"İYS down, intermediary: held", down, ahs, "commercial", "BIREYSEL", approved, gateway.StateHeld, "consent_unavailable", "hold", "consent_unavailable", "", ""},
	{"İYS down, exempt", down, exempt, "commercial", "BIREYSEL", nobody, gateway.StateDelivered, "", "send", "exempt", "", "000"},
	{"İYS down, self-managed", down, selfManaged, "commercial", "BIREYSEL", nobody, gateway.StateDelivered, "", "send", "self_managed", "", "000"},
	{"İYS down, transactional", down, partner, "transactional", "BIREYSEL", nobody, gateway.StateDelivered, "", "send", "transactional", "", "000"},
	{"İYS down, one-time password", down, partner, "otp", "BIREYSEL", nobody, gateway.StateDelivered, "", "send", "otp", "", "000"},
}

// believed is how long the mirror is believed in bad weather.
const believed = 4 * time.Second

func TestCaseTable(t *testing.T) {
	for _, weather := range []string{fair, stale, down} {
		t.Run(weather, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, weather)
			for i, c := range caseTable {
				if c.weather != weather {
					continue
				}
				for d, door := range []string{"HTTP", "SMPP"} {
					number := fmt.Sprintf("+90532%d%06d", d+1, i)
					w.meet(c.person, c.brand, number)
					w.cases = append(w.cases, placed{i, door, number})
				}
			}
			w.play(t)
		})
	}
}

// placed is one case at one door, with a person of its own.
type placed struct {
	index  int
	door   string
	number string
}

// world is a stage on which the four modes of brand exist.
type world struct {
	*stage.Stage
	weather string
	channel string            // sms, email
	wire    string            // the same at İYS
	code    map[string]string // of the brand, by mode
	sender  map[string]string
	later   []func() // acts after the first pull
	cases   []placed
}

func newWorld(t *testing.T, weather string) *world {
	s := stage.New(t, stage.WithConfig(func(c *configs.Config) {
		if weather != fair {
			c.IYS.Freshness = configs.Duration(believed)
		}
	}))
	w := &world{Stage: s, weather: weather, channel: "sms", wire: "MESAJ",
		code:   map[string]string{partner: s.Seeds.Brand, ahs: s.Seeds.OtherBrand, selfManaged: "610001", exempt: "610002"},
		sender: map[string]string{partner: s.Seeds.Sender, ahs: s.Seeds.OtherSender, selfManaged: "KENDI", exempt: "VAKIF"}}
	s.Brand(w.code[selfManaged], w.sender[selfManaged], gateway.BrandMode{Mode: selfManaged, Text: "İYS yönetimi bizdedir.", Version: "1",
		User: "Ayşe Yılmaz", IP: "192.0.2.7"})
	s.Brand(w.code[exempt], w.sender[exempt], gateway.BrandMode{Mode: exempt, Text: "Kamuya yararlı dernek", Document: "2026/17",
		User: "Ali Kaya", Expires: time.Now().Add(365 * 24 * time.Hour)})
	return w
}

// meet arranges what is known of a person.
func (w *world) meet(p person, mode, number string) {
	brand := w.code[mode]
	optOut := func() {
		w.API.Must(200, "POST", "/v1/optouts", stage.Body{"brand": brand, "channel": w.channel, "address": number}, nil)
	}
	switch p {
	case approved:
		w.given(brand, "BIREYSEL", number, "ONAY", recently)
	case rejected:
		w.given(brand, "BIREYSEL", number, "RET", recently)
	case merchant:
		w.given(brand, "TACIR", number, "ONAY", recently)
	case veteran:
		w.given(brand, "BIREYSEL", number, "ONAY", longAgo)
	case newcomer:
		w.later = append(w.later, func() { w.IYS.Citizen(brand, w.wire, "BIREYSEL", number, "ONAY", "") })
	case leaver:
		w.later = append(w.later, func() { w.IYS.Citizen(brand, w.wire, "BIREYSEL", number, "RET", "") })
	case optedOut:
		w.given(brand, "BIREYSEL", number, "ONAY", recently)
		w.later = append(w.later, optOut)
	case strangerOptOut:
		w.later = append(w.later, optOut)
	case blacklisted:
		w.given(brand, "BIREYSEL", number, "ONAY", recently)
		w.later = append(w.later, func() {
			_, err := w.Server.Admin.PutBlacklist(w.t().Context(), desk.BlacklistEntry{Account: w.Seeds.Account, Address: number})
			if err != nil {
				w.t().Fatal(err)
			}
		})
	}
}

// İYS lists the changes of seven days (iys-api.md §8.1): what is older the first pull does not bring.
const (
	recently = 2 * 24 * time.Hour
	longAgo  = 90 * 24 * time.Hour
)

// given stores a consent at İYS that was given that long ago.
func (w *world) given(brand, rtype, number, status string, ago time.Duration) {
	at := time.Now().Add(-ago)
	w.IYS.Put(iystest.Movement{IYSCode: brand, BrandCode: brand, Recipient: number, RecipientType: rtype, Type: w.wire, Status: status,
		Source: "HS_WEB", ConsentDate: at, CreationDate: at.Add(time.Hour)})
}

// t is the test of the world.
func (w *world) t() testing.TB { return w.TB() }

// play submits every case at its door and holds what came of it against the table.
func (w *world) play(t *testing.T) {
	w.Run()
	for _, act := range w.later {
		act()
	}
	w.weatherSets(t)
	credits := w.Credits()
	client := w.Bind()
	ids := make([]gateway.MessageID, len(w.cases))
	for i, p := range w.cases {
		ids[i] = w.submit(client, p)
	}
	charged := int64(0)
	for i, p := range w.cases {
		c := caseTable[p.index]
		t.Run(c.name+"/"+p.door, func(t *testing.T) {
			m := w.On(t).Await(ids[i], c.state)
			if m.Code != c.code {
				t.Errorf("code %q, want %q", m.Code, c.code)
			}
			w.checkDecisions(t, ids[i], c.verdict, c.rule, c.where)
			if p.door == "SMPP" && c.err != "" {
				checkReceipt(t, client.On(t).Receipt(ids[i]), c.state, c.err)
			}
		})
		if c.state == gateway.StateDelivered || c.state == gateway.StateHeld {
			charged++ // one segment each; what was dropped costs nothing
		}
	}
	// Only now, when every message has come to rest, does the operator's silence prove anything.
	for _, p := range w.cases {
		c := caseTable[p.index]
		want := 0
		if c.state == gateway.StateDelivered {
			want = 1
		}
		if got := len(w.Reached(p.number)); got != want {
			t.Errorf("%s/%s: the operator received %d messages, want %d", c.name, p.door, got, want)
		}
	}
	if got, want := w.Credits(), credits-charged; got != want {
		t.Errorf("balance %d, want %d: one credit for each message sent or held, none for one dropped", got, want)
	}
}

// weatherSets lets the mirror grow old and takes İYS away, where the weather is such.
func (w *world) weatherSets(t *testing.T) {
	if w.weather == fair {
		return
	}
	stage.Until(t, "the mirror to grow stale", func() error {
		if age := time.Since(w.Server.Mirror.PulledAt(w.Seeds.Brand, iys.Channel(w.wire))); age <= believed {
			return fmt.Errorf("it is %s old", age)
		}
		return nil
	})
	if w.weather == down {
		w.IYS.SetDown(true)
	}
}

// submit hands one case in and returns its id: dropped ones have one too.
func (w *world) submit(client *stage.Client, p placed) gateway.MessageID {
	t := w.t()
	c := caseTable[p.index]
	if p.door == "SMPP" {
		m := stage.Text(w.sender[c.brand], p.number, "Merhaba")
		m.TLVs = m.TLVs.AppendCString(smpp.TagMessageClass, c.class).AppendCString(smpp.TagRecipientType, c.rtype)
		if c.class == gateway.ClassTransactional {
			m.TLVs = m.TLVs.AppendCString(smpp.TagReason, "order")
		}
		return client.MustSubmit(m)
	}
	b := stage.Body{"class": c.class, "recipientType": c.rtype, "from": w.sender[c.brand], "text": "Merhaba", "to": []string{p.number}}
	if c.class == gateway.ClassTransactional {
		b["reason"] = "order"
	}
	res := w.API.Send(b)
	if len(res.Messages) != 1 || res.Messages[0].ID.IsZero() {
		t.Fatalf("%s: answer %+v names no message", c.name, res)
	}
	return res.Messages[0].ID
}

// checkDecisions holds the record of decisions against the table: there is one from the door, and the newest is in effect.
func (w *world) checkDecisions(t *testing.T, id gateway.MessageID, verdict, rule, where string) {
	t.Helper()
	ds := w.Decisions(id)
	if len(ds) == 0 {
		t.Fatal("no decision was recorded")
	}
	if first := ds[len(ds)-1]; first.Kind != "accept" {
		t.Errorf("first decision is of kind %q, want accept", first.Kind)
	}
	last := ds[0]
	if last.Verdict != verdict || last.Rule != rule {
		t.Errorf("decision in effect: %s by %s, want %s by %s", last.Verdict, last.Rule, verdict, rule)
	}
	if verdict == "send" && last.Kind != "intent" {
		t.Errorf("a message left under a decision of kind %q, want intent", last.Kind)
	}
	if last.Policy == 0 || last.At.IsZero() || last.Hash == "" {
		t.Errorf("decision lacks policy version, time or hash: %+v", last)
	}
	if rule != "consent_onay" {
		return
	}
	if last.Status != "ONAY" || last.Where != where {
		t.Errorf("decision rests on %s read from %s, want ONAY from %s", last.Status, last.Where, where)
	}
	if where == "mirror" && (last.Source != "HS_WEB" || last.ConsentDate.IsZero() || last.TransactionID == "") {
		t.Errorf("decision does not name source, date and transaction of the consent: %+v", last)
	}
}

// checkReceipt holds a receipt against what the table says of the message.
func checkReceipt(t *testing.T, r smpp.Receipt, state gateway.State, code string) {
	t.Helper()
	want := smpp.StateRejected
	if state == gateway.StateDelivered {
		want = smpp.StateDelivered
	}
	if r.State != want || string(r.Err) != code {
		t.Errorf("receipt state %d err %s, want state %d err %s", r.State, r.Err, want, code)
	}
}

// TestHeldUntilItExpires: a commercial message whose consent nobody can tell waits as long as it is valid and not longer. It
// never reaches the operator, costs nothing in the end, and its sender is told.
func TestHeldUntilItExpires(t *testing.T) {
	t.Parallel()
	clock := stage.NewClock()
	clock.Advance(-2 * time.Minute) // never ahead of the wall, by which the queue wakes
	s := stage.New(t, stage.WithClock(clock.Now))
	s.Run()
	s.IYS.SetDown(true)
	client := s.Bind()
	credits := s.Credits()

	m := stage.Text(s.Seeds.Sender, "+905324000001", "Merhaba")
	m.ValidityPeriod = smpp.AppendRelative(nil, time.Minute)
	id := client.MustSubmit(m)
	if held := s.Await(id, gateway.StateHeld); held.Code != gateway.CodeConsentUnavailable {
		t.Errorf("held for %q, want %q", held.Code, gateway.CodeConsentUnavailable)
	}

	clock.Advance(2 * time.Minute)
	wake := client.MustSubmit(otp(s, "+905324000002")) // whatever is due is looked at with it
	s.Await(wake, gateway.StateDelivered)
	if end := s.Await(id, gateway.StateExpired); end.Code != gateway.CodeConsentUnavailable {
		t.Errorf("expired for %q, want %q", end.Code, gateway.CodeConsentUnavailable)
	}
	if r := client.Receipt(id); r.State != smpp.StateExpired || string(r.Err) != "907" {
		t.Errorf("receipt state %d err %s, want EXPIRED 907", r.State, r.Err)
	}
	if n := len(s.Reached("+905324000001")); n != 0 {
		t.Errorf("the operator received %d messages without consent", n)
	}
	if got := s.Credits(); got != credits-1 {
		t.Errorf("balance %d, want %d: the held message was refunded, the other cost one", got, credits-1)
	}
}

// otp is a one-time password.
func otp(s *stage.Stage, number string) smpp.SubmitSM {
	m := stage.Text(s.Seeds.Sender, number, "Kod 1234")
	m.TLVs = m.TLVs.AppendCString(smpp.TagMessageClass, "otp")
	return m
}
