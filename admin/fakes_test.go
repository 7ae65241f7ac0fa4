package admin

import (
	"context"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/evidence"
	"izinli/iys/reconcile"
)

// office is a desk of made-up records that remembers what was done.
type office struct {
	desk.Service // what a test does not expect panics

	mu   sync.Mutex
	acts []string // guarded by mu
	fail error    // of every change

	accounts    []gateway.Account
	brands      []gateway.Brand
	senders     []gateway.Sender
	numbers     []gateway.Number
	credentials []gateway.Credential
	operators   []gateway.Operator
	routes      []gateway.Route
	links       []gateway.IYSLink
	webhooks    []gateway.Webhook
	messages    []desk.MessageDetail
	batch       gateway.BatchView
	bare        bool // there is nothing in the lists
	parts       int  // a list of messages begins with so many empty pages
	blacklist   []desk.BlacklistEntry
	consent     gateway.ConsentView
	asked       gateway.ViaInput // over ViA
	iys         iysActs
	imported    gateway.ImportRequest
	refused     func(io.Writer) error // writes the refused rows of an import
	form        gateway.Form
}

func (o *office) did(ctx context.Context, what string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return o.fail
	}
	o.acts = append(o.acts, what+" by "+desk.ActorOf(ctx))
	return nil
}

func (o *office) done() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.acts...)
}

func of[T any](list []T, q desk.Query, account func(*T) gateway.AccountID) (out []T) {
	for i := range list {
		if q.Account == 0 || account(&list[i]) == q.Account {
			out = append(out, list[i])
		}
	}
	return out
}

