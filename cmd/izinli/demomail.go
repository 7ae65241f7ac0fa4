package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	netmail "net/mail"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"izinli/cmd/assembly"
	"izinli/gateway/smtptest"
	"izinli/iys"
)

// demoReaders gives mail addresses their consents at İYS.
func demoReaders(p *assembly.Playground) {
	for _, a := range []string{"ayse@musteri.example", "mehmet@musteri.example", "eski@musteri.example"} {
		p.MailConsent(p.Seeds.Brand, "BIREYSEL", a, iys.StatusApproved)
	}
	p.MailConsent(p.Seeds.Brand, "BIREYSEL", "ali@musteri.example", iys.StatusRejected)
	p.MailConsent(p.Seeds.OtherBrand, "BIREYSEL", "ayse@musteri.example", iys.StatusApproved)
}

// showMail sends a newsletter of each brand, lets one mail bounce and one person click unsubscribe, and tells what follows.
func (d *demoRun) showMail(ctx context.Context) error {
	if len(d.people) == 0 {
		return nil
	}
	m := d.p.Seeds.Mail
	for _, from := range []string{"Örnek <bulten@" + m.Domain + ">", "Yıldız <haber@" + m.OtherDomain + ">"} {
		var res struct {
			Batch             string
			Accepted, Dropped int
		}
		err := d.call(ctx, http.MethodPost, "/v1/messages", map[string]any{"channel": "email", "from": from, "subject": "Kış indirimi başladı",
			"text": "Merhaba, kış indirimi başladı.", "html": "<p>Merhaba, <b>kış indirimi</b> başladı.</p>",
			"to": []string{"ayse@musteri.example", "mehmet@musteri.example", "eski@musteri.example", "ali@musteri.example", "kimse@musteri.example"}}, &res)
		if err != nil {
			return err
		}
		fmt.Fprintf(d.out, "A newsletter from %s to 5 addresses: accepted %d, dropped at once %d.\n", from, res.Accepted, res.Dropped)
		if err := d.follow(ctx, res.Batch, "queued", "held"); err != nil { // sent is the end of a mail nobody returns
			return err
		}
	}
	if err := d.bounce(ctx); err != nil {
		return err
	}
	return d.click(ctx)
}

// mailTo waits for a mail of the sink.
func (d *demoRun) mailTo(ctx context.Context, to string) (*smtptest.Message, *netmail.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for n := 1; ; n++ {
		list, err := d.p.Sink.Wait(ctx, n)
		if err != nil {
			return nil, nil, fmt.Errorf("demo: no mail to %s came: %w", to, err)
		}
		for _, m := range list {
			if m.To[0].Addr == to {
				h, err := netmail.ReadMessage(bytes.NewReader(m.Body))
				return m, h, err
			}
		}
		n = len(list)
	}
}

const demoDSN = "From: MAILER-DAEMON@musteri.example\r\nSubject: Undelivered Mail\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n" +
	"Reporting-MTA: dns; musteri.example\r\n\r\nFinal-Recipient: rfc822; eski@musteri.example\r\nAction: failed\r\nStatus: 5.1.1\r\n" +
	"Diagnostic-Code: smtp; 550 5.1.1 User unknown\r\n\r\n--b--\r\n"

// bounce returns a mail to its signed return path, as the recipient's server would.
func (d *demoRun) bounce(ctx context.Context) error {
	m, _, err := d.mailTo(ctx, "eski@musteri.example")
	if err != nil {
		return err
	}
	c, err := smtp.Dial(d.p.Server.Addrs["relay"])
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SendMail("", []string{m.From}, strings.NewReader(demoDSN)); err != nil {
		return err
	}
	var res struct {
		Messages []struct{ State, Code string }
	}
	err = d.call(ctx, http.MethodPost, "/v1/messages", map[string]any{"channel": "email", "from": "bulten@" + d.p.Seeds.Mail.Domain,
		"subject": "Yeniden", "text": "Merhaba", "to": []string{"eski@musteri.example"}, "dryRun": true}, &res)
	if err != nil {
		return err
	}
	if len(res.Messages) != 1 {
		return errors.New("demo: the answer names no message")
	}
	fmt.Fprintf(d.out, "eski@musteri.example bounced (550 5.1.1): undelivered, and the next mail to it is %s (%s).\n", res.Messages[0].State, res.Messages[0].Code)
	return nil
}

// click unsubscribes with one POST, as a mailbox provider does for the person (RFC 8058).
func (d *demoRun) click(ctx context.Context) error {
	_, h, err := d.mailTo(ctx, "mehmet@musteri.example")
	if err != nil {
		return err
	}
	url, _, _ := strings.Cut(strings.TrimPrefix(h.Header.Get("List-Unsubscribe"), "<"), ">")
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("List-Unsubscribe=One-Click"))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode/100 != 2 {
		return fmt.Errorf("demo: one-click unsubscribe: %s, %w", resp.Status, err)
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); {
		if m, ok := d.p.IYS.Stored(d.p.Seeds.Brand, "EPOSTA", "BIREYSEL", "mehmet@musteri.example"); ok && m.Status == "RET" {
			fmt.Fprintf(d.out, "mehmet@musteri.example clicked unsubscribe: blocked here at once, and İYS now says %s (source %s).\n", m.Status, m.Source)
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return errors.New("demo: the unsubscribe did not reach İYS within 20 s")
}
