package test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"izinli/cmd/assembly"
	"izinli/configs"
	"izinli/gateway/public"
	"izinli/iys"
	"izinli/iys/iystest"
	"izinli/test/stage"
)

// TestPushFromIYS: behind a proxy that speaks TLS, İYS registers our receiver and pushes what people do there. A refusal is in force
// when its push is answered; repeats change nothing, strangers are not let in, and a line of nonsense does not sink the rest.
func TestPushFromIYS(t *testing.T) {
	t.Parallel()
	var door http.Handler
	proxy := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { door.ServeHTTP(w, r) }))
	t.Cleanup(proxy.Close)
	s := stage.New(t, func(_ *configs.Config, o *assembly.PlaygroundOptions) {
		o.IYS.Push = iystest.PushConfig{Transport: proxy.Client().Transport, Twice: true}
	})
	inside, err := url.Parse(s.Server.PublicURL())
	if err != nil {
		t.Fatal(err)
	}
	door = httputil.NewSingleHostReverseProxy(inside)
	const who, other = "+905331000055", "+905331000056"
	for _, n := range []string{who, other} {
		s.Consent(s.Seeds.Brand, "BIREYSEL", n, iys.StatusApproved)
	}
	s.Run()
	permitted := func(number string) error {
		if res := s.API.Send(stage.Body{"from": s.Seeds.Sender, "text": "Kampanya", "to": []string{number}, "dryRun": true}); res.Accepted != 1 {
			return fmt.Errorf("%+v", res)
		}
		return nil
	}
	for _, n := range []string{who, other} {
		stage.Until(t, n+" to be permitted", func() error { return permitted(n) })
	}
	address := proxy.URL + public.PushPath
	if _, err := s.Server.Pushes.Register(t.Context(), s.Seeds.Brand, iys.ChannelSMS, address); err != nil {
		t.Fatalf("İYS tries the receiver before it takes it: %v", err)
	}
	refusal := s.IYS.Citizen(s.Seeds.Brand, "MESAJ", "BIREYSEL", who, "RET", "IYS_MOBIL")
	if n := s.IYS.Push(t.Context()); n != 1 {
		t.Fatalf("%d movements were taken, want 1", n)
	}
	if v := lookup(s, who); !v.Blocked || v.Block.Source != "IYS_MOBIL" {
		t.Errorf("when the push was answered: %+v, want a block", v)
	}
	if res := s.API.Send(stage.Body{"from": s.Seeds.Sender, "text": "Kampanya", "to": []string{who}}); res.Dropped != 1 {
		t.Errorf("a campaign after the push: %+v, want it dropped", res)
	}
	history := len(lookup(s, who).History)
	s.IYS.Citizen(s.Seeds.Brand, "MESAJ", "BIREYSEL", other, "RET", "IYS_WEB")
	if n := s.IYS.Push(t.Context()); n != 1 { // with the repeat of each call
		t.Fatalf("%d movements were taken, want 1", n)
	}
	if v := lookup(s, who); len(v.History) != history {
		t.Errorf("pushes about somebody else left %d lines of history, want %d", len(v.History), history)
	}

	post := func(user, password string, body []byte) int {
		req, err := http.NewRequestWithContext(t.Context(), "POST", address, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if user != "" {
			req.SetBasicAuth(user, password)
		}
		resp, err := proxy.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	lift := refusal
	lift.Status = "ONAY"
	for user, password := range map[string]string{"": "", "izinli-" + s.Seeds.Brand + "-mesaj": "guessed"} {
		if status := post(user, password, iystest.PushBody(lift)); status != 401 {
			t.Errorf("a stranger as %q: %d, want 401", user, status)
		}
	}
	if v := lookup(s, who); !v.Blocked {
		t.Error("a stranger lifted a block")
	}
	user, password := s.IYS.PushCredentials(s.Seeds.Brand, "MESAJ")
	third := "+905331000057"
	body := strings.Replace(string(iystest.PushBody(iystest.Movement{IYSCode: s.Seeds.Brand, BrandCode: s.Seeds.Brand, Recipient: third,
		RecipientType: "BIREYSEL", Type: "MESAJ", Status: "RET", Source: "IYS_WEB", ConsentDate: refusal.ConsentDate, CreationDate: refusal.CreationDate})),
		`[`, `[{"brandCode":{}},null,`, 1)
	if status := post(user, password, []byte(body)); status != 200 {
		t.Errorf("a push with nonsense in it: %d, want 200", status)
	}
	if v := lookup(s, third); !v.Blocked {
		t.Errorf("the refusal beside the nonsense: %+v, want a block", v)
	}
	if status := post(user, password, []byte("nonsense")); status != 400 {
		t.Errorf("nothing but nonsense: %d, want 400", status)
	}
}
