package customer

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"slices"
	"strings"

	"izinli/gateway"
)

// Bounds of a webhook secret, in octets. Given ones must carry as much as 128 random bits can be written in.
const (
	secretPrefix = "whsec_"
	secretBytes  = 32
	minSecret    = 24
	maxSecret    = 256
)

// WebhookStore keeps webhooks and their events.
type WebhookStore interface {
	Directory() *gateway.Directory
	PutWebhook(ctx context.Context, w *gateway.Webhook) error
	Seal(plain string) gateway.Sealed
	// PendingEvents counts the events that wait and tells the last error met.
	PendingEvents(ctx context.Context, a gateway.AccountID) (n int, lastErr string, err error)
}

// Webhooks implements gateway.Webhooks.
type Webhooks struct {
	store WebhookStore
	check func(url string) error
}

var _ gateway.Webhooks = (*Webhooks)(nil)

// NewWebhooks returns the service. check judges a URL before it is stored (https, no private network); its error is told to the
// customer.
func NewWebhooks(st WebhookStore, check func(url string) error) *Webhooks {
	return &Webhooks{store: st, check: check}
}

// Webhook implements gateway.Webhooks. The secret is never among the answers; an account without a webhook gets an empty view.
func (w *Webhooks) Webhook(ctx context.Context, a gateway.AccountID) (gateway.WebhookView, error) {
	var v gateway.WebhookView
	if h := w.store.Directory().Webhooks[a]; h != nil {
		v = gateway.WebhookView{URL: h.URL, Events: slices.Clone(h.Events), Paused: h.Paused}
	}
	var err error
	if v.Pending, v.LastErr, err = w.store.PendingEvents(ctx, a); err != nil {
		return gateway.WebhookView{}, unavailable(err)
	}
	return v, nil
}

// PutWebhook implements gateway.Webhooks. An empty URL removes the webhook and its secret. A secret is made when there is none
// yet, and shown in this answer alone; one that the caller gives (24 to 256 printable octets) replaces the present one and is
// not repeated.
func (w *Webhooks) PutWebhook(ctx context.Context, a gateway.AccountID, v gateway.WebhookView) (gateway.WebhookView, error) {
	next := &gateway.Webhook{Account: a, URL: strings.TrimSpace(v.URL), Paused: v.Paused}
	if next.URL == "" {
		if v.Secret != "" || len(v.Events) > 0 {
			return gateway.WebhookView{}, gateway.Refuse(gateway.CodeInvalid, "url", "The field is required; leave the others out to remove the webhook.")
		}
		return w.put(ctx, next, "")
	}
	if err := w.check(next.URL); err != nil {
		return gateway.WebhookView{}, &gateway.Error{Code: gateway.CodeInvalid, Field: "url", Text: err.Error()}
	}
	for _, e := range v.Events {
		if !slices.Contains(gateway.EventTypes, e) {
			return gateway.WebhookView{}, gateway.Refuse(gateway.CodeInvalid, "events", "There is no such event; there are %s.", strings.Join(gateway.EventTypes, ", "))
		}
		if !slices.Contains(next.Events, e) {
			next.Events = append(next.Events, e)
		}
	}
	secret, shown := v.Secret, ""
	switch old := w.store.Directory().Webhooks[a]; {
	case secret != "" && !validSecret(secret):
		return gateway.WebhookView{}, gateway.Refuse(gateway.CodeInvalid, "secret", "The field takes %d to %d printable ASCII characters.", minSecret, maxSecret)
	case secret != "":
		next.Secret = w.store.Seal(secret)
	case old != nil && old.Secret != "":
		next.Secret = old.Secret
	default:
		shown = newSecret()
		next.Secret = w.store.Seal(shown)
	}
	return w.put(ctx, next, shown)
}

// Rotate gives the account's webhook a new secret and shows it. What is sent from then on is signed with it.
func (w *Webhooks) Rotate(ctx context.Context, a gateway.AccountID) (gateway.WebhookView, error) {
	old := w.store.Directory().Webhooks[a]
	if old == nil {
		return gateway.WebhookView{}, gateway.Refuse(gateway.CodeNotFound, "", "The account has no webhook.")
	}
	next, shown := *old, newSecret()
	next.Secret = w.store.Seal(shown)
	return w.put(ctx, &next, shown)
}

func (w *Webhooks) put(ctx context.Context, next *gateway.Webhook, shown string) (gateway.WebhookView, error) {
	if err := w.store.PutWebhook(ctx, next); err != nil {
		return gateway.WebhookView{}, unavailable(err)
	}
	v := gateway.WebhookView{URL: next.URL, Events: next.Events, Paused: next.Paused, Secret: shown}
	// The setting is stored whatever the count says; without it the secret would be lost to the customer.
	v.Pending, v.LastErr, _ = w.store.PendingEvents(ctx, next.Account)
	return v, nil
}

func newSecret() string {
	b := make([]byte, secretBytes)
	_, _ = rand.Read(b) // it never fails: crypto/rand ends the program instead
	return secretPrefix + base64.StdEncoding.EncodeToString(b)
}

func validSecret(s string) bool {
	if len(s) < minSecret || len(s) > maxSecret {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// unavailable hides what the store met from the customer, unless it was written for him.
func unavailable(err error) error {
	if isRefusal(err) {
		return err
	}
	return &gateway.Error{Code: gateway.CodeUnavailable, Text: gateway.CodeUnavailable.Wire().Title, Err: err}
}
