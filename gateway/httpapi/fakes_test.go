package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"izinli/gateway"
)

// The world behind the door: account 7 is the caller, account 8 somebody else.
const (
	mine   gateway.AccountID = 7
	theirs gateway.AccountID = 8

	goodKey = "izk_good_key"     // everything
	sendKey = "izk_send_only"    // scope send
	readKey = "izk_read_only"    // scope read
	theirID = "izk_other_tenant" // account 8
)

var (
	when      = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	mineBatch = gateway.BatchRef{Account: mine, Batch: 77}
	mineMsg   = mineBatch.Message(0)
	itsBatch  = gateway.BatchRef{Account: theirs, Batch: 88}
	itsMsg    = itsBatch.Message(0)
)

// world implements every service; each refuses what belongs to another account.
type world struct {
	mu       sync.Mutex
	got      []*gateway.Submission
	consents []gateway.Consent
	optouts  []gateway.OptOut
	webhook  gateway.WebhookView
	imported string
	request  gateway.ImportRequest
	filter   gateway.MessageFilter
	lookup   []string
	via      gateway.ViaInput

	viaAnswer gateway.ViaAnswer
	calls     int // to any service

	submit  func(s *gateway.Submission) (gateway.Result, error)
	wait    time.Duration
	asked   int
	ctxErr  error // of the request when Submit returned
	ready   error
	readErr error
}

func (w *world) Authenticate(_ context.Context, kind gateway.CredentialKind, _, secret string, from netip.Addr) (*gateway.Principal, error) {
	p := &gateway.Principal{Account: mine, Credential: gateway.Credential{ID: strings.TrimPrefix(secret, "izk_"), Kind: kind, Account: mine}}
	switch secret {
	case goodKey:
		p.Credential.Scopes = []string{"send", "read", "consents", "webhooks"}
		p.Credential.Classes = []string{"commercial", "transactional"}
	case sendKey:
		p.Credential.Scopes = []string{"send"}
	case readKey:
		p.Credential.Scopes = []string{"read"}
	case theirID:
		p.Account, p.Credential.Account = theirs, theirs
	default:
		return nil, gateway.Refuse(gateway.CodeUnauthorized, "", "")
	}
	if from == netip.MustParseAddr("203.0.113.66") {
		return nil, gateway.Refuse(gateway.CodeForbiddenAddress, "", "")
	}
	return p, nil
}

func (w *world) Allow(_ *gateway.Principal, n int) time.Duration {
	w.asked += n
	return w.wait
}

func (w *world) Check(context.Context, *gateway.Submission) ([]gateway.Verdict, error) {
	return nil, errors.New("the HTTP door has no use for Check")
}

func (w *world) Submit(ctx context.Context, s *gateway.Submission) (gateway.Result, error) {
	w.mu.Lock()
	w.got = append(w.got, s)
	w.mu.Unlock()
	if w.submit != nil {
		r, err := w.submit(s)
		if w.ctxErr = ctx.Err(); w.ctxErr != nil && err == nil {
			err = w.ctxErr
		}
		return r, err
	}
	r := gateway.Result{Batch: mineBatch, Accepted: len(s.To), Segments: len(s.To), Credits: len(s.To)}
	for i, to := range s.To {
		r.Messages = append(r.Messages, gateway.Verdict{Index: i, ID: mineBatch.Message(uint32(i)), Ref: to.Ref, To: to.Address,
			State: gateway.StateQueued, Segments: 1, Encoding: "gsm7"})
	}
	return r, nil
}

func (w *world) last(t *testing.T) *gateway.Submission {
	t.Helper()
	if len(w.got) == 0 {
		t.Fatal("nothing was submitted")
	}
	return w.got[len(w.got)-1]
}

// own notes the call and refuses what is not the account's.
func (w *world) own(a gateway.AccountID, ok bool) error {
	w.calls++
	if w.readErr != nil {
		return w.readErr
	}
	if a != mine || !ok {
		return gateway.Refuse(gateway.CodeNotFound, "", "")
	}
	return nil
}

