package test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/iys/iysapi"
	"izinli/iys/iystest"
	"izinli/test/stage"
)

// A person who had refused agrees over ViA: İYS writes to her, she reads the code out, and from then on messages go. What İYS stored is its
// own to prove.
func TestConsentOverViA(t *testing.T) {
	s := stage.New(t)
	s.Run()
	ctx, brand, number := desk.WithActor(context.Background(), "test"), s.Seeds.Brand, "+905321999001"
	campaign := func() stage.Body {
		return stage.Body{"class": "commercial", "brand": brand, "from": s.Seeds.Sender, "text": "Kış indirimi başladı.", "to": []string{number}}
	}
	if _, err := s.Server.Admin.OptOut(ctx, gateway.OptOut{Account: s.Seeds.Account, Brand: brand, Channel: gateway.ChannelSMS, Address: number, At: time.Now().Add(-time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if got := s.API.Send(campaign()).Messages[0].Code; got != gateway.CodeBlocked {
		t.Fatalf("before: %s, want blocked", got)
	}
	in := desk.ViaInput{Brand: brand, Form: iystest.SeedForm, Address: "0532 199 90 01"}
	v, err := s.Server.Admin.StartVia(ctx, in)
	if err != nil || v.Request == "" || v.Address != number || v.By != "test" {
		t.Fatalf("start: %+v %v", v, err)
	}
	answer := desk.ViaAnswer{Account: v.Account, ID: v.ID, Code: "0000000"}
	if _, err := s.Server.Admin.CompleteVia(ctx, answer); err == nil || !strings.Contains(err.Error(), "H1052") {
		t.Errorf("a wrong code: %v", err)
	}
	if st, err := s.Server.Admin.ViaState(ctx, desk.ViaQuery{Account: v.Account, ID: v.ID}); err != nil || st.Status != "OTP_CODE_INCORRECT" || !st.Ended.IsZero() {
		t.Errorf("after it: %+v %v", st, err)
	}
	if got := s.API.Send(campaign()).Messages[0].Code; got != gateway.CodeBlocked {
		t.Errorf("without an answer: %s, want blocked", got)
	}
	// İYS knows seconds: within the one in which it said that there is no consent, doubt would be a refusal.
	asked := time.Now().Unix()
	stage.Until(t, "the next second", func() error {
		if now := time.Now().Unix(); now <= asked {
			return fmt.Errorf("it is %d", now)
		}
		return nil
	})
	answer.Code = s.IYS.ViaCode(v.Request)
	done, err := s.Server.Admin.CompleteVia(ctx, answer)
	if err != nil || done.Status != "SUCCESS" || len(done.Consents) != 1 || done.Ended.IsZero() {
		t.Fatalf("complete: %+v %v", done, err)
	}
	if got := s.API.Send(campaign()).Messages[0]; got.Code != "" {
		t.Errorf("after the answer: %s, want it sent", got.Code)
	}
	look, err := s.Server.Admin.LookupConsent(ctx, desk.ConsentQuery{Account: s.Seeds.Account, Brand: brand, Channel: gateway.ChannelSMS, Address: number})
	if err != nil || look.Status != "ONAY" || look.Source != "IYS_KISAMESAJ" || look.TransactionID != done.Consents[0].TransactionID || look.Blocked {
		t.Errorf("the consent: %+v %v", look, err)
	}
	if _, err := s.Server.Admin.CompleteVia(ctx, answer); code(err) != gateway.CodeConflict {
		t.Errorf("once more: %v", err)
	}
	p, err := s.Server.Admin.ViaProof(ctx, desk.ViaQuery{Account: v.Account, ID: v.ID})
	if err != nil || !bytes.HasPrefix(p.Zip, []byte("PK")) {
		t.Errorf("proof: %v", err)
	}
	list, err := s.Server.Admin.ListVia(ctx, desk.Query{Account: v.Account})
	if err != nil || len(list) != 1 || list[0].ID != v.ID || list[0].Status != "SUCCESS" {
		t.Errorf("list: %+v %v", list, err)
	}
}

func code(err error) gateway.Code {
	if e, ok := errors.AsType[*gateway.Error](err); ok {
		return e.Code
	}
	return ""
}

// Over a link the person answers alone; asking how it stands brings the consent into force without waiting for the pull. Texts of personal
// data have a code and an answer of their own.
func TestViaByLinkAndPrivacy(t *testing.T) {
	s := stage.New(t)
	s.Run()
	ctx, brand := desk.WithActor(context.Background(), "test"), s.Seeds.Brand
	v, err := s.Server.Admin.StartVia(ctx, desk.ViaInput{Brand: brand, Form: iystest.SeedForm, Address: "ayse@example.com", Verification: iysapi.ViaEmailLink})
	if err != nil {
		t.Fatal(err)
	}
	q := desk.ViaQuery{Account: v.Account, ID: v.ID}
	if _, err := s.Server.Admin.CompleteVia(ctx, desk.ViaAnswer{Account: v.Account, ID: v.ID, Code: "123456"}); code(err) != gateway.CodeConflict {
		t.Errorf("a code for a link: %v", err)
	}
	if st, err := s.Server.Admin.ViaState(ctx, q); err != nil || st.Status != "PENDING" {
		t.Errorf("before the click: %+v %v", st, err)
	}
	if !s.IYS.ViaClick(v.Request) {
		t.Fatal("no link")
	}
	if st, err := s.Server.Admin.ViaState(ctx, q); err != nil || st.Status != "SUCCESS" || len(st.Consents) != 1 || st.Consents[0].Channel != "EPOSTA" {
		t.Errorf("after the click: %+v %v", st, err)
	}
	if look, err := s.Server.Admin.LookupConsent(ctx, desk.ConsentQuery{Account: v.Account, Brand: brand, Channel: gateway.ChannelEmail, Address: v.Address}); err != nil || look.Source != "IYS_EPOSTA" {
		t.Errorf("the consent: %+v %v", look, err)
	}
	links, err := s.Server.Admin.RefusalLinks(ctx, desk.LinksInput{Brand: brand, Addresses: []string{"ayse@example.com", "nobody@example.com"}})
	if err != nil || len(links) != 2 || !strings.Contains(links[0].URL, "/RET/") || links[1].Code != "H568" {
		t.Errorf("refusal links: %+v %v", links, err)
	}

	number := "+905321999002"
	v, err = s.Server.Admin.StartVia(ctx, desk.ViaInput{Brand: brand, Form: iystest.SeedForm, Address: number, Texts: []string{iysapi.ViaExplicit}, Name: "Ad Soyad"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Server.Admin.CompleteVia(ctx, desk.ViaAnswer{Account: v.Account, ID: v.ID, PrivacyCode: s.IYS.ViaPrivacyCode(v.Request)}); err != nil {
		t.Errorf("personal data alone: %v", err)
	}
	answers, err := s.Server.Admin.PrivacyRequests(ctx, desk.PrivacyQuery{Brand: brand, Address: number, Text: iysapi.ViaExplicit})
	if err != nil || len(answers) != 1 || len(answers[0].Answers) != 1 || !answers[0].Answers[0].Given {
		t.Errorf("what was answered: %+v %v", answers, err)
	}
	look, err := s.Server.Admin.LookupConsent(ctx, desk.ConsentQuery{Account: v.Account, Brand: brand, Channel: gateway.ChannelSMS, Address: number})
	if err != nil || look.Status == "ONAY" {
		t.Errorf("personal data is no consent to messages: %+v %v", look, err)
	}
}

// What İYS would refuse, or nobody meant, is refused with a reason, and the question İYS refused stands in the list.
func TestViaBadInput(t *testing.T) {
	s := stage.New(t)
	s.Run()
	ctx, brand := desk.WithActor(context.Background(), "test"), s.Seeds.Brand
	good := desk.ViaInput{Brand: brand, Form: iystest.SeedForm, Address: "+905321999003"}
	for name, c := range map[string]struct {
		edit func(*desk.ViaInput)
		code gateway.Code
		text string
	}{
		"no brand":               {func(in *desk.ViaInput) { in.Brand = "1" }, gateway.CodeNotFound, "brand"},
		"no form":                {func(in *desk.ViaInput) { in.Form = "" }, gateway.CodeInvalid, "form"},
		"bad number":             {func(in *desk.ViaInput) { in.Address = "0532" }, gateway.CodeInvalid, "H121"},
		"bad mail":               {func(in *desk.ViaInput) { in.Address = "a@" }, gateway.CodeInvalid, "H120"},
		"mail by number":         {func(in *desk.ViaInput) { in.Channels = []string{"EPOSTA"} }, gateway.CodeInvalid, "MESAJ"},
		"way not of the address": {func(in *desk.ViaInput) { in.Verification = iysapi.ViaEmailCode }, gateway.CodeInvalid, "SMS_OTP"},
		"no such type":           {func(in *desk.ViaInput) { in.RecipientType = "KURUMSAL" }, gateway.CodeInvalid, "BIREYSEL"},
		"texts without a name":   {func(in *desk.ViaInput) { in.Texts = []string{iysapi.ViaNotice} }, gateway.CodeInvalid, "name"},
		"form not published":     {func(in *desk.ViaInput) { in.Form = "77" }, gateway.CodeInvalid, "H1000"},
	} {
		in := good
		c.edit(&in)
		if _, err := s.Server.Admin.StartVia(ctx, in); code(err) != c.code || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %s with %s", name, err, c.code, c.text)
		}
	}
	list, err := s.Server.Admin.ListVia(ctx, desk.Query{Account: s.Seeds.Account})
	if err != nil || len(list) != 1 || list[0].Stage != "REFUSED" || list[0].Status != "H1000" {
		t.Errorf("list: %+v %v", list, err)
	}
	if _, err := s.Server.Admin.ViaState(ctx, desk.ViaQuery{Account: s.Seeds.Account, ID: "zzz"}); code(err) != gateway.CodeNotFound {
		t.Errorf("a question there is not: %v", err)
	}
	other := s.Seeds.Account + 1
	if _, err := s.Server.Admin.ViaState(ctx, desk.ViaQuery{Account: other, ID: list[0].ID}); code(err) != gateway.CodeNotFound {
		t.Errorf("another account's question: %v", err)
	}
}
