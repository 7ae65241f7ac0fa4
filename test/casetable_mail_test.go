package test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/test/stage"
)

// The same table for mail over SMTP: what the law says of a person's consent does not depend on the door or the channel. A credential of
// every class hears of it at the end of the data, one of a single class at RCPT.
func TestCaseTableMail(t *testing.T) {
	for _, weather := range []string{fair, stale, down} {
		t.Run(weather, func(t *testing.T) {
			t.Parallel()
			w := newMailWorld(t, weather)
			for i, c := range caseTable {
				if c.weather != weather {
					continue
				}
				for d, door := range []string{atData, atRCPT} {
					addr := fmt.Sprintf("kisi%d@musteri%d.example", i, d)
					w.meet(c.person, c.brand, addr)
					w.cases = append(w.cases, placed{i, door, addr})
				}
			}
			w.playMail(t)
		})
	}
}

// Where over SMTP a recipient is refused.
const (
	atData = "DATA"
	atRCPT = "RCPT"
)

// mailWorld is a world whose brands send mail.
type mailWorld struct {
	*world
	all  *desk.Issued            // may send every class
	ones map[string]*desk.Issued // may send one class to one recipient type
}

func newMailWorld(t *testing.T, weather string) *mailWorld {
	w := &mailWorld{world: newWorld(t, weather)}
	w.channel, w.wire = "email", "EPOSTA"
	ctx, a := t.Context(), w.Server.Admin
	w.sender = map[string]string{partner: w.Seeds.Mail.Domain, ahs: w.Seeds.Mail.OtherDomain, selfManaged: "kendi.example", exempt: "vakif.example"}
	for _, mode := range []string{selfManaged, exempt} {
		b := *w.Store.Directory().Brands[w.code[mode]]
		b.Email, b.Contact = b.SMS, "0850 000 00 00"
		_, err := a.PutBrand(ctx, b)
		if err == nil {
			_, err = a.PutSender(ctx, gateway.Sender{Name: w.sender[mode], Account: w.Seeds.Account, Channel: "email", Brand: b.Code, Approved: true})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	issue := func(c gateway.Credential) *desk.Issued {
		c.Kind, c.Account = gateway.KindSMTP, w.Seeds.Account
		if c.Allows(gateway.ClassTransactional) {
			c.Reason = "order"
		}
		is, err := a.CreateCredential(ctx, desk.NewCredential{Credential: c})
		if err != nil {
			t.Fatal(err)
		}
		return &is
	}
	w.all = issue(gateway.Credential{ID: "hersey@ornek", Classes: []string{gateway.ClassCommercial, gateway.ClassTransactional, gateway.ClassOTP}})
	w.ones = map[string]*desk.Issued{}
	for i, c := range caseTable {
		if k := c.class + c.rtype; w.ones[k] == nil {
			w.ones[k] = issue(gateway.Credential{ID: fmt.Sprintf("tek%d@ornek", i), Classes: []string{c.class}, RecipientType: c.rtype})
		}
	}
	return w
}

func (w *mailWorld) playMail(t *testing.T) {
	w.Run()
	stage.Until(t, "the first pull of mail consents", func() error {
		if w.Server.Mirror.PulledAt(w.Seeds.Brand, "EPOSTA").IsZero() {
			return fmt.Errorf("not pulled")
		}
		return nil
	})
	for _, act := range w.later {
		act()
	}
	w.weatherSets(t)
	answers := make([]stage.MailOutcome, len(w.cases))
	submit := func(early bool) (n int) {
		for i, p := range w.cases {
			c := caseTable[p.index]
			if early != (p.door == atRCPT && c.state == gateway.StateDropped) {
				continue
			}
			user := w.all
			if p.door == atRCPT {
				user = w.ones[c.class+c.rtype]
			}
			from := "bulten@" + w.sender[c.brand]
			raw := strings.NewReplacer("<bulten@bulten.ornek.example>", "<"+from+">", "X-Message-Class: commercial",
				"X-Message-Class: "+c.class+"\nX-IYS-Recipient-Type: "+c.rtype).Replace(mailText)
			answers[i] = w.SubmitMail(user.Credential.ID, user.Secret, from, []string{p.number}, raw)
			n++
		}
		return n
	}
	// Who is refused at RCPT leaves a decision and no message; nothing else decides meanwhile.
	before := w.Decided()
	if n := submit(true); w.Decided() != before+n {
		t.Errorf("%d refusals at RCPT left %d decisions", n, w.Decided()-before)
	}
	submit(false)
	for i, p := range w.cases {
		c := caseTable[p.index]
		t.Run(c.name+"/"+p.door, func(t *testing.T) {
			if !w.answered(t, p, answers[i]) {
				return
			}
			state := c.state
			if state == gateway.StateDelivered {
				state = gateway.StateSent
			}
			id := w.find(t, p.number)
			if m := w.On(t).Await(id, state); m.Code != c.code {
				t.Errorf("code %q, want %q", m.Code, c.code)
			}
			w.checkDecisions(t, id, c.verdict, c.rule, c.where)
			want := 0
			if state == gateway.StateSent {
				want = 1
			}
			if got := len(w.Mails(p.number)); got != want {
				t.Errorf("%d mails came, want %d", got, want)
			}
		})
	}
}

// answered holds what the door said against the table, and reports whether there is a message.
func (w *mailWorld) answered(t *testing.T, p placed, got stage.MailOutcome) bool {
	t.Helper()
	c := caseTable[p.index]
	if c.state != gateway.StateDropped {
		if got.Err != nil || len(got.Refused) > 0 {
			t.Fatalf("the door answered %v, at RCPT %v", got.Err, got.Refused)
		}
		return true
	}
	e, want := got.Err, 554
	if p.door == atRCPT {
		e, want = got.Refused[p.number], 550
	}
	if e == nil || e.Code != want || e.EnhancedCode != [3]int{5, 7, 1} || !strings.Contains(e.Message, string(c.code)) {
		t.Errorf("the door answered %v, want %d 5.7.1 with %s", e, want, c.code)
	}
	if p.door == atData {
		return true
	}
	if ids := w.messagesTo(p.number); len(ids) > 0 {
		t.Errorf("there is message %v", ids)
	}
	if n := len(w.Mails(p.number)); n > 0 {
		t.Errorf("%d mails came", n)
	}
	return false
}

// find looks a message up by its address, as a customer would.
func (w *mailWorld) find(t *testing.T, addr string) gateway.MessageID {
	t.Helper()
	ids := w.messagesTo(addr)
	if len(ids) != 1 {
		t.Fatalf("%d messages to %s, want 1", len(ids), addr)
	}
	return ids[0]
}

func (w *mailWorld) messagesTo(addr string) (ids []gateway.MessageID) {
	var page struct {
		Items []struct {
			ID gateway.MessageID `json:"id"`
		} `json:"items"`
	}
	w.API.Must(http.StatusOK, "GET", "/v1/messages?to="+url.QueryEscape(addr), nil, &page)
	for _, m := range page.Items {
		ids = append(ids, m.ID)
	}
	return ids
}
