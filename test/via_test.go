package test

import (
	"bytes"
	"context"
	"encoding/json"
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
	in := gateway.ViaInput{Brand: brand, Form: iystest.SeedForm, Address: "0532 199 90 01"}
	v, err := s.Server.Admin.StartVia(ctx, in)
	if err != nil || v.Request == "" || v.Address != number || v.By != "test" {
		t.Fatalf("start: %+v %v", v, err)
	}
	answer := gateway.ViaAnswer{Account: v.Account, ID: v.ID, Code: "0000000"}
	if _, err := s.Server.Admin.CompleteVia(ctx, answer); err == nil || !strings.Contains(err.Error(), "H1052") {
		t.Errorf("a wrong code: %v", err)
	}
	if st, err := s.Server.Admin.ViaState(ctx, gateway.ViaQuery{Account: v.Account, ID: v.ID}); err != nil || st.Status != "OTP_CODE_INCORRECT" || !st.Ended.IsZero() {
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
	p, err := s.Server.Admin.ViaProof(ctx, gateway.ViaQuery{Account: v.Account, ID: v.ID})
	if err != nil || !bytes.HasPrefix(p.Zip, []byte("PK")) {
		t.Errorf("proof: %v", err)
	}
	list, err := s.Server.Admin.ListVia(ctx, desk.ListQuery{Account: v.Account})
	if err != nil || len(list.Items) != 1 || list.Items[0].ID != v.ID || list.Items[0].State() != gateway.ViaGiven {
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
	v, err := s.Server.Admin.StartVia(ctx, gateway.ViaInput{Brand: brand, Form: iystest.SeedForm, Address: "ayse@example.com", Verification: iysapi.ViaEmailLink})
	if err != nil {
		t.Fatal(err)
	}
	q := gateway.ViaQuery{Account: v.Account, ID: v.ID}
	if _, err := s.Server.Admin.CompleteVia(ctx, gateway.ViaAnswer{Account: v.Account, ID: v.ID, Code: "123456"}); code(err) != gateway.CodeConflict {
		t.Errorf("a code for a link: %v", err)
	}
	standing := func(status string) (st gateway.ViaOperation) {
		stage.Until(t, "the question to be "+status, func() (err error) { // İYS is asked once a second at most
			if st, err = s.Server.Admin.ViaState(ctx, q); err == nil && st.Status != status {
				err = fmt.Errorf("it is %s", st.Status)
			}
			return err
		})
		return st
	}
	standing("PENDING")
	if !s.IYS.ViaClick(v.Request) {
		t.Fatal("no link")
	}
	if st := standing("SUCCESS"); len(st.Consents) != 1 || st.Consents[0].Channel != "EPOSTA" || st.State() != gateway.ViaGiven {
		t.Errorf("after the click: %+v", st)
	}
	if look, err := s.Server.Admin.LookupConsent(ctx, desk.ConsentQuery{Account: v.Account, Brand: brand, Channel: gateway.ChannelEmail, Address: v.Address}); err != nil || look.Source != "IYS_EPOSTA" {
		t.Errorf("the consent: %+v %v", look, err)
	}
	links, err := s.Server.Admin.RefusalLinks(ctx, desk.LinksInput{Brand: brand, Addresses: []string{"ayse@example.com", "nobody@example.com"}})
	if err != nil || len(links) != 2 || !strings.Contains(links[0].URL, "/RET/") || links[1].Code != "H568" {
		t.Errorf("refusal links: %+v %v", links, err)
	}

	number := "+905321999002"
	v, err = s.Server.Admin.StartVia(ctx, gateway.ViaInput{Brand: brand, Form: iystest.SeedForm, Address: number, Texts: []string{iysapi.ViaExplicit}, Name: "Ad Soyad"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Server.Admin.CompleteVia(ctx, gateway.ViaAnswer{Account: v.Account, ID: v.ID, PrivacyCode: s.IYS.ViaPrivacyCode(v.Request)}); err != nil {
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
	good := gateway.ViaInput{Brand: brand, Form: iystest.SeedForm, Address: "+905321999003"}
	for name, c := range map[string]struct {
		edit func(*gateway.ViaInput)
		code gateway.Code
		text string
	}{
		"no brand":               {func(in *gateway.ViaInput) { in.Brand = "1" }, gateway.CodeNotFound, "brand"},
		"no form":                {func(in *gateway.ViaInput) { in.Form = "" }, gateway.CodeInvalid, "form"},
		"bad number":             {func(in *gateway.ViaInput) { in.Address = "0532" }, gateway.CodeInvalid, "H121"},
		"bad mail":               {func(in *gateway.ViaInput) { in.Address = "a@" }, gateway.CodeInvalid, "H120"},
		"mail by number":         {func(in *gateway.ViaInput) { in.Channels = []string{"EPOSTA"} }, gateway.CodeInvalid, "MESAJ"},
		"way not of the address": {func(in *gateway.ViaInput) { in.Verification = iysapi.ViaEmailCode }, gateway.CodeInvalid, "SMS_OTP"},
		"no such type":           {func(in *gateway.ViaInput) { in.RecipientType = "KURUMSAL" }, gateway.CodeInvalid, "BIREYSEL"},
		"another's brand":        {func(in *gateway.ViaInput) { in.Account = s.Seeds.Account + 1 }, gateway.CodeBrand, "brand"},
		"no such text":           {func(in *gateway.ViaInput) { in.Texts, in.Name = []string{"KVKK"}, "Ad Soyad" }, gateway.CodeInvalid, "ACIK_RIZA_METNI"},
		"texts without a name":   {func(in *gateway.ViaInput) { in.Texts = []string{iysapi.ViaNotice} }, gateway.CodeInvalid, "name"},
		"form not published":     {func(in *gateway.ViaInput) { in.Form = "77" }, gateway.CodeInvalid, "H1000"},
	} {
		in := good
		c.edit(&in)
		if _, err := s.Server.Admin.StartVia(ctx, in); code(err) != c.code || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %s with %s", name, err, c.code, c.text)
		}
	}
	list, err := s.Server.Admin.ListVia(ctx, desk.ListQuery{Account: s.Seeds.Account})
	if err != nil || len(list.Items) != 1 || list.Items[0].Stage != "REFUSED" || list.Items[0].Status != "H1000" || list.Items[0].State() != gateway.ViaFailed {
		t.Errorf("list: %+v %v", list, err)
	}
	if _, err := s.Server.Admin.ViaState(ctx, gateway.ViaQuery{Account: s.Seeds.Account, ID: "zzz"}); code(err) != gateway.CodeNotFound {
		t.Errorf("a question there is not: %v", err)
	}
	other := s.Seeds.Account + 1
	if _, err := s.Server.Admin.ViaState(ctx, gateway.ViaQuery{Account: other, ID: list.Items[0].ID}); code(err) != gateway.CodeNotFound {
		t.Errorf("another account's question: %v", err)
	}
}

// A customer's own program puts the question over HTTP and types the code in; the trail names its key, another account sees nothing.
func TestViaOverHTTP(t *testing.T) {
	s := stage.New(t)
	theirs := neighbour(t, s)
	s.Run()
	mine, foreign := s.API, stage.NewAPI(t, s.Server.Addrs["api"], theirs.key)
	type question struct {
		ID, Brand, Address, State, Status, Request string
		Consents                                   []gateway.ViaConsent
	}
	body := stage.Body{"brand": s.Seeds.Brand, "form": iystest.SeedForm, "address": "0532 199 90 04"}
	var v, now question
	mine.Must(202, "POST", "/v1/via", body, &v)
	if v.State != "waiting" || v.Address != "+905321999004" || v.Brand != s.Seeds.Brand || v.Request == "" {
		t.Fatalf("start: %+v", v)
	}
	path := "/v1/via/" + v.ID
	if ans := mine.Call("POST", path+"/complete", stage.Body{"code": "0000000"}); ans.Status != 400 || ans.Code() != gateway.CodeInvalid || !strings.Contains(string(ans.Body), "H1052") ||
		!strings.Contains(string(ans.Body), `"field":"code"`) {
		t.Errorf("a wrong code: %d %s", ans.Status, ans.Body)
	}
	mine.Must(200, "GET", path, nil, &now)
	if now.State != "waiting" || now.Status != "OTP_CODE_INCORRECT" {
		t.Errorf("after it: %+v", now)
	}
	for _, c := range []struct {
		method, path string
		body         any
		status       int
	}{
		{"GET", path, nil, 404}, {"POST", path + "/complete", stage.Body{"code": s.IYS.ViaCode(v.Request)}, 404}, {"GET", path + "/proof", nil, 404},
		{"POST", "/v1/via", body, 422},
	} {
		if ans := foreign.Call(c.method, c.path, c.body); ans.Status != c.status {
			t.Errorf("another account, %s %s: %d %s, want %d", c.method, c.path, ans.Status, ans.Body, c.status)
		}
	}
	if ans := mine.Call("GET", path+"/proof", nil); ans.Status != 400 || !strings.Contains(string(ans.Body), "H1072") {
		t.Errorf("proof of what was not answered: %d %s", ans.Status, ans.Body)
	}
	var done question
	mine.Must(200, "POST", path+"/complete", stage.Body{"code": s.IYS.ViaCode(v.Request)}, &done)
	if done.State != "given" || len(done.Consents) != 1 || done.Consents[0].Channel != "MESAJ" || done.Consents[0].TransactionID == "" {
		t.Errorf("complete: %+v", done)
	}
	if ans := mine.Call("POST", path+"/complete", stage.Body{"code": "123456"}); ans.Status != 409 || ans.Code() != gateway.CodeConflict {
		t.Errorf("once more: %d %s", ans.Status, ans.Body)
	}
	var c gateway.ConsentView
	mine.Must(200, "GET", "/v1/consents/sms/+905321999004?brand="+s.Seeds.Brand, nil, &c)
	if c.Status != "ONAY" || c.Source != "IYS_KISAMESAJ" || c.TransactionID != done.Consents[0].TransactionID {
		t.Errorf("the consent: %+v", c)
	}
	if ans := mine.Call("GET", path+"/proof", nil); ans.Status != 200 || !bytes.HasPrefix(ans.Body, []byte("PK")) {
		t.Errorf("proof: %d %.80s", ans.Status, ans.Body)
	}
	if ans := mine.Call("POST", "/v1/via", body.With(stage.Body{"form": "77"})); ans.Status != 400 || !strings.Contains(string(ans.Body), `"field":"form"`) {
		t.Errorf("a form not published: %d %s", ans.Status, ans.Body)
	}
	var page gateway.Page[question]
	mine.Must(200, "GET", "/v1/via?limit=1", nil, &page)
	if len(page.Items) != 1 || page.Items[0].State != "failed" || page.Items[0].Status != "H1000" || page.Next == "" {
		t.Fatalf("first page: %+v", page)
	}
	cursor := page.Next
	page = gateway.Page[question]{}
	mine.Must(200, "GET", "/v1/via?limit=1&cursor="+cursor, nil, &page)
	if len(page.Items) != 1 || page.Items[0].ID != v.ID || page.Next != "" {
		t.Errorf("second page: %+v", page)
	}
	page = gateway.Page[question]{}
	if foreign.Must(200, "GET", "/v1/via", nil, &page); len(page.Items) != 0 {
		t.Errorf("another account lists %+v", page.Items)
	}
	trail, err := s.Store.Audits(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	acts := map[string]int{}
	for _, raw := range trail.Items {
		var e desk.Entry
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(e.Who, "API key ") {
			acts[e.What]++
		}
		if strings.Contains(string(raw), "5321999004") {
			t.Errorf("the trail holds the address: %s", raw)
		}
	}
	if acts["StartVia"] != 1 || acts["CompleteVia"] != 1 || acts["ViaProof"] != 1 {
		t.Errorf("the trail names the key in %v", acts)
	}
}

// A question of which İYS's answer was lost in a crash ends by itself; one that is open is asked about once a second, however often
// somebody looks.
func TestViaIsAskedAboutWithMeasure(t *testing.T) {
	s := stage.New(t)
	s.Run()
	ctx, a := desk.WithActor(context.Background(), "test"), s.Seeds.Account
	lost := gateway.ViaOperation{Account: a, Brand: s.Seeds.Brand, Address: "+905321999005", Verification: iysapi.ViaSMSCode, Stage: "STARTING", Started: time.Now().Add(-10 * time.Minute)}
	if err := s.Store.PutVia(ctx, &lost); err != nil {
		t.Fatal(err)
	}
	q := gateway.ViaQuery{Account: a, ID: lost.ID}
	if v, err := s.Server.Admin.ViaState(ctx, q); err != nil || v.State() != gateway.ViaFailed || v.Status != "no_answer" {
		t.Errorf("what was lost: %+v %v", v, err)
	}
	if _, err := s.Server.Admin.CompleteVia(ctx, gateway.ViaAnswer{Account: a, ID: lost.ID, Code: "123456"}); code(err) != gateway.CodeConflict {
		t.Errorf("a code for it: %v", err)
	}
	if page, err := s.Server.Admin.ListVia(ctx, desk.ListQuery{Account: a}); err != nil || len(page.Items) != 1 || page.Items[0].State() != gateway.ViaFailed {
		t.Errorf("the list: %+v %v", page, err)
	}
	v, err := s.Server.Admin.StartVia(ctx, gateway.ViaInput{Brand: s.Seeds.Brand, Form: iystest.SeedForm, Address: "+905321999006"})
	if err != nil {
		t.Fatal(err)
	}
	calls := func() int { return s.IYS.Counters().ByOperation["via"] }
	before, began := calls(), time.Now()
	for range 200 {
		if _, err := s.Server.Admin.ViaState(ctx, gateway.ViaQuery{Account: a, ID: v.ID}); err != nil {
			t.Fatal(err)
		}
	}
	if most := 1 + int(time.Since(began)/time.Second); calls()-before > most {
		t.Errorf("200 looks cost İYS %d calls, want %d at most", calls()-before, most)
	}
}
