package test

import (
	"fmt"
	"strings"
	"testing"

	"izinli/gateway"
	"izinli/test/stage"
)

// Where the account wants it, a commercial mail of either door is answered to its return path: RET there blocks and goes to İYS, a
// question comes back to who asked, a machine's answer is taken, and mail with a Reply-To of its own keeps that.
func TestReplyRefuses(t *testing.T) {
	s := mailStage(t, nil, "api@example.com", "smtp@example.com", "kendi@example.com")
	acct := *s.Store.Directory().Accounts[s.Seeds.Account]
	acct.Policy.RefusalReplies = true
	if _, err := s.Server.Admin.PutAccount(t.Context(), acct); err != nil {
		t.Fatal(err)
	}
	s.API.Send(newsletter(s, "api@example.com"))
	s.API.Send(newsletter(s, "kendi@example.com").With(stage.Body{"replyTo": "musteri@" + s.Seeds.Mail.Domain}))
	if out := s.SubmitMail(s.Seeds.Mail.User, s.Seeds.Mail.Password, "bulten@"+s.Seeds.Mail.Domain, []string{"smtp@example.com"}, mailText); out.Err != nil || len(out.Refused) > 0 {
		t.Fatalf("the mail was answered %+v", out)
	}
	if _, h := s.AwaitMail("kendi@example.com", 1); !strings.Contains(h.Header.Get("Reply-To"), "musteri@"+s.Seeds.Mail.Domain) || len(h.Header["Reply-To"]) != 1 {
		t.Errorf("its own Reply-To became %q", h.Header["Reply-To"])
	}
	for _, who := range []string{"api@example.com", "smtp@example.com"} {
		m, h := s.AwaitMail(who, 1)
		to := strings.Trim(h.Header.Get("Reply-To"), "<>")
		if to != m.From || len(h.Header["Reply-To"]) != 1 || !strings.Contains(strings.ToLower(h.Header.Get("DKIM-Signature")), "reply-to:reply-to") {
			t.Fatalf("%s is to answer to %q, signed as %q; the return path is %s", who, h.Header["Reply-To"], h.Header.Get("DKIM-Signature"), m.From)
		}
		ask := s.RelayMail(who, []string{to}, "From: "+who+"\nSubject: Re: Haber\n\nSiparişim nerede?\n")
		if ask.Err == nil || ask.Err.Code != 550 || ask.Err.EnhancedCode != [3]int{5, 7, 1} || !strings.Contains(ask.Err.Message, "write to bulten@"+s.Seeds.Mail.Domain) {
			t.Errorf("%s: a question was answered %+v", who, ask)
		}
		for _, c := range [][2]string{{who, "Auto-Submitted: auto-replied\n"}, {"", ""}} {
			if out := s.RelayMail(c[0], []string{to}, "From: "+who+"\nSubject: Yokum\n"+c[1]+"\nOfiste değilim.\n"); out.Err != nil || len(out.Refused) > 0 {
				t.Errorf("%s: a machine's answer from <%s> was answered %+v", who, c[0], out)
			}
		}
		if got := s.API.Send(newsletter(s, who)).Messages[0].Code; got != "" {
			t.Errorf("%s before the refusal: %s", who, got)
		}
		if out := s.RelayMail(who, []string{to}, "From: "+who+"\nSubject: Re: Haber\n\nRET\n\nOn Sun, Ornek <b@ornek.example> wrote:\n> kampanya\n"); out.Err != nil || len(out.Refused) > 0 {
			t.Fatalf("%s: RET was answered %+v", who, out)
		}
		var v gateway.ConsentView
		s.API.Must(200, "GET", "/v1/consents/EPOSTA/"+who+"?brand="+s.Seeds.Brand, nil, &v)
		if !v.Blocked || v.Block == nil || v.Block.Source != "HS_EPOSTA" {
			t.Errorf("%s: %+v, want a block of source HS_EPOSTA", who, v)
		}
		if got := s.API.Send(newsletter(s, who)).Messages[0].Code; got != gateway.CodeBlocked {
			t.Errorf("%s after the refusal: %s", who, got)
		}
		stage.Until(t, "the RET of "+who+" at İYS, through the outbox", func() error {
			if x, ok := s.IYS.Stored(s.Seeds.Brand, "EPOSTA", "BIREYSEL", who); !ok || x.Status != "RET" || x.Source != "HS_EPOSTA" {
				return fmt.Errorf("it says %+v", x)
			}
			return nil
		})
	}
}

// Without the policy the mail leaves without a Reply-To, as it always did.
func TestReplyToIsOffByDefault(t *testing.T) {
	s := mailStage(t, nil, "bir@example.com")
	s.API.Send(newsletter(s, "bir@example.com"))
	if _, h := s.AwaitMail("bir@example.com", 1); len(h.Header["Reply-To"]) != 0 {
		t.Errorf("Reply-To %q", h.Header["Reply-To"])
	}
}
