package desk

import (
	"cmp"
	"context"
	"crypto/rand"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"izinli/gateway"
	"izinli/gateway/address"
)

// Bounds of what a form says, in characters.
const (
	maxTradeName = 160
	maxFormText  = 4000
	minFormText  = 30 // less cannot say who may send what
)

// ListForms lists consent forms, newest first.
func (a *Admin) ListForms(_ context.Context, q Query) ([]FormView, error) {
	out := []FormView{}
	for _, f := range a.store.Directory().Forms {
		if q.Account == 0 || f.Account == q.Account {
			out = append(out, a.formView(f))
		}
	}
	slices.SortFunc(out, func(x, y FormView) int { return cmp.Or(y.Created.Compare(x.Created), cmp.Compare(x.ID, y.ID)) })
	return out, nil
}

func (a *Admin) formView(f *gateway.Form) FormView {
	v := FormView{Form: *f}
	if a.deps.PublicURL != nil {
		if base := a.deps.PublicURL(); base != "" {
			v.URL = base + gateway.FormPath + f.ID
		}
	}
	return v
}

// CreateForm makes a consent form.
func (a *Admin) CreateForm(ctx context.Context, in gateway.Form) (FormView, error) {
	if in.ID != "" {
		return FormView{}, invalid("id", "A form gets its id here; a new wording is a new form.")
	}
	if a.deps.PublicURL != nil && a.deps.PublicURL() == "" {
		return FormView{}, gateway.Refuse(gateway.CodeUnavailable, "", "publicUrl is not configured: nobody could reach the form or its confirmation.")
	}
	if err := formTexts(&in); err != nil {
		return FormView{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.checkBrand(in.Account, in.Brand, true); err != nil {
		return FormView{}, err
	}
	d := a.store.Directory()
	if d.BrandOf(in.Account, in.Brand).ModeOf(in.Channel).Mode == "" {
		return FormView{}, invalid("channel", "Channel %s of brand %s is closed; give it a mode first (see \"izinli brand set --help\").", in.Channel, in.Brand)
	}
	var err error
	if in.From, err = formSender(d, &in); err != nil {
		return FormView{}, err
	}
	in.ID, in.Created = strings.ToLower(rand.Text()[:10]), a.deps.Now()
	if !in.Revoked.IsZero() {
		return FormView{}, invalid("revoked", "A form is revoked by RevokeForm alone.")
	}
	if err := commit(ctx, a, "CreateForm", "form "+in.ID, nil, &in, a.store.PutForm); err != nil {
		return FormView{}, err
	}
	return a.formView(&in), nil
}

// formTexts checks what the form says.
func formTexts(in *gateway.Form) (err error) {
	if in.Channel != gateway.ChannelSMS && in.Channel != gateway.ChannelEmail {
		return invalid("channel", "The channel must be sms or email: one form asks for one consent.")
	}
	if in.TradeName, err = text("tradeName", in.TradeName, true, maxTradeName); err != nil {
		return err
	}
	if in.Version, err = text("version", in.Version, true, 40); err != nil {
		return err
	}
	for _, t := range []struct {
		field    string
		text     *string
		required bool
	}{{"textTr", &in.TextTR, true}, {"textEn", &in.TextEN, false}} {
		*t.text = unixLines(*t.text)
		if p := textProblem(*t.text, t.required, maxFormText, true); p != "" {
			return invalid(t.field, "%s %s.", t.field, p)
		}
		if n := utf8.RuneCountInString(*t.text); n > 0 && n < minFormText {
			return invalid(t.field, "%s is too short: it has to say who may send what over which channel, and that one can refuse at any time.", t.field)
		}
	}
	if in.PrivacyURL == "" {
		return nil
	}
	u, err := url.Parse(in.PrivacyURL)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || len(in.PrivacyURL) > 500 {
		return invalid("privacyUrl", "privacyUrl must be an https URL of at most 500 characters, such as https://www.example.com/aydinlatma.")
	}
	return nil
}

// formSender checks who the confirmation comes from; for text messages the brand's only sender is taken when none is named.
func formSender(d *gateway.Directory, in *gateway.Form) (string, error) {
	from := strings.TrimSpace(in.From)
	if in.Channel == gateway.ChannelEmail {
		e, err := address.ParseEmail(from)
		if err != nil {
			return "", invalid("from", "The confirmation needs a sender address such as bilgi@bulten.example.com, not %q.", from)
		}
		if s := d.SenderOfMail(in.Account, string(e)); s == nil || s.Brand != in.Brand {
			return "", noSender(in, from)
		}
		return string(e), nil
	}
	if from == "" {
		var own []string
		for _, s := range d.Senders {
			if s.Account == in.Account && s.Channel == in.Channel && s.Brand == in.Brand && s.Approved {
				own = append(own, s.Name)
			}
		}
		if len(own) != 1 {
			return "", invalid("from", "Brand %s has %d approved %s senders; name the one the confirmation comes from.", in.Brand, len(own), in.Channel)
		}
		return own[0], nil
	}
	s := d.Senders[gateway.SenderKey{Account: in.Account, Channel: in.Channel, Name: from}]
	if s == nil || !s.Approved || s.Brand != in.Brand {
		return "", noSender(in, from)
	}
	return from, nil
}

func noSender(in *gateway.Form, from string) error {
	return gateway.Refuse(gateway.CodeSender, "from", "%s is no approved %s sender of brand %s (see \"izinli sender list\").", from, in.Channel, in.Brand)
}

// RevokeForm closes a form for good.
func (a *Admin) RevokeForm(ctx context.Context, n Name) (FormView, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.store.Directory().Forms[n.Name]
	if before == nil {
		return FormView{}, gateway.Refuse(gateway.CodeNotFound, "id", "There is no form %q; see \"izinli form list\".", n.Name)
	}
	if !before.Revoked.IsZero() {
		return a.formView(before), nil
	}
	f := *before
	f.Revoked = a.deps.Now()
	if err := commit(ctx, a, "RevokeForm", "form "+f.ID, before, &f, a.store.PutForm); err != nil {
		return FormView{}, err
	}
	return a.formView(&f), nil
}
