package desk

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"

	"izinli/gateway"
)

// ListIYSLinks lists the ways to İYS by name; of their passwords only whether there is one.
func (a *Admin) ListIYSLinks(context.Context, Query) ([]gateway.IYSLink, error) {
	return hidden(values(a.store.Directory().IYSLinks, func(*gateway.IYSLink) bool { return true })), nil
}

// PutIYSLink creates or changes a way to İYS.
func (a *Admin) PutIYSLink(ctx context.Context, in IYSLinkInput) (gateway.IYSLink, error) {
	l := in.Link
	if err := slug("name", l.Name); err != nil {
		return l, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.store.Directory().IYSLinks[l.Name]
	l.Password, l.AHSPassword = "", ""
	if before != nil {
		l.Password, l.AHSPassword = before.Password, before.AHSPassword
	}
	if in.Password != "" {
		l.Password = a.store.Seal(in.Password)
	}
	if in.AHSPassword != "" {
		l.AHSPassword = a.store.Seal(in.AHSPassword)
	}
	if err := checkLink(&l); err != nil {
		return *hide(&l), err
	}
	err := commit(ctx, a, "PutIYSLink", "iys link "+l.Name, before, &l, a.store.PutIYSLink)
	return *hide(&l), err
}

// checkLink checks that each of the two ways, API user and AHS user, is there whole or not at all.
func checkLink(l *gateway.IYSLink) error {
	api, ahs := l.Username != "", l.AHSUser != ""
	switch {
	case !api && !ahs:
		return invalid("username", "A link needs an API user (username, password) or an AHS user (ahsUser, ahsPassword), or both.")
	case api && l.Password == "":
		return invalid("password", "The password of API user %s is missing.", l.Username)
	case ahs && l.AHSPassword == "":
		return invalid("ahsPassword", "The password of AHS user %s is missing.", l.AHSUser)
	case ahs && l.AHSURL == "":
		return invalid("ahsUrl", "The address of the AHS interface is missing.")
	case l.IntegratorCode < 0:
		return invalid("integratorCode", "The integratorCode is a positive number.")
	}
	if l.BaseURL != "" || api {
		if err := httpURL("baseUrl", l.BaseURL, false); err != nil {
			return err
		}
	}
	if ahs {
		return httpURL("ahsUrl", l.AHSURL, false)
	}
	return nil
}

// ListWebhooks lists webhooks by account; of their secrets only whether there is one.
func (a *Admin) ListWebhooks(_ context.Context, q Query) ([]gateway.Webhook, error) {
	return hidden(values(a.store.Directory().Webhooks, func(w *gateway.Webhook) bool { return q.Account == 0 || w.Account == q.Account })), nil
}

// PutWebhook sets or removes an account's webhook.
func (a *Admin) PutWebhook(ctx context.Context, in WebhookInput) (gateway.WebhookView, error) {
	view := gateway.WebhookView{URL: in.URL, Events: tidy(in.Events), Paused: in.Paused}
	if _, err := a.account(in.Account); err != nil {
		return view, err
	}
	for _, e := range view.Events {
		if err := oneOf("events", e, gateway.EventTypes...); err != nil {
			return view, err
		}
	}
	if in.URL != "" {
		if err := a.deps.CheckURL(in.URL); err != nil {
			return view, gateway.Refuse(gateway.CodeInvalid, "url", "%s", errText(err))
		}
	}
	if in.Secret != "" && (len(in.Secret) < 16 || len(in.Secret) > maxSecret || !printable(in.Secret)) {
		return view, invalid("secret", "A webhook secret has 16 to %d printable ASCII characters.", maxSecret)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.store.Directory().Webhooks[in.Account]
	after := gateway.Webhook{Account: in.Account, URL: in.URL, Events: view.Events, Paused: in.Paused}
	switch {
	case in.URL == "": // removed with its secret
	case in.Secret != "" || in.Rotate || before == nil:
		view.Secret = cmp.Or(in.Secret, rand.Text()) // 128 bits, enough for HMAC-SHA-256 of events
		after.Secret = a.store.Seal(view.Secret)
	default:
		after.Secret = before.Secret
	}
	return view, commit(ctx, a, "PutWebhook", fmt.Sprintf("webhook of account %d", in.Account), before, &after, a.store.PutWebhook)
}

// errText is what a refusal says, without its code.
func errText(err error) string {
	if e, ok := asRefusal(err); ok {
		return e.Text
	}
	return err.Error()
}
