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

// The same table for mail over SMTP: what the law says of a person's consent does not depend on the door or the channel.
func TestCaseTableMail(t *testing.T) {
	for _, weather := range []string{fair, stale, down} {
		t.Run(weather, func(t *testing.T) {
			t.Parallel()
			w := newMailWorld(t, weather)
			for i, c := range caseTable {
				if c.weather != weather {
					continue
				}
				addr := fmt.Sprintf("kisi%d@musteri.example", i)
				w.meet(c.person, c.brand, addr)
				w.cases = append(w.cases, placed{i, "SMTP", addr})
			}
			w.playMail(t)
		})
	}
}

// mailWorld is a world whose brands send mail, and a user who may send every class.
type mailWorld struct {
	*world
	user, password string
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
	is, err := a.CreateCredential(ctx, desk.NewCredential{Credential: gateway.Credential{ID: "hersey@ornek", Kind: gateway.KindSMTP, Account: w.Seeds.Account,
		Classes: []string{gateway.ClassCommercial, gateway.ClassTransactional, gateway.ClassOTP}, Reason: "order"}})
	if err != nil {
		t.Fatal(err)
	}
	w.user, w.password = is.Credential.ID, is.Secret
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
	for i, p := range w.cases {
		c := caseTable[p.index]
		from := "bulten@" + w.sender[c.brand]
		raw := strings.NewReplacer("<bulten@bulten.ornek.example>", "<"+from+">", "X-Message-Class: commercial",
			"X-Message-Class: "+c.class+"\nX-IYS-Recipient-Type: "+c.rtype).Replace(mailText)
		answers[i] = w.SubmitMail(w.user, w.password, from, []string{p.number}, raw)
	}
	for i, p := range w.cases {
		c := caseTable[p.index]
		t.Run(c.name, func(t *testing.T) {
			if c.state == gateway.StateDropped {
				if e := answers[i].Err; e == nil || e.Code != 554 || e.EnhancedCode != [3]int{5, 7, 1} || !strings.Contains(e.Message, string(c.code)) {
					t.Errorf("the door answered %v, want 554 5.7.1 with %s", answers[i].Err, c.code)
				}
			} else if answers[i].Err != nil {
				t.Fatalf("the door answered %v", answers[i].Err)
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

// find looks a message up by its address, as a customer would.
func (w *mailWorld) find(t *testing.T, addr string) gateway.MessageID {
	t.Helper()
	var page struct {
		Items []struct {
			ID gateway.MessageID `json:"id"`
		} `json:"items"`
	}
	w.API.Must(http.StatusOK, "GET", "/v1/messages?to="+url.QueryEscape(addr), nil, &page)
	if len(page.Items) != 1 {
		t.Fatalf("%d messages to %s, want 1", len(page.Items), addr)
	}
	return page.Items[0].ID
}
