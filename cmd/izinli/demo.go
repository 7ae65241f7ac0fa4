package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"izinli/cmd/assembly"
	"izinli/configs"
	"izinli/gateway/smpptest"
	"izinli/iys"
	"izinli/iys/iystest"
)

func demoOperator() smpptest.Config { return assembly.DemoOperator() }
func fastIYS() iystest.Config       { return assembly.FastIYS() }

func newDemoCmd() *cobra.Command {
	var dir string
	var size int
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the gateway with a simulated operator and İYS, and watch it work",
		Long: `Run the gateway on this machine alone: a simulated operator, a mail sink, a simulated İYS, one account with two brands, people who
consented and people who did not. It sends a small campaign through its own HTTP API and prints what became of it, then goes
on until Ctrl-C. The data is in a temporary directory that goes away, unless --data names one. Quiet hours are off.

The texts of the campaign come from the CSV file that IZINLI_TEXTS names (columns text,label), else from a few built in.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), dir, size, free)
		},
	}
	cmd.Flags().StringVar(&dir, "data", "", "data directory to keep (default: a temporary one)")
	cmd.Flags().IntVar(&size, "campaign", 300, "recipients of the campaign, 0 to 10000")
	return cmd
}

// demo runs until ctx ends; listen says where to listen instead of the usual address.
func demo(ctx context.Context, out, errOut io.Writer, dir string, size int, listen func(usual string) string) error {
	if size < 0 || size > 10_000 {
		return errors.New("--campaign must be 0 to 10000")
	}
	if dir == "" {
		tmp, err := os.MkdirTemp("", "izinli-demo-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		dir = tmp
	}
	cfg := assembly.PlaygroundConfig(dir)
	cfg.Log.Level = "warn"
	cfg.Listen.API, cfg.Listen.SMPP, cfg.Listen.Ops = listen("127.0.0.1:8080"), listen("127.0.0.1:2775"), listen("127.0.0.1:8090")
	cfg.Listen.Panel, cfg.Listen.Public = listen("127.0.0.1:8081"), listen("127.0.0.1:8082")
	cfg.Listen.SMTP, cfg.Listen.SMTPS, cfg.Listen.Relay = listen("127.0.0.1:2525"), listen("127.0.0.1:4650"), listen("127.0.0.1:2526")
	p, err := assembly.NewPlayground(ctx, cfg, assembly.PlaygroundOptions{Operator: demoOperator(), IYS: fastIYS(), Log: newLogger(cfg, errOut),
		Server: assembly.ServerOptions{RequestAfter: time.Second, IYSLimits: assembly.FastLimits(), FormTap: formTap(out)}})
	if err != nil {
		return err
	}
	people := demoPeople(p, max(size, 10))
	demoReaders(p)
	run, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- p.Server.Run(run) }()
	greet(out, p, cfg)
	if err := tellSetup(ctx, p.Server, out); err != nil {
		stop()
		return errors.Join(err, <-done, p.Close())
	}
	if err := tellPublic(ctx, p, people[0], out); err != nil {
		stop()
		return errors.Join(err, <-done, p.Close())
	}
	d := &demoRun{p: p, out: out, people: people[:size], api: "http://" + p.Server.Addrs["api"]}
	err = d.show(ctx)
	if err == nil {
		fmt.Fprintln(out, "\nRunning. Ctrl-C stops.")
		select {
		case <-ctx.Done():
		case err = <-done:
			done <- nil
		}
	}
	if ctx.Err() != nil {
		err = nil
	}
	stop()
	return errors.Join(err, <-done, p.Close())
}

// free returns addr if nobody listens on it, else any free port.
func free(addr string) string {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return "127.0.0.1:0"
	}
	ln.Close()
	return addr
}

// demoPeople gives numbers their consents at İYS: of ten people six agreed, two refused, one never said anything, and one is
// a merchant.
func demoPeople(p *assembly.Playground, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("+90532%07d", 1000000+i*37)
		for _, brand := range []string{"675403", "606821"} {
			switch i % 10 {
			case 6, 7:
				p.Consent(brand, "BIREYSEL", out[i], iys.StatusRejected)
			case 8:
			case 9:
				p.Consent(brand, "TACIR", out[i], iys.StatusApproved)
			default:
				p.Consent(brand, "BIREYSEL", out[i], iys.StatusApproved)
			}
		}
	}
	return out
}

func greet(out io.Writer, p *assembly.Playground, cfg *configs.Config) {
	s, api := p.Seeds, "http://"+p.Server.Addrs["api"]
	fmt.Fprintf(out, `izinli demo: everything on this machine, nothing leaves it.

  HTTP API     %s        (OpenAPI at /openapi.json)
  SMPP         %s   system_id %s  password %s
  SMTP         %s (STARTTLS), %s (TLS)   user %s  password %s
               relay, bounces, unsubscribes %s; delivered mail ends in a sink at %s
  operations   http://%s/readyz   /metrics
  operator     %s (simulated)     İYS %s (simulated)
  brands       %s ORNEK (partner: we write, read and pull İYS)   %s YILDIZ (ahs: we ask before sending)
  data         %s

  API key      %s

Your first message (an order notice needs no consent):

  curl -s %s/v1/messages -H 'Authorization: Bearer %s' -d '{"class":"transactional","reason":"order","from":"ORNEK",
    "text":"Siparişiniz yola çıktı.","to":["0532 100 00 00"]}'

