package customer

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/store"
)

func checkURL(u string) error {
	if !strings.HasPrefix(u, "https://") {
		return errors.New("the URL must start with https://")
	}
	return nil
}

func TestWebhookSecretIsShownOnce(t *testing.T) {
	st := openStore(t, t.TempDir())
	w := NewWebhooks(st, checkURL)
	if v, err := w.Webhook(ctx, 1); err != nil || v.URL != "" || v.Secret != "" {
		t.Errorf("none yet: %+v %v", v, err)
	}
	made, err := w.PutWebhook(ctx, 1, gateway.WebhookView{URL: " https://example.com/hook ", Events: []string{"inbound", "inbound", "credit.low"}})
	if err != nil {
		t.Fatal(err)
	}
	raw, ok := strings.CutPrefix(made.Secret, "whsec_")
	if b, err := base64.StdEncoding.DecodeString(raw); !ok || err != nil || len(b) != 32 {
		t.Errorf("the secret %q is not whsec_ and 32 octets", made.Secret)
	}
	if made.URL != "https://example.com/hook" || !slices.Equal(made.Events, []string{"inbound", "credit.low"}) {
		t.Errorf("stored as %+v", made)
	}
	if got, err := w.Webhook(ctx, 1); err != nil || got.Secret != "" || got.URL != made.URL {
		t.Errorf("read: %+v %v, want no secret", got, err)
	}
	again, err := w.PutWebhook(ctx, 1, gateway.WebhookView{URL: "https://example.com/other", Paused: true})
	if err != nil || again.Secret != "" || !again.Paused {
		t.Errorf("changed: %+v %v, want no secret", again, err)
	}
	if got := plain(t, st, 1); got != made.Secret {
		t.Errorf("a change of the address changed the secret: %q, want %q", got, made.Secret)
	}
	if sealed := string(st.Directory().Webhooks[1].Secret); strings.Contains(sealed, raw) {
		t.Error("the secret is stored in the open")
	}
	turned, err := w.Rotate(ctx, 1)
	if err != nil || turned.Secret == "" || turned.Secret == made.Secret || plain(t, st, 1) != turned.Secret {
		t.Errorf("rotated: %+v %v", turned, err)
	}
	own := strings.Repeat("s", 32)
	if v, err := w.PutWebhook(ctx, 1, gateway.WebhookView{URL: made.URL, Secret: own}); err != nil || v.Secret != "" || plain(t, st, 1) != own {
		t.Errorf("a given secret: %+v %v", v, err)
	}
	if _, err := w.PutWebhook(ctx, 1, gateway.WebhookView{}); err != nil || st.Directory().Webhooks[1] != nil {
		t.Errorf("an empty URL does not remove it: %v", err)
	}
	if v, err := w.PutWebhook(ctx, 1, gateway.WebhookView{URL: made.URL}); err != nil || v.Secret == "" || v.Secret == made.Secret {
		t.Errorf("set anew: %+v %v, want another secret", v, err)
	}
}

func plain(t *testing.T, st *store.Store, a gateway.AccountID) string {
	t.Helper()
	s, err := st.Unseal(st.Directory().Webhooks[a].Secret)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWebhookRefusals(t *testing.T) {
	st := openStore(t, t.TempDir())
	w := NewWebhooks(st, checkURL)
	for _, c := range []struct {
		why  string
		v    gateway.WebhookView
		code gateway.Code
	}{
		{"no TLS", gateway.WebhookView{URL: "http://example.com"}, gateway.CodeInvalid},
		{"no such event", gateway.WebhookView{URL: "https://example.com", Events: []string{"message.sent"}}, gateway.CodeInvalid},
		{"events without an address", gateway.WebhookView{Events: []string{"inbound"}}, gateway.CodeInvalid},
		{"a short secret", gateway.WebhookView{URL: "https://example.com", Secret: "short"}, gateway.CodeInvalid},
		{"a secret with a line end", gateway.WebhookView{URL: "https://example.com", Secret: strings.Repeat("s", 30) + "\n"}, gateway.CodeInvalid},
	} {
		if _, err := w.PutWebhook(ctx, 1, c.v); !refused(err, c.code) {
			t.Errorf("%s: got %v, want %s", c.why, err, c.code)
		}
	}
	if _, err := w.PutWebhook(ctx, 9, gateway.WebhookView{URL: "https://example.com"}); !refused(err, gateway.CodeNotFound) {
		t.Errorf("no such account: got %v", err)
	}
	if _, err := w.Rotate(ctx, 1); !refused(err, gateway.CodeNotFound) {
		t.Errorf("nothing to rotate: got %v", err)
	}
}

func TestWebhookTellsWhatWaits(t *testing.T) {
	st := openStore(t, t.TempDir())
	w := NewWebhooks(st, checkURL)
	for a := range gateway.AccountID(2) {
		if _, err := w.PutWebhook(ctx, a+1, gateway.WebhookView{URL: "https://example.com"}); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if err := st.OweEvent(ctx, 1, "inbound", map[string]string{"text": "x"}); err != nil {
			t.Fatal(err)
		}
	}
	if v, err := w.Webhook(ctx, 1); err != nil || v.Pending != 3 || v.LastErr != "" {
		t.Errorf("got %+v %v, want 3 pending", v, err)
	}
	due, err := st.DueEvents(ctx, time.Now().Add(time.Minute), 1)
	if err != nil || len(due) != 1 {
		t.Fatalf("due: %v %v", due, err)
	}
	ev := due[0]
	ev.Tries, ev.LastErr, ev.NextAt = 1, "HTTP 500", time.Now().Add(time.Hour)
	if err := st.EventRetry(ctx, ev); err != nil {
		t.Fatal(err)
	}
	if v, err := w.Webhook(ctx, 1); err != nil || v.Pending != 3 || v.LastErr != "HTTP 500" {
		t.Errorf("got %+v %v, want 3 pending and the last error", v, err)
	}
	if v, err := w.Webhook(ctx, 2); err != nil || v.Pending != 0 || v.LastErr != "" {
		t.Errorf("the other account sees %+v %v", v, err)
	}
}