func (o *office) ListAccounts(_ context.Context, q desk.Query) ([]gateway.Account, error) {
	return of(o.accounts, q, func(a *gateway.Account) gateway.AccountID { return a.ID }), nil
}
func (o *office) PutAccount(ctx context.Context, a gateway.Account) (gateway.Account, error) {
	if a.ID == 0 {
		a.ID = 9
	}
	return a, o.did(ctx, "PutAccount")
}
func (o *office) SuspendAccount(ctx context.Context, s desk.Suspension) (gateway.Account, error) {
	return gateway.Account{}, o.did(ctx, "SuspendAccount")
}
func (o *office) AddCredits(ctx context.Context, e desk.CreditEntry) (gateway.Balance, error) {
	return gateway.Balance{}, o.did(ctx, "AddCredits")
}
func (o *office) Balance(context.Context, desk.Query) (gateway.Balance, error) {
	return gateway.Balance{Credits: 48_250, Charged: 51_750, Added: 100_000, Warning: 50_000}, nil
}
func (o *office) ListBrands(_ context.Context, q desk.Query) ([]gateway.Brand, error) {
	return of(o.brands, q, func(b *gateway.Brand) gateway.AccountID { return b.Account }), nil
}
func (o *office) PutBrand(ctx context.Context, b gateway.Brand) (gateway.Brand, error) {
	return b, o.did(ctx, "PutBrand")
}
func (o *office) ListSenders(_ context.Context, q desk.Query) ([]gateway.Sender, error) {
	return of(o.senders, q, func(b *gateway.Sender) gateway.AccountID { return b.Account }), nil
}
func (o *office) PutSender(ctx context.Context, s gateway.Sender) (gateway.Sender, error) {
	return s, o.did(ctx, "PutSender")
}
func (o *office) DeleteSender(ctx context.Context, _ gateway.SenderKey) (desk.Nothing, error) {
	return desk.Nothing{}, o.did(ctx, "DeleteSender")
}
func (o *office) ListNumbers(_ context.Context, q desk.Query) ([]gateway.Number, error) {
	return of(o.numbers, q, func(b *gateway.Number) gateway.AccountID { return b.Account }), nil
}
func (o *office) PutNumber(ctx context.Context, n gateway.Number) (gateway.Number, error) {
	return n, o.did(ctx, "PutNumber")
}
func (o *office) DeleteNumber(ctx context.Context, _ gateway.Number) (desk.Nothing, error) {
	return desk.Nothing{}, o.did(ctx, "DeleteNumber")
}
func (o *office) ListCredentials(_ context.Context, q desk.Query) ([]gateway.Credential, error) {
	return of(o.credentials, q, func(b *gateway.Credential) gateway.AccountID { return b.Account }), nil
}
func (o *office) CreateCredential(ctx context.Context, n desk.NewCredential) (desk.Issued, error) {
	return desk.Issued{Credential: n.Credential, Secret: "izk_made_up"}, o.did(ctx, "CreateCredential")
}
func (o *office) ChangeCredential(ctx context.Context, c gateway.Credential) (gateway.Credential, error) {
	return c, o.did(ctx, "ChangeCredential")
}
func (o *office) RotateCredential(ctx context.Context, r desk.Rotation) (desk.Issued, error) {
	return desk.Issued{Credential: gateway.Credential{Kind: r.Kind, ID: r.ID}, Secret: "izk_made_up"}, o.did(ctx, "RotateCredential")
}
func (o *office) RevokeCredential(ctx context.Context, _ gateway.CredentialKey) (gateway.Credential, error) {
	return gateway.Credential{}, o.did(ctx, "RevokeCredential")
}
func (o *office) ListOperators(context.Context, desk.Query) ([]gateway.Operator, error) {
	return o.operators, nil
}
func (o *office) PutOperator(ctx context.Context, in desk.OperatorInput) (gateway.Operator, error) {
	return in.Operator, o.did(ctx, "PutOperator")
}
func (o *office) DeleteOperator(ctx context.Context, _ desk.Name) (desk.Nothing, error) {
	return desk.Nothing{}, o.did(ctx, "DeleteOperator")
}
func (o *office) ListRoutes(context.Context, desk.Query) ([]gateway.Route, error) {
	return o.routes, nil
}
func (o *office) PutRoute(ctx context.Context, r gateway.Route) (gateway.Route, error) {
	return r, o.did(ctx, "PutRoute")
}
func (o *office) DeleteRoute(ctx context.Context, _ desk.Name) (desk.Nothing, error) {
	return desk.Nothing{}, o.did(ctx, "DeleteRoute")
}
func (o *office) TryRoute(_ context.Context, t desk.Trial) (desk.Path, error) {
	if !strings.HasPrefix(t.Address, "0") {
		return desk.Path{}, gateway.Refuse(gateway.CodeBadNumber, "address", "")
	}
	return desk.Path{Address: "+905321234567", Class: t.Class, Lane: "commercial", Route: &o.routes[0],
		Steps: []desk.PathStep{{Operator: "op1", Share: 100}}, Passed: []desk.PassedRoute{{ID: "otp", Why: "is for class otp"}}}, nil
}
func (o *office) ListIYSLinks(context.Context, desk.Query) ([]gateway.IYSLink, error) {
	return o.links, nil
}
func (o *office) PutIYSLink(ctx context.Context, in desk.IYSLinkInput) (gateway.IYSLink, error) {
	return in.Link, o.did(ctx, "PutIYSLink")
}
func (o *office) ListWebhooks(_ context.Context, q desk.Query) ([]gateway.Webhook, error) {
	return of(o.webhooks, q, func(b *gateway.Webhook) gateway.AccountID { return b.Account }), nil
}
func (o *office) PutWebhook(ctx context.Context, in desk.WebhookInput) (gateway.WebhookView, error) {
	return gateway.WebhookView{URL: in.URL, Secret: "whsec"}, o.did(ctx, "PutWebhook")
}
func (o *office) Message(_ context.Context, n desk.Name) (desk.MessageDetail, error) {
	for _, m := range o.messages {
		if m.Message.ID.String() == n.Name {
			return m, nil
		}
	}
	return desk.MessageDetail{}, gateway.Refuse(gateway.CodeNotFound, "id", "")
}
func (o *office) ListMessages(_ context.Context, q desk.MessageQuery) (page gateway.Page[gateway.MessageView], err error) {
	if at := atoi(q.Cursor); at < o.parts {
		page.Next = strconv.Itoa(at + 1)
		return page, nil
	}
	for _, m := range o.messages {
		if m.Message.ID.Account == q.Account && (q.To == "" || q.To == m.Message.To) {
			page.Items = append(page.Items, m.Message)
		}
	}
	return page, nil
}
func (o *office) CancelMessage(ctx context.Context, _ desk.Name) (desk.Nothing, error) {
	return desk.Nothing{}, o.did(ctx, "CancelMessage")
}
func (o *office) Batch(context.Context, desk.Name) (gateway.BatchView, error) { return o.batch, nil }
func (o *office) PauseBatch(ctx context.Context, _ desk.Name) (gateway.BatchView, error) {
	return o.batch, o.did(ctx, "PauseBatch")
}
func (o *office) ResumeBatch(ctx context.Context, _ desk.Name) (gateway.BatchView, error) {
	return o.batch, o.did(ctx, "ResumeBatch")
}
func (o *office) CancelBatch(ctx context.Context, _ desk.Name) (desk.Cancelled, error) {
	return desk.Cancelled{Cancelled: 412}, o.did(ctx, "CancelBatch")
}
func (o *office) LookupConsent(context.Context, desk.ConsentQuery) (gateway.ConsentView, error) {
	return o.consent, nil
}
func (o *office) AddConsents(ctx context.Context, in desk.ConsentInput) ([]gateway.ConsentResult, error) {
	return make([]gateway.ConsentResult, len(in.Consents)), o.did(ctx, "AddConsents")
}
func (o *office) OptOut(ctx context.Context, _ gateway.OptOut) (desk.Nothing, error) {
	return desk.Nothing{}, o.did(ctx, "OptOut")
}
func (o *office) ListBlacklist(_ context.Context, q desk.BlacklistQuery) (gateway.Page[desk.BlacklistEntry], error) {
	return gateway.Page[desk.BlacklistEntry]{Items: of(o.blacklist, desk.Query{Account: q.Account}, func(b *desk.BlacklistEntry) gateway.AccountID { return b.Account }), Next: "+905330000001"}, nil
}
func (o *office) ListEvents(_ context.Context, q desk.EventQuery) (page gateway.Page[gateway.Event], _ error) {
	if q.Failed {
		page.Items = []gateway.Event{{ID: "e9", Type: "inbound", At: noon.Add(-80 * time.Hour), Tries: 81, LastErr: "status 500"}}
	} else if !o.bare {
		page.Items = []gateway.Event{{ID: "e1", Type: "message.final", At: noon, NextAt: noon.Add(time.Minute), Tries: 3, LastErr: "502 Bad Gateway"}, {ID: "e2", Type: "credit.low", At: noon, NextAt: noon}}
		page.Next = "00ff"
	}
	return page, nil
}
func (o *office) ReplayEvents(ctx context.Context, in desk.Replay) (desk.Replayed, error) {
	return desk.Replayed{Events: max(1, len(in.IDs))}, o.did(ctx, "ReplayEvents")
}
func (o *office) ListBlocks(_ context.Context, q desk.ListQuery) (page gateway.Page[gateway.Block], _ error) {
	if !o.bare {
		page.Items = []gateway.Block{{Account: q.Account, Brand: "675403", Channel: "MESAJ", Address: "+905321234567", Route: "sms", Source: "HS_MESAJ", At: noon},
			{Account: q.Account, Brand: "675403", Channel: "EPOSTA", Address: "kisi@example.com", Route: "one_click", Source: "HS_EPOSTA", At: noon, Review: true}}
		page.Next = "4d4553414a"
	}
	return page, nil
}
func (o *office) ListBookings(context.Context, desk.ListQuery) (page gateway.Page[gateway.Booking], _ error) {
	if !o.bare {
		page.Items = []gateway.Booking{{At: noon, Credits: 100_000, Note: "fatura 117"}, {At: noon, Credits: -500, Note: "=düzeltme"}}
	}
	return page, nil
}
func (o *office) CountBrand(ctx context.Context, q desk.BrandQuery) (desk.BrandTotals, error) {
	out := desk.BrandTotals{At: noon, Here: []desk.ChannelTotals{{Channel: "MESAJ", ConsentTotals: desk.ConsentTotals{Approved: 120_000, Rejected: 4_000}}, {Channel: "EPOSTA"}},
		IYS: &desk.ConsentTotals{Approved: 120_010, Rejected: 4_001}}
	return out, o.did(ctx, "CountBrand")
}
func (o *office) ListLanes(context.Context, desk.Nothing) ([]desk.LaneView, error) {
	return []desk.LaneView{{Lane: "otp", Done: 900}, {Lane: "transactional", Waiting: 12, Running: 2, Oldest: 90 * time.Second}, {Lane: "commercial", Waiting: 40_000, Paused: true, Oldest: time.Hour, Resting: 2, Failed: 1}}, nil
}
func (o *office) PauseLane(ctx context.Context, _ desk.LanePause) ([]desk.LaneView, error) {
	return nil, o.did(ctx, "PauseLane")
}
func (o *office) SendTest(ctx context.Context, in desk.TestMessage) (gateway.Verdict, error) {
	if !strings.HasPrefix(in.Address, "0") {
		return gateway.Verdict{Code: gateway.CodeBadNumber, Text: "No such number."}, nil
	}
	return gateway.Verdict{ID: messageID, State: gateway.StateQueued}, o.did(ctx, "SendTest")
}
func (o *office) Settings(context.Context, desk.Nothing) ([]desk.Setting, error) {
	return []desk.Setting{{Name: "listen.api", Value: ":8080"}, {Name: "queue.redis", Value: "embedded"}, {Name: "trustedProxies", Value: ""}}, nil
}
func (o *office) IYSStatus(_ context.Context, q desk.Query) ([]desk.IYSStatus, error) {
	if o.bare {
		return nil, nil
	}
	one := desk.IYSStatus{Account: q.Account}
	one.Brand, one.KnownTo, one.Stale = "675403", noon, true
	one.Requery.Started, one.Requery.Total, one.Requery.Done, one.Requery.Changed = noon, 120_000, 4_000, 12
	one.Rights, one.Push = rightsOf(one.Brand), pushesOf(one.Brand)
	return []desk.IYSStatus{one}, nil
}
func (o *office) Packages(_ context.Context, q desk.Query) ([]gateway.PackageReport, error) {
	if o.bare {
		return nil, gateway.Refuse(gateway.CodeUnavailable, "", "")
	}
	return []gateway.PackageReport{{Account: q.Account, Phones: 23_900, Emails: 1_200, Addresses: 23_900, Package: "İleti-25 (Seviye 2)", Limit: 25_000, From: "name", Crosses: noon.AddDate(0, 0, 40), At: noon}}, nil
}
func (o *office) ListOutbox(_ context.Context, q desk.OutboxQuery) ([]desk.OutboxEntry, error) {
	if o.bare {
		return nil, nil
	}
	return []desk.OutboxEntry{{ID: 1, Account: q.Account, Brand: "675403", Channel: "MESAJ", Address: "+90532*****67", Status: "RET", State: "pending", Code: "H103", Received: noon.AddDate(0, 0, -5), Deadline: noon.AddDate(0, 0, -1), Late: true},
		{ID: 2, Account: q.Account, Brand: "675403", Channel: "MESAJ", Address: "+90533*****00", Status: "RET", State: "owed_by_customer", Received: noon.AddDate(0, 0, -2), Deadline: noon.AddDate(0, 0, 1)}}, nil
}
func (o *office) ListReconciledDays(context.Context, desk.DayQuery) ([]reconcile.Day, error) {
	return []reconcile.Day{{Brand: "675403", Date: "2026-11-19", Result: reconcile.Differs, Rows: 412, Plan: 7}, {Brand: "675403", Date: "2026-11-18", Result: reconcile.Agreed, Rows: 380, Proof: true},
		{Brand: "675403", Date: "2026-11-17", Result: reconcile.Failed, Note: "İYS answered 503"}}, nil
}
func (o *office) RepairPlan(_ context.Context, q desk.PlanQuery) (desk.PlanDetail, error) {
	if q.ID != 7 && q.ID != 8 {
		return desk.PlanDetail{}, gateway.Refuse(gateway.CodeNotFound, "id", "")
	}
	brand := "675403"
	if q.ID == 8 {
		brand = "700001" // of account 2
	}
	item := reconcile.Item{N: 1, Kind: reconcile.MissingHere, Action: "take"}
	item.Theirs.Recipient, item.Theirs.Status = "+905321234567", "RET"
	return desk.PlanDetail{Plan: reconcile.Plan{ID: q.ID, Brand: brand, Date: "2026-11-19", State: reconcile.Open, Made: noon, Here: 1, There: 2, Different: 1, Review: 1}, Items: []reconcile.Item{item}}, nil
}
func (o *office) ChangePlan(ctx context.Context, _ desk.PlanAct) (desk.PlanOutcome, error) {
	return desk.PlanOutcome{}, o.did(ctx, "ChangePlan")
}
func (o *office) ListForms(_ context.Context, q desk.Query) ([]desk.FormView, error) {
	if o.bare {
		return nil, nil
	}
	return []desk.FormView{{Form: gateway.Form{ID: "f1", Account: 1, Brand: "675403", Channel: "sms", TradeName: "Örnek A.Ş.", Version: "3", Created: noon}, URL: "https://izin.example/f/f1"},
		{Form: gateway.Form{ID: "f2", Account: 2, Brand: "700001", Channel: "email", TradeName: "Başka", Version: "2", Created: noon, Revoked: noon}}}, nil
}
func (o *office) CreateForm(ctx context.Context, f gateway.Form) (desk.FormView, error) {
	if len(f.TextTR) < 30 {
		return desk.FormView{}, gateway.Refuse(gateway.CodeInvalid, "textTr", "textTr is too short")
	}
	o.form = f
	return desk.FormView{Form: f}, o.did(ctx, "CreateForm")
}
func (o *office) RevokeForm(ctx context.Context, _ desk.Name) (desk.FormView, error) {
	return desk.FormView{}, o.did(ctx, "RevokeForm")
}