func (w *world) Message(_ context.Context, a gateway.AccountID, id gateway.MessageID) (gateway.MessageView, error) {
	return aMessage(), w.own(a, id == mineMsg)
}

func aMessage() gateway.MessageView {
	return gateway.MessageView{ID: mineMsg, Batch: mineBatch, Ref: "caller-1", Channel: "sms", Class: "commercial", Brand: "675403",
		From: "ORNEK", To: "+905321234567", State: gateway.StateHeld, Code: gateway.CodeQuietHours,
		Segments: []gateway.SegmentView{{State: gateway.StateNone, OperatorID: "op-1", Error: "0x58"}}, Parts: 1, Encoding: "gsm7", Attempts: 1,
		Operator: "op1", Created: when, SendAt: when, ValidUntil: when.Add(24 * time.Hour), Updated: when, NextAt: when.Add(time.Hour),
		Timeline: []gateway.Moment{{At: when, State: gateway.StateQueued}, {At: when, State: gateway.StateHeld, Code: gateway.CodeQuietHours, Note: "21:00–08:00"}}}
}

func (w *world) Decisions(_ context.Context, a gateway.AccountID, id gateway.MessageID) ([]gateway.DecisionView, error) {
	return []gateway.DecisionView{{Kind: "accept", Verdict: "send", Rule: "consent", At: when, Policy: 1, Status: "ONAY", Source: "HS_WEB",
			Where: "mirror", ConsentDate: when, TransactionID: "ab", AgeSeconds: 60, Words: []string{"indirim"}, Day: "2026-11-21", Seq: 3, Hash: "00ff"}},
		w.own(a, id == mineMsg)
}

func (w *world) Messages(_ context.Context, a gateway.AccountID, f gateway.MessageFilter) (gateway.Page[gateway.MessageView], error) {
	w.filter = f
	if f.To == "nobody" {
		return gateway.Page[gateway.MessageView]{}, nil
	}
	return gateway.Page[gateway.MessageView]{Items: []gateway.MessageView{aMessage()}, Next: "more"}, w.own(a, true)
}

func (w *world) Batch(_ context.Context, a gateway.AccountID, ref gateway.BatchRef) (gateway.BatchView, error) {
	return gateway.BatchView{ID: mineBatch, Channel: "sms", Class: "commercial", Brand: "675403", From: "ORNEK", Created: when, SendAt: when,
		ValidUntil: when, Count: 2, States: map[string]int{"sent": 1, "dropped": 1}, Reasons: nil}, w.own(a, ref == mineBatch)
}

func (w *world) Inbound(_ context.Context, a gateway.AccountID, _ string, _ int) (gateway.Page[gateway.Inbound], error) {
	return gateway.Page[gateway.Inbound]{Items: []gateway.Inbound{{ID: "in1", From: "+905321234567", To: "3838", Text: "RET ORNEK", Brand: "675403",
		Keyword: "ret", Kind: "optout", Brands: []string{"675403"}, Operator: "op1", At: when, Partial: true}}}, w.own(a, true)
}

func (w *world) Balance(_ context.Context, a gateway.AccountID) (gateway.Balance, error) {
	return gateway.Balance{Credits: 10, Charged: 5, Refund: 1, Added: 14, Warning: 3}, w.own(a, true)
}

func (w *world) CancelBatch(_ context.Context, a gateway.AccountID, ref gateway.BatchRef) (int, error) {
	return 5, w.own(a, ref == mineBatch)
}

func (w *world) PauseBatch(_ context.Context, a gateway.AccountID, ref gateway.BatchRef) error {
	return w.own(a, ref == mineBatch)
}

func (w *world) ResumeBatch(_ context.Context, a gateway.AccountID, ref gateway.BatchRef) error {
	return w.own(a, ref == mineBatch)
}

func (w *world) CancelMessage(_ context.Context, a gateway.AccountID, id gateway.MessageID) error {
	return w.own(a, id == mineMsg)
}

func (w *world) ReplaceMessage(context.Context, *gateway.Principal, gateway.MessageID, string, time.Time, time.Duration) error {
	return errors.New("HTTP replaces nothing")
}

