package unsubscribe

import (
	"context"
	"errors"
	"slices"

	"izinli/gateway"
	"izinli/gateway/address"
	"izinli/gateway/mail"
	"izinli/gateway/template"
)

// Variable is the name by which a text message asks for the recipient's opt-out link, the same as in a mail: {{unsubscribe_url}}.
const Variable = mail.VarUnsubscribe

// Writer is a gateway.Submitter in front of another: where a text message names Variable, every recipient who does not bring one gets
// a short link of his own, which works before the message is accepted. Everything else passes untouched.
type Writer struct {
	Next      gateway.Submitter
	Links     *Links
	Directory func() *gateway.Directory
}

var _ gateway.Submitter = (*Writer)(nil)

// Check implements gateway.Submitter. No link is stored; the one in the text has the length of the real one.
func (w *Writer) Check(ctx context.Context, s *gateway.Submission) ([]gateway.Verdict, error) {
	filled, err := w.fill(ctx, s, false)
	if err != nil {
		return nil, err
	}
	return w.Next.Check(ctx, filled)
}

// Submit implements gateway.Submitter.
func (w *Writer) Submit(ctx context.Context, s *gateway.Submission) (gateway.Result, error) {
	filled, err := w.fill(ctx, s, !s.DryRun)
	if err != nil {
		return gateway.Result{}, err
	}
	return w.Next.Submit(ctx, filled)
}

// wanted reports whether a submission asks for links.
func wanted(s *gateway.Submission) bool {
	if s.Principal == nil || s.Raw != nil || s.Text == "" || s.Channel != "" && s.Channel != gateway.ChannelSMS || len(s.To) > gateway.MaxRecipients {
		return false
	}
	t := template.Parse(s.Text)
	return len(t.Used([]gateway.Var{{Name: Variable}})) > 0
}

// fill returns s with the links as variables; s itself where it asks for none, or where the road refuses it anyway.
func (w *Writer) fill(ctx context.Context, s *gateway.Submission, keep bool) (*gateway.Submission, error) {
	if !wanted(s) {
		return s, nil
	}
	brand := w.brand(s)
	if brand == "" {
		return s, nil
	}
	var places []int
	var addrs []string
	for i := range s.To {
		if slices.ContainsFunc(s.To[i].Vars, func(v gateway.Var) bool { return v.Name == Variable }) {
			continue
		}
		if n, err := address.Parse(s.To[i].Address, address.Options{}); err == nil {
			places, addrs = append(places, i), append(addrs, n.String())
		}
	}
	if len(addrs) == 0 {
		return s, nil
	}
	urls, err := w.urls(ctx, s.Principal.Account, brand, addrs, keep)
	if err != nil {
		return nil, err
	}
	out := *s
	out.To = slices.Clone(s.To)
	for k, i := range places {
		out.To[i].Vars = append(s.To[i].Vars[:len(s.To[i].Vars):len(s.To[i].Vars)], gateway.Var{Name: Variable, Value: urls[k]})
	}
	return &out, nil
}

func (w *Writer) urls(ctx context.Context, a gateway.AccountID, brand string, addrs []string, keep bool) ([]string, error) {
	base := w.Links.Base()
	if base == "" {
		return nil, gateway.Refuse(gateway.CodeTemplateVariable, "text", "{{%s}} cannot be filled: the gateway's publicUrl is not configured", Variable)
	}
	if !keep {
		out := make([]string, len(addrs))
		for i, addr := range addrs {
			out[i] = ShortURL(base, w.Links.Tokens.Code(Subject{Account: a, Brand: brand, Channel: gateway.ChannelSMS, Address: addr}, 0))
		}
		return out, nil
	}
	out, err := w.Links.Short(ctx, a, brand, gateway.ChannelSMS, addrs)
	var refusal *gateway.Error
	if err != nil && !errors.As(err, &refusal) {
		err = &gateway.Error{Code: gateway.CodeUnavailable, Text: gateway.CodeUnavailable.Wire().Title, Err: err}
	}
	return out, err
}

// brand is the one the road will find (gateway/intake): the one asked for, the sender's, the credential's. Empty where it will
// refuse.
func (w *Writer) brand(s *gateway.Submission) string {
	d, cred, code := w.Directory(), &s.Principal.Credential, s.Brand
	if code == "" {
		from := s.From
		if from == "" {
			from = cred.From
		}
		key := gateway.SenderKey{Account: s.Principal.Account, Channel: gateway.ChannelSMS, Name: from}
		x := d.Senders[key]
		if p, err := address.ParseSender(from); x == nil && err == nil {
			key.Name = p.Address
			x = d.Senders[key]
		}
		if x != nil {
			code = x.Brand
		}
	}
	if code == "" {
		code = cred.Brand
	}
	if d.BrandOf(s.Principal.Account, code) == nil {
		return ""
	}
	return code
}