func (o *office) ListSmarthosts(context.Context, desk.Query) ([]gateway.Smarthost, error) {
	if o.bare {
		return nil, nil
	}
	return []gateway.Smarthost{{Name: "op1", Addr: "smtp.example.com:587", TLS: "verified", Weight: 2}, {Name: "mx", Direct: true, Rank: 1, Draining: true}}, nil
}
func (o *office) PutSmarthost(ctx context.Context, in desk.SmarthostInput) (gateway.Smarthost, error) {
	return in.Smarthost, o.did(ctx, "PutSmarthost")
}
func (o *office) ListDKIMKeys(context.Context, desk.Query) ([]gateway.DKIMKey, error) {
	if o.bare {
		return nil, nil
	}
	return []gateway.DKIMKey{{Domain: "ornek.com", Selector: "izinli1", Account: 1, Record: "v=DKIM1; k=rsa; p=" + strings.Repeat("MIIBIjANBgkq", 20)}}, nil
}
func (o *office) ListRelayPeers(context.Context, desk.Query) ([]gateway.RelayPeer, error) {
	if o.bare {
		return nil, nil
	}
	return []gateway.RelayPeer{{Name: "crm", Credential: "smtp1", CIDRs: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, RequireTLS: true}}, nil
}
func (o *office) ListSuppressions(_ context.Context, q desk.SuppressionQuery) (page gateway.Page[gateway.Suppression], _ error) {
	if !o.bare {
		page.Items = []gateway.Suppression{{Account: q.Account, Address: "kisi@example.com", Class: "address", Text: "550 5.1.1 user unknown", At: noon}}
		page.Next = "kisi@example.com"
	}
	return page, nil
}
func (o *office) DeleteSuppression(ctx context.Context, _ gateway.Suppression) (desk.Nothing, error) {
	return desk.Nothing{}, o.did(ctx, "DeleteSuppression")
}
func (o *office) Evidence(ctx context.Context, q desk.EvidenceQuery) (evidence.Bundle, error) {
	return evidence.Bundle{Format: "made up", Message: q.Message}, o.did(ctx, "Evidence")
}
func (o *office) PutBlacklist(ctx context.Context, _ desk.BlacklistEntry) (desk.Nothing, error) {
	return desk.Nothing{}, o.did(ctx, "PutBlacklist")
}
func (o *office) DeleteBlacklist(ctx context.Context, _ desk.BlacklistEntry) (desk.Nothing, error) {
	return desk.Nothing{}, o.did(ctx, "DeleteBlacklist")
}