func (w *world) Add(_ context.Context, p *gateway.Principal, cs []gateway.Consent) ([]gateway.ConsentResult, error) {
	w.calls++
	w.consents = cs
	out := make([]gateway.ConsentResult, len(cs))
	for i, c := range cs {
		out[i] = gateway.ConsentResult{Index: i, Sync: "pending"}
		if c.Source == "IYS_WEB" {
			out[i] = gateway.ConsentResult{Index: i, Code: gateway.CodeInvalid, IYS: "H119", Text: "source must be one of the HS_ values"}
		}
	}
	return out, w.readErr
}

func (w *world) Lookup(_ context.Context, p *gateway.Principal, brand, channel, kind, address string) (gateway.ConsentView, error) {
	w.lookup = []string{brand, channel, kind, address}
	if p.Account != mine || brand != "675403" {
		return gateway.ConsentView{}, gateway.Refuse(gateway.CodeBrand, "brand", "")
	}
	c := gateway.Consent{Brand: brand, Channel: channel, Address: address, RecipientType: kind, Status: "ONAY", Source: "HS_WEB",
		ConsentDate: when, CreationDate: when, TransactionID: "ab", RetailerCode: 12345678}
	return gateway.ConsentView{Consent: c, Known: true, Where: "mirror", AgeS: 12, Blocked: true,
		Block: &gateway.Block{Brand: brand, Channel: channel, Address: address, Route: "sms", Source: "HS_MESAJ", At: when, Review: true},
		Sync:  "accepted", History: []gateway.ConsentEvent{{Consent: c, At: when, How: "pull", Sync: "accepted"}}}, w.own(p.Account, true)
}

func (w *world) OptOut(_ context.Context, o gateway.OptOut) error {
	w.optouts = append(w.optouts, o)
	if o.Brand != "675403" {
		return gateway.Refuse(gateway.CodeBrand, "brand", "")
	}
	return w.own(o.Account, true)
}

func (w *world) Webhook(_ context.Context, a gateway.AccountID) (gateway.WebhookView, error) {
	return gateway.WebhookView{URL: "https://example.com/hook", Events: []string{"inbound"}, Paused: true, Secret: "must not be shown", Pending: 4,
		LastErr: "status 500"}, w.own(a, true)
}

func (w *world) PutWebhook(_ context.Context, a gateway.AccountID, v gateway.WebhookView) (gateway.WebhookView, error) {
	w.webhook = v
	v.Secret = "whsec_new"
	return v, w.own(a, true)
}

func (w *world) StartImport(_ context.Context, p *gateway.Principal, r gateway.ImportRequest) (gateway.ImportView, error) {
	b, err := io.ReadAll(r.File)
	if err != nil {
		return gateway.ImportView{}, err
	}
	w.imported, w.request = string(b), r
	return anImport(r.Mode), w.own(p.Account, true)
}

func anImport(mode string) gateway.ImportView {
	return gateway.ImportView{ID: "imp-1", Brand: "675403", Mode: mode, State: "running", Format: "csv", Rows: 3, Good: 2, Bad: 1, Approved: 1, Error: "x", Created: when, Updated: when, Name: "izinler.csv"}
}

func (w *world) Import(_ context.Context, a gateway.AccountID, id string) (gateway.ImportView, error) {
	return anImport("verify"), w.own(a, id == "imp-1" || id == "torn")
}

func (w *world) ListImports(_ context.Context, a gateway.AccountID, cursor string, limit int) (gateway.Page[gateway.ImportView], error) {
	w.lookup = []string{cursor, strconv.Itoa(limit)}
	return gateway.Page[gateway.ImportView]{Items: []gateway.ImportView{anImport("verify"), anImport("register")}, Next: "z"}, w.own(a, true)
}

func (w *world) ImportErrors(_ context.Context, a gateway.AccountID, id string, out io.Writer) error {
	if err := w.own(a, id == "imp-1" || id == "torn"); err != nil {
		return err
	}
	if _, err := io.WriteString(out, "alici;hata\n0;H121\n"); err != nil {
		return err
	}
	if id == "torn" {
		return errors.New("the disk broke")
	}
	return nil
}