A campaign to someone who refused is dropped, with the reason:

  curl -s %s/v1/messages -H 'Authorization: Bearer %s' -d '{"from":"ORNEK","text":"Bugün her şey yarı fiyat!",
    "to":["+905321000222"],"dryRun":true}'

`, api, p.Server.Addrs["smpp"], s.SystemID, s.Password, p.Server.Addrs["smtp"], p.Server.Addrs["smtps"], s.Mail.MixedUser,
		s.Mail.MixedPass, p.Server.Addrs["relay"], p.Sink.Addr(), p.Server.Addrs["ops"], p.Operator.Addr(), p.IYSAddr(), s.Brand, s.OtherBrand,
		cfg.Data, s.APIKey, api, s.APIKey, api, s.APIKey)
}

// demoRun sends the campaign and tells what becomes of it.
type demoRun struct {
	p      *assembly.Playground
	out    io.Writer
	people []string
	api    string
}

func (d *demoRun) show(ctx context.Context) error {
	if len(d.people) == 0 {
		return nil
	}
	if err := d.waitBound(ctx); err != nil {
		return err
	}
	texts := demoTexts(d.out)
	to := make([]map[string]any, len(d.people))
	for i, a := range d.people {
		to[i] = map[string]any{"address": a, "vars": map[string]string{"metin": texts[i%len(texts)]}}
	}
	var res struct {
		Batch                      string
		Accepted, Dropped, Refused int
	}
	if err := d.call(ctx, http.MethodPost, "/v1/messages", map[string]any{"from": "ORNEK", "text": "{{metin}}", "to": to}, &res); err != nil {
		return err
	}
	fmt.Fprintf(d.out, "A campaign of %d went in as batch %s: accepted %d, dropped at once %d, refused %d.\n", len(to), res.Batch, res.Accepted,
		res.Dropped, res.Refused)
	if err := d.follow(ctx, res.Batch, "queued", "held", "sent"); err != nil {
		return err
	}
	if err := d.optOut(ctx); err != nil {
		return err
	}
	return d.showMail(ctx)
}

func (d *demoRun) waitBound(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return d.p.Operator.WaitFor(ctx, func(s smpptest.Stats) bool { return s.Bound > 0 })
}

type batchCounts struct{ States, Reasons map[string]int }

// follow waits until no message is in one of the open states.
func (d *demoRun) follow(ctx context.Context, batch string, open ...string) error {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); {
		var b batchCounts
		if err := d.call(ctx, http.MethodGet, "/v1/batches/"+batch, nil, &b); err != nil {
			return err
		}
		left := 0
		for _, st := range open {
			left += b.States[st]
		}
		if left == 0 {
			fmt.Fprintf(d.out, "  GET /v1/batches/%s → states %v, reasons %v\n", batch, b.States, b.Reasons)
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return errors.New("demo: the campaign did not end within 30 s")
}

// optOut lets a person write RET and shows what follows.
func (d *demoRun) optOut(ctx context.Context) error {
	who := d.people[0]
	d.p.Operator.SendMO(who, d.p.Seeds.ReplyNumber, "RET")
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); {
		if m, ok := d.p.IYS.Stored(d.p.Seeds.Brand, "MESAJ", "BIREYSEL", who); ok && m.Status == "RET" {
			fmt.Fprintf(d.out, "%s wrote RET to %s: blocked here at once, and İYS now says %s (source %s).\n", who, d.p.Seeds.ReplyNumber, m.Status, m.Source)
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return errors.New("demo: the opt-out did not reach İYS within 20 s")
}

// call speaks to the demo's own API, as a customer would.
func (d *demoRun) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, d.api+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+d.p.Seeds.APIKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("demo: %s %s: %s: %s", method, path, resp.Status, b)
	}
	return json.Unmarshal(b, out)
}

// demoTexts are the campaign's texts: commercial ones of the file IZINLI_TEXTS names, else our own.
func demoTexts(out io.Writer) []string {
	own := []string{
		"Örnek Giyim: kış indirimi başladı, tüm montlarda %30! Koşullar: 08500000000. MERSIS 0123456789012345 RET yaz 08501234567'ye gönder",
		"Yeni sezon mağazalarda. Sepette ek %10. MERSIS 0123456789012345 RET yaz 08501234567'ye gonder",
		"Doğum gününüz kutlu olsun! Size özel hediyeniz kasada. MERSIS 0123456789012345 RET yaz 08501234567'ye gönder",
	}
	name := os.Getenv("IZINLI_TEXTS")
	if name == "" {
		return own
	}
	f, err := os.Open(name)
	if err != nil {
		fmt.Fprintf(out, "IZINLI_TEXTS: %v; using the built-in texts\n", err)
		return own
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.FieldsPerRecord = -1
	var texts []string
	for len(texts) < 10_000 {
		row, err := r.Read()
		if err != nil {
			break
		}
		if len(row) > 1 && row[1] == "commercial" && row[0] != "" {
			texts = append(texts, row[0])
		}
	}
	if len(texts) == 0 {
		return own
	}
	return texts
}