// people keeps users in memory.
type people struct {
	mu sync.Mutex
	m  map[string]gateway.PanelUser
}

func (p *people) PanelUser(_ context.Context, name string) (gateway.PanelUser, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if u, ok := p.m[name]; ok {
		return u, nil
	}
	return gateway.PanelUser{}, gateway.Refuse(gateway.CodeNotFound, "user", "")
}
func (p *people) PanelUsers(context.Context) (out []gateway.PanelUser, _ error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range sortedKeys(p.m) {
		out = append(out, p.m[name])
	}
	return out, nil
}
func (p *people) PutPanelUser(_ context.Context, u gateway.PanelUser) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.m[u.Name] = u
	return nil
}
func (p *people) DeletePanelUser(_ context.Context, name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.m, name)
	return nil
}
func (p *people) Seal(s string) gateway.Sealed { return gateway.Sealed("sealed:" + s) }
func (p *people) Unseal(s gateway.Sealed) (string, error) {
	return strings.TrimPrefix(string(s), "sealed:"), nil
}

// files are imports that end at once.
type files struct{ office *office }

func (f files) StartImport(ctx context.Context, _ *gateway.Principal, r gateway.ImportRequest) (gateway.ImportView, error) {
	if _, err := io.Copy(io.Discard, r.File); err != nil {
		return gateway.ImportView{}, err
	}
	r.File = nil
	f.office.imported = r
	return gateway.ImportView{ID: "i1", Brand: r.Brand, Mode: r.Mode}, f.office.did(ctx, "StartImport")
}
func (f files) Import(_ context.Context, a gateway.AccountID, id string) (gateway.ImportView, error) {
	return gateway.ImportView{ID: id, Brand: "675403", Mode: "verify", State: gateway.ImportRunning, Format: gateway.FormatCSV, Progress: 41, Rows: 4200, Good: 4100, Bad: 100, Approved: 3900, Created: noon, Updated: noon}, nil
}
func (f files) ListImports(_ context.Context, _ gateway.AccountID, _ string, _ int) (page gateway.Page[gateway.ImportView], _ error) {
	if !f.office.bare {
		page.Items = []gateway.ImportView{{ID: "i1", Brand: "675403", Mode: "verify", State: gateway.ImportRunning, Progress: 41, Rows: 4200, Bad: 100, Created: noon, Name: "<b>kasım</b>.csv"},
			{ID: "i0", Brand: "675403", Mode: "register", State: gateway.ImportDone, Progress: 100, Rows: 10, DryRun: true, Created: noon}, {ID: "h9", Brand: "675403", Mode: "register", State: gateway.ImportFailed, Created: noon}}
		page.Next = "h9"
	}
	return page, nil
}
func (f files) ImportErrors(_ context.Context, _ gateway.AccountID, _ string, w io.Writer) error {
	if f.office.refused != nil {
		return f.office.refused(w)
	}
	_, err := io.WriteString(w, "adres;hata\n")
	return err
}

type hooks struct{}

func (hooks) Webhook(context.Context, gateway.AccountID) (gateway.WebhookView, error) {
	return gateway.WebhookView{Pending: 3, LastErr: "502 Bad Gateway"}, nil
}
func (hooks) PutWebhook(context.Context, gateway.AccountID, gateway.WebhookView) (gateway.WebhookView, error) {
	panic("changes go through the desk")
}