func aVia(state string) gateway.ViaOperation {
	v := gateway.ViaOperation{ID: "v1", Account: mine, Brand: "675403", Request: "5b423dd7", Form: "1", Address: "+905321234567", RecipientType: "BIREYSEL",
		Channels: []string{"MESAJ"}, Verification: "SMS_OTP", Stage: "CONSENT_REQUESTED", Status: "PENDING", By: "API key k1", Started: when, Asked: when}
	switch state {
	case gateway.ViaGiven:
		v.Stage, v.Status, v.Ended = "COMPLETED", gateway.ViaSuccess, when
		v.Consents = []gateway.ViaConsent{{Channel: "MESAJ", TransactionID: "tx1", At: when}}
	case gateway.ViaFailed:
		v.Stage, v.Status, v.Ended, v.Request = "REFUSED", "H1000", when, ""
	}
	return v
}

func (w *world) StartVia(_ context.Context, p *gateway.Principal, in gateway.ViaInput) (gateway.ViaOperation, error) {
	w.via = in
	v := aVia("")
	v.Replayed = in.Idempotency != nil && in.Idempotency.Key == "used"
	return v, w.own(p.Account, true)
}

func (w *world) CompleteVia(_ context.Context, p *gateway.Principal, in gateway.ViaAnswer) (gateway.ViaOperation, error) {
	w.viaAnswer = in
	return aVia(gateway.ViaGiven), w.own(p.Account, in.ID == "v1")
}

func (w *world) ViaState(_ context.Context, p *gateway.Principal, id string) (gateway.ViaOperation, error) {
	return aVia(""), w.own(p.Account, id == "v1")
}

func (w *world) ListVia(_ context.Context, p *gateway.Principal, cursor string, limit int) (gateway.Page[gateway.ViaOperation], error) {
	w.lookup = []string{cursor, strconv.Itoa(limit)}
	return gateway.Page[gateway.ViaOperation]{Items: []gateway.ViaOperation{aVia(""), aVia(gateway.ViaGiven), aVia(gateway.ViaFailed)}, Next: "z"}, w.own(p.Account, true)
}

func (w *world) ViaProof(_ context.Context, p *gateway.Principal, id string) ([]byte, error) {
	return []byte("PK"), w.own(p.Account, id == "v1")
}

func newAPI(w *world, cfg Config) *API {
	if cfg.ReadsPerSecond == 0 {
		cfg.ReadsPerSecond = 1_000_000
	}
	return New(cfg, Deps{Submitter: w, ConsentDesk: w, Authenticator: w, Reader: w, Steering: w, Webhooks: w, Imports: w, Via: w, Limits: w,
		Ready: func() error { return w.ready }})
}

// ask describes one request; zero fields take what a good caller would send.
type ask struct {
	method, path, body string
	key                string // goodKey when empty, none when "-"
	kind               string // content type; application/json when empty and there is a body
	header             []string
	remote             string
}

func (a ask) request() *http.Request {
	r := httptest.NewRequest(a.method, a.path, strings.NewReader(a.body))
	if a.key == "" {
		a.key = goodKey
	}
	if a.key != "-" {
		r.Header.Set("Authorization", "Bearer "+a.key)
	}
	if a.kind == "" && a.body != "" {
		a.kind = "application/json"
	}
	if a.kind != "" && a.kind != "-" {
		r.Header.Set("Content-Type", a.kind)
	}
	for h := range slices.Chunk(a.header, 2) {
		r.Header.Add(h[0], h[1])
	}
	if a.remote != "" {
		r.RemoteAddr = a.remote + ":4000"
	}
	return r
}

// do asks, holds the answer against the OpenAPI document and returns it.
func do(t *testing.T, api *API, a ask) *httptest.ResponseRecorder {
	t.Helper()
	rec := httptest.NewRecorder()
	r := a.request()
	api.Handler().ServeHTTP(rec, r)
	checkContract(t, r, rec)
	return rec
}
