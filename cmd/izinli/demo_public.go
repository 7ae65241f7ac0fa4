package main

import (
	"context"
	"fmt"
	"io"

	"izinli/cmd/assembly"
	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/unsubscribe"
)

// formTap prints what a consent form sends: the demo's telephones are not in anybody's hands.
func formTap(out io.Writer) func(to, text string) {
	return func(to, text string) { fmt.Fprintf(out, "\nMessage to %s: %s\n", to, text) }
}

// tellPublic prints the pages a recipient meets: the opt-out page of one person, and a consent form.
func tellPublic(ctx context.Context, p *assembly.Playground, who string, out io.Writer) error {
	form, err := demoForm(ctx, p)
	if err != nil {
		return err
	}
	link := p.Server.Tokens.URL(p.Server.PublicURL(), unsubscribe.Subject{Account: p.Seeds.Account, Brand: p.Seeds.OtherBrand,
		Channel: gateway.ChannelSMS, Address: who})
	fmt.Fprintf(out, `
Pages for recipients (a text with {{unsubscribe_url}} brings everyone a link of his own):

  %s leaves YILDIZ   %s
  consent form of ORNEK       %s
                              (the link that confirms it appears here)

`, who, link, form)
	return nil
}

// demoForm is the address of the demo's consent form, which is made once.
func demoForm(ctx context.Context, p *assembly.Playground) (string, error) {
	list, err := p.Server.Admin.ListForms(ctx, desk.Query{Account: p.Seeds.Account})
	if err != nil {
		return "", err
	}
	for _, f := range list {
		if f.Revoked.IsZero() {
			return f.URL, nil
		}
	}
	f, err := p.Server.Admin.CreateForm(ctx, gateway.Form{Account: p.Seeds.Account, Brand: p.Seeds.Brand, Channel: gateway.ChannelSMS, From: p.Seeds.Sender,
		TradeName: "Örnek Giyim A.Ş.", Version: "demo-1",
		TextTR: "Örnek Giyim A.Ş. tarafından kampanya, indirim ve yeniliklerin tanıtılması amacıyla cep telefonuma kısa mesaj gönderilmesini " +
			"onaylıyorum. Onayımı dilediğim zaman, neden belirtmeden geri alabileceğimi biliyorum.",
		TextEN: "I consent to Örnek Giyim A.Ş. sending text messages about campaigns, discounts and news to my mobile phone. I know that I can " +
			"withdraw my consent at any time without giving a reason."})
	return f.URL, err
}
