package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"izinli/gateway"
	"izinli/gateway/desk"
)

var brandColumns = []column[gateway.Brand]{
	{"BRAND", func(b *gateway.Brand) any { return b.Code }},
	{"ACCOUNT", func(b *gateway.Brand) any { return fmt.Sprint(b.Account) }},
	{"NAME", func(b *gateway.Brand) any { return b.Name }},
	{"SMS", func(b *gateway.Brand) any { return modeText(&b.SMS) }},
	{"EMAIL", func(b *gateway.Brand) any { return modeText(&b.Email) }},
	{"IYS-LINK", func(b *gateway.Brand) any { return b.IYS }},
}

func modeText(m *gateway.BrandMode) string {
	switch {
	case m.Mode == "":
		return "closed"
	case m.ReadOnly:
		return m.Mode + " (read only)"
	case !m.Expires.IsZero():
		return m.Mode + " until " + m.Expires.Format("2006-01-02")
	}
	return m.Mode
}

func newBrandCmd() *cobra.Command {
	return noun("brand", "Brands: whom consents are given to",
		`A brand has a mode per channel, which says who holds İYS for it:
  partner       we are its iş ortağı or hold its API user; needs --iys
  ahs           we are its aracı hizmet sağlayıcı and may only ask; needs --iys
  self_managed  the customer declared that it manages İYS itself; needs text, version, user and ip of the declaration
  exempt        muaf; needs the basis (text), the document, who approved it (user) and expires
A channel without a mode is closed for commercial messages.`,
		listCmd("brands", brandColumns, desk.Service.ListBrands),
		addCmd(`  izinli brand add --account 1 --code 675403 --name Örnek --iys main --sms-mode partner
  izinli brand add --account 1 --code 675404 --name Vakıf --sms-mode exempt --sms-text "Kamu yararına vakıf" \
    --sms-document 2026/17 --sms-user ayse@example.com --sms-expires 2027-12-31`,
			func(e *edits[gateway.Brand]) {
				e.text("code", "brandCode, `digits`", func(b *gateway.Brand) *string { return &b.Code })
				e.account(func(b *gateway.Brand) *gateway.AccountID { return &b.Account })
				brandFlags(e)
			}, brandColumns, desk.Service.PutBrand),
		setCmd("<brand>", `  izinli brand set 675403 --email-mode self_managed --email-text @declaration.txt --email-version 3 \
    --email-user ali@example.com --email-ip 192.0.2.1`,
			brandFlags, brandColumns, findBrand, desk.Service.PutBrand),
		brandTotalsCmd(),
	)
}

func findBrand(ctx context.Context, s desk.Service, name string) (b gateway.Brand, err error) {
	list, err := s.ListBrands(ctx, desk.Query{})
	if err != nil {
		return b, err
	}
	return pick(list, "brand", name, func(b *gateway.Brand) bool { return b.Code == name })
}

func brandFlags(e *edits[gateway.Brand]) {
	e.text("name", "brand `name`", func(b *gateway.Brand) *string { return &b.Name })
	e.text("short", "short `name`, used in opt-out texts", func(b *gateway.Brand) *string { return &b.Short })
	e.text("title", "trade `name` in commercial mail; the account's name when empty", func(b *gateway.Brand) *string { return &b.Title })
	e.text("mersis", "MERSİS `number`, 16 digits; the account's when empty", func(b *gateway.Brand) *string { return &b.MERSIS })
	e.text("contact", "`what` recipients of mail can reach: phone, address, e-mail", func(b *gateway.Brand) *string { return &b.Contact })
	field(e, "iys-code", "iysCode (`number`) where it differs from the account's", optionalIYSCode, func(b *gateway.Brand) *int { return &b.IYSCode })
	e.text("iys", "`name` of the İYS link that serves it", func(b *gateway.Brand) *string { return &b.IYS })
	modeFlags(e, "sms", func(b *gateway.Brand) *gateway.BrandMode { return &b.SMS })
	modeFlags(e, "email", func(b *gateway.Brand) *gateway.BrandMode { return &b.Email })
}

func modeFlags(e *edits[gateway.Brand], channel string, at func(*gateway.Brand) *gateway.BrandMode) {
	// A new mode starts without the proof of the old one.
	e.fs.Func(channel+"-mode", "`mode`: partner, ahs, self_managed, exempt, or empty to close the channel", func(s string) error {
		e.early = append(e.early, func(b *gateway.Brand) { *at(b) = gateway.BrandMode{Mode: s} })
		return nil
	})
	part := func(name, usage string, get func(*gateway.BrandMode) *string) {
		e.text(channel+"-"+name, usage, func(b *gateway.Brand) *string { return get(at(b)) })
	}
	field(e, channel+"-text", "`text` of the declaration or basis of the exemption; @file reads it from a file", readText,
		func(b *gateway.Brand) *string { return &at(b).Text })
	part("version", "`version` of the declaration's wording", func(m *gateway.BrandMode) *string { return &m.Version })
	part("document", "document of the exemption (`reference`)", func(m *gateway.BrandMode) *string { return &m.Document })
	part("user", "`who` declared or approved", func(m *gateway.BrandMode) *string { return &m.User })
	part("ip", "`address` the declaration came from", func(m *gateway.BrandMode) *string { return &m.IP })
	e.date(channel+"-expires", "last `day` of the exemption", func(b *gateway.Brand) *time.Time { return &at(b).Expires })
	e.yes(channel+"-read-only", "partner without the right to write", func(b *gateway.Brand) *bool { return &at(b).ReadOnly })
}

// readText reads a text, or the file after an @.
func readText(s string) (string, error) {
	path, ok := strings.CutPrefix(s, "@")
	if !ok {
		return s, nil
	}
	b, err := os.ReadFile(path)
	return string(b), err
}

var totalColumns = []column[desk.ChannelTotals]{
	{"WHERE", func(t *desk.ChannelTotals) any { return t.Channel }},
	{"ONAY", func(t *desk.ChannelTotals) any { return fmt.Sprint(t.Approved) }},
	{"RET", func(t *desk.ChannelTotals) any { return fmt.Sprint(t.Rejected) }},
}

func brandTotalsCmd() *cobra.Command {
	return nameCmd("totals <brand>", "Count a brand's consents here and at İYS", func(ctx context.Context, cmd *cobra.Command, s desk.Service, code string) error {
		b, err := findBrand(ctx, s, code)
		if err != nil {
			return err
		}
		t, err := s.CountBrand(ctx, desk.BrandQuery{Account: b.Account, Brand: b.Code})
		if err != nil {
			return err
		}
		if asJSON(cmd) {
			return printJSON(cmd, t)
		}
		if t.IYS != nil {
			t.Here = append(t.Here, desk.ChannelTotals{Channel: "İYS, all channels", ConsentTotals: *t.IYS})
		}
		if err := printTable(cmd, totalColumns, t.Here); err != nil || t.IYSError == "" {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "\nİYS did not answer: %s\n", t.IYSError)
		return err
	})
}
