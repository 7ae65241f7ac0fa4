package iystest

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Whoever sits beside a running simulator can do to it what a test does.
func TestControl(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.AllowControl = true })
	order := func(method, path, body string, want int) string {
		t.Helper()
		status, b := w.call(method, "/_sim/"+path, body)
		if status != want {
			t.Errorf("%s %s %s: got %d %s, want %d", method, path, body, status, b, want)
		}
		return string(b)
	}
	state := func() (st controlStatus) {
		t.Helper()
		if err := json.Unmarshal([]byte(order("GET", "state", "", 200)), &st); err != nil {
			t.Fatal(err)
		}
		return st
	}
	changes := func() (int, string) {
		status, b := w.call("GET", brandPath+"/consents/changes", "")
		return status, codes(b)
	}

	// A person acts; an hour and a half later İYS lists it, and the token is good still.
	order("POST", "citizen", `{"brandCode":"100001","type":"MESAJ","recipient":"+905321234567","status":"ONAY"}`, 200)
	if status, _ := changes(); status != 204 {
		t.Errorf("at once: got %d, want 204", status)
	}
	order("POST", "clock", `{"advance":"90m"}`, 200)
	if status, _ := changes(); status != 200 {
		t.Errorf("90 minutes on: got %d, want 200", status)
	}
	if st := state(); !st.Now.Equal(start.Add(90*time.Minute)) || st.Consents != 1 || st.Movements != 1 {
		t.Errorf("state %+v", st)
	}
	order("POST", "clock", `{"advance":"31m"}`, 200) // the token ends
	if _, code := changes(); code != "H351" {
		t.Errorf("two hours on: got %s, want H351", code)
	}
	w.login(SeedPartner)
	order("POST", "tokens/revoke", "", 204)
	if _, code := changes(); code != "H351" {
		t.Errorf("revoked: got %s, want H351", code)
	}
	w.login(SeedPartner)

	order("POST", "faults", `{"operation":"changes","status":500,"code":"H103","times":2,"skip":1}`, 204)
	order("POST", "faults", `{"operation":"brands","dropAfter":true,"times":-1}`, 204)
	if st := state(); st.Faults != -1 {
		t.Errorf("faults %d, want some without end", st.Faults)
	}
	for i, want := range []string{"", "H103", "H103", ""} {
		if _, code := changes(); code != want {
			t.Errorf("call %d: got %q, want %q", i+1, code, want)
		}
	}
	if status, _ := w.call("GET", "/sps/100001/brands", ""); status != 0 {
		t.Errorf("dropped: got %d", status)
	}
	order("DELETE", "faults", "", 204)
	if status, _ := w.call("GET", "/sps/100001/brands", ""); status != 200 || state().Faults != 0 {
		t.Errorf("after the faults: got %d", status)
	}

	order("POST", "down", `{"down":true}`, 204)
	if status, _ := changes(); status != 0 || !state().Down {
		t.Errorf("down: got %d", status)
	}
	order("POST", "down", `{"down":false}`, 204)
	order("POST", "limits", `{"perSecond":1}`, 204)
	changes()
	if _, code := changes(); code != "H124" {
		t.Errorf("limited: got %q, want H124", code)
	}
	order("POST", "limits", `{"perSecond":-1}`, 204)
	order("POST", "oddities", `{"codeColon":true}`, 204)
	if _, b := w.call("GET", "/sps/100001/brands/200001/consents/changes", ""); !strings.Contains(string(b), `"code:"`) {
		t.Errorf("odd: got %s", b)
	}
	order("POST", "oddities", `{}`, 204)
	order("POST", "subscription", `{"iysCode":"100001","state":"PAUSED"}`, 204)
	if _, code := changes(); code != "H520" {
		t.Errorf("paused: got %q, want H520", code)
	}
	order("POST", "subscription", `{"iysCode":"100001","state":"ACTIVE"}`, 204)
	order("POST", "pushes/drop", "", 204)
	if q := state(); q.Quality <= 0 || q.Quality >= 1 || q.Failures == 0 || q.Throttled != 1 {
		t.Errorf("quality %+v", q)
	}

	for path, bodies := range map[string][]string{
		"clock":        {`{}`, `{"advance":"-1h"}`, `{"advance":3}`, `x`, `{"forward":"1h"}`},
		"faults":       {`{}`, `{"status":99}`, `{"delay":"x"}`, `{"drop":true,"skip":-1}`},
		"oddities":     {`{"noSuch":true}`},
		"subscription": {`{"iysCode":"1","state":"ACTIVE"}`, `{"iysCode":"100001","state":"GONE"}`},
		"citizen":      {`{}`, `{"brandCode":"100001","type":"FAX","recipient":"x","status":"ONAY"}`},
	} {
		for _, body := range bodies {
			order("POST", path, body, 400)
		}
	}

	quiet := newWorld(t, nil)
	if status, _ := quiet.call("POST", "/_sim/clock", `{"advance":"1h"}`); status != http.StatusNotFound {
		t.Errorf("without control: got %d, want 404", status)
	}
}
