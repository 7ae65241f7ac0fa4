//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"izinli/configs"
	"izinli/gateway"
	"izinli/iys/iystest"
	"izinli/test/browser"
	"izinli/test/stage"
)

const (
	panelPass    = "ilk günün uzun cümlesi"
	toRefused    = "+905361000010" // said RET at İYS
	toAgreed     = "+905361000011" // agreed, and tells us on the phone that it does so no more
	importedRows = 10_000
	importedHalf = 4_000 // rows İYS answers before it goes away for a while
)

// visit is a reader of the panel: a tab that is found clean on every page it stops at.
type visit struct {
	*testing.T
	*stage.Stage
	tab  *browser.Tab
	base string
}

func (v *visit) open(path string) { v.Helper(); v.tab.Go(v.base + path) }

// clean demands that the page as it stands has no fault.
func (v *visit) clean() {
	v.Helper()
	for _, f := range v.tab.Faults() {
		v.Errorf("%s: %s", strings.TrimPrefix(v.tab.At(), v.base), f)
	}
}

// TestPanel: from the set-up link to a cancelled batch, in a browser, on the assembled gateway.
func TestPanel(t *testing.T) {
	web := browser.Open(t)
	s := stage.New(t, stage.WithConfig(func(c *configs.Config) { c.Listen.Panel = "127.0.0.1:0" }))
	s.Consent(s.Seeds.Brand, "BIREYSEL", toRefused, "RET")
	s.Consent(s.Seeds.Brand, "BIREYSEL", toAgreed, "ONAY")
	s.Run()
	v := &visit{T: t, Stage: s, tab: web.Tab(t), base: "http://" + s.Server.Addrs["panel"]}
	v.tab.View(1440, false)
	v.setUp()
	key := v.newCustomer()
	v.watchDashboard(key)
	v.droppedMessage()
	v.importConsents()
	v.blockAddress()
	v.steerBatch()
	v.holdLane()
	v.countConsents()
	v.replayEvents()
	v.everyPage()
}

// setUp makes the first administrator through the link and signs in with it.
func (v *visit) setUp() {
	v.Helper()
	link, err := v.Server.SetupURL(v.Context())
	if err != nil || link == "" {
		v.Fatalf("set-up link %q, %v", link, err)
	}
	v.tab.Go(link)
	v.clean()
	secret := strings.Join(strings.Fields(v.tab.Text(".secret pre")), "")
	code := func(at time.Time) string {
		c, err := totp.GenerateCode(secret, at)
		if err != nil {
			v.Fatal(err)
		}
		return c
	}
	now := time.Now()
	v.tab.Fill("[name=name]", "ayse", "[name=password]", panelPass, "[name=again]", panelPass, "[name=code]", code(now))
	v.tab.Press("main form button.primary")
	v.tab.Await("h1", "Kurtarma kodları")
	v.clean()
	v.tab.Press("main a.primary")
	v.tab.Fill("[name=name]", "ayse", "[name=password]", panelPass)
	v.tab.Press("main form button.primary")
	v.tab.Await("h1", "Doğrulama kodu")
	v.clean()
	v.tab.Fill("[name=code]", code(now.Add(30*time.Second))) // the step before is used up
	v.tab.Press("main form button.primary")
	v.tab.Await("h1", "Pano")
	v.tab.Go(link)
	v.tab.Await("h1", "İşlem yapılamadı") // it works once
}

// newCustomer makes an account with everything it needs to send, and returns its API key.
func (v *visit) newCustomer() string {
	v.Helper()
	v.open("/accounts")
	v.tab.Press(".head a.primary")
	v.tab.Fill("[name=name]", "Yeni Müşteri A.Ş.", "[name=iysCode]", "701234")
	v.tab.Press("main form button.primary")
	v.tab.Await("h1", "Yeni Müşteri A.Ş.")
	account := v.tab.At()
	v.clean()
	v.tab.Press(`a[href$="/brand"]`)
	v.tab.Fill("[name=code]", "701235", "[name=name]", "Yeni")
	v.tab.Choose(`[name="sms.mode"]`, "self_managed")
	v.tab.Fill(`[name="sms.text"]`, "İzinlerimizi İYS'de kendimiz yönetiyoruz.", `[name="sms.version"]`, "1", `[name="sms.user"]`, "ali", `[name="sms.ip"]`, "192.0.2.1")
	v.tab.Press("main form button.primary")
	v.tab.Await("td", "701235")
	v.tab.Press(`a[href$="/sender"]`)
	v.tab.Fill("[name=name]", "YENI")
	v.tab.Click("[name=approved]")
	v.tab.Press("main form button.primary")
	v.tab.Await("td", "YENI")
	v.tab.Go(account + "/credits")
	v.tab.Fill("[name=credits]", "1000", "[name=note]", "fatura 1")
	v.tab.Press("main form button.primary")
	v.tab.Await(".card", "1.000")
	v.tab.Go(account)
	v.tab.Press(`a[href$="/credential"]`)
	v.tab.Press("main form button.primary")
	v.tab.Await("h1", "Kimlik hazır")
	v.clean()
	key := v.tab.Text(".secret pre")
	v.tab.Press("main a.primary")
	v.tab.Await("h1", "Yeni Müşteri A.Ş.")
	if strings.Contains(v.tab.Text("main"), key) {
		v.Error("the key is shown a second time")
	}
	return key
}

// watchDashboard sends with the new key while the dashboard is open: its figures move without anybody touching them.
func (v *visit) watchDashboard(key string) {
	v.Helper()
	v.open("/")
	v.tab.Await(".live", "Canlı")
	v.tab.Await(".card", "toplam 0")
	v.tab.AwaitThat(`(window.__mine = true)`)
	customer := stage.NewAPI(v.T, v.Server.Addrs["api"], key)
	to := make([]string, 25)
	for i := range to {
		to[i] = fmt.Sprintf("+90536200%04d", i)
	}
	r := customer.Send(stage.Body{"brand": "701235", "from": "YENI", "text": "Kış indirimi başladı.", "to": to})
	if r.Accepted != len(to) {
		v.Fatalf("accepted %d of %d: %+v", r.Accepted, len(to), r.Messages)
	}
	v.tab.Await("[data-part=rates] .card:first-child", "toplam 25")
	v.tab.Await("[data-part=rates] .card:nth-child(3)", "toplam 25")
	v.tab.AwaitThat(`document.querySelector("[data-part=chart] polyline") !== null`)
	v.tab.AwaitThat(`window.__mine === true`) // the same page still
	v.clean()
}

// droppedMessage looks a message up by its id and reads why it was not sent.
func (v *visit) droppedMessage() {
	v.Helper()
	r := v.API.Send(stage.Body{"brand": v.Seeds.Brand, "from": v.Seeds.Sender, "text": "Size özel fırsat.", "to": []string{toRefused}})
	if r.Dropped != 1 {
		v.Fatalf("dropped %d, want 1: %+v", r.Dropped, r.Messages)
	}
	v.open("/messages")
	v.tab.Fill("[name=what]", r.Messages[0].ID.String())
	v.tab.Press(".filter button")
	v.tab.Await(".note", "Neden gönderilmedi: İYS'de onay yok")
	v.tab.Await(".timeline", "gönderilmesin")
	v.tab.Await(".facts", "+90536*****10")
	if strings.Contains(v.tab.Text("main"), toRefused) {
		v.Error("the page shows a whole address")
	}
	v.clean()
	v.tab.Fill("[name=reason]", "müşteri şikâyeti 12")
	v.tab.Press(`form[action$="/reveal"] button`)
	v.tab.Await(".facts", toRefused)
	v.clean()
}

// importConsents brings a file of ten thousand rows and watches it go through; İYS is away for a while in the middle.
func (v *visit) importConsents() {
	v.Helper()
	var b strings.Builder
	b.WriteString("telefon\n")
	for i := range importedRows - 1 {
		fmt.Fprintf(&b, "0537%07d\n", i)
	}
	b.WriteString("bu bir numara değil\n")
	name := filepath.Join(v.TempDir(), "izinler.csv")
	if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
		v.Fatal(err)
	}
	const op = "statusMany"
	v.IYS.Fail(iystest.Fault{Operation: op, Skip: importedHalf / 1000, Times: -1, Status: http.StatusServiceUnavailable})
	v.open("/consents/import?account=1")
	v.clean()
	v.tab.Choose("main form[enctype] [name=brand]", v.Seeds.Brand)
	v.tab.File("[name=file]", name)
	v.tab.Press("main form[enctype] button.primary")
	v.tab.Await(".note", "Sürüyor: 4.000 satır")
	v.clean()
	v.IYS.ClearFaults()
	v.tab.Await(".note", "Bitti: 10.000 satır")
	v.tab.Await(".card.warn", "1")
	v.clean()
}

// blockAddress records what a person said on the phone.
func (v *visit) blockAddress() {
	v.Helper()
	v.open("/consents?account=1")
	v.tab.Choose("[name=brand]", v.Seeds.Brand)
	v.tab.Fill("[name=address]", strings.Replace(toAgreed, "+90", "0", 1))
	v.tab.Press(`form[action="/consents/find"] button.primary`)
	v.tab.Await(".note", "Onay var")
	v.clean()
	v.tab.Press("main button.danger")
	v.tab.Await(".note", "engellenecek")
	v.clean()
	v.tab.Press("main button.danger")
	v.tab.Await(".note.error", "Ret kaydı var")
	v.clean()
	stage.Until(v, "İYS to be told", func() error {
		if m, ok := v.IYS.Stored(v.Seeds.Brand, "MESAJ", "BIREYSEL", toAgreed); !ok || m.Status != "RET" {
			return fmt.Errorf("İYS holds %q", m.Status)
		}
		return nil
	})
	r := v.API.Send(stage.Body{"brand": v.Seeds.Brand, "from": v.Seeds.Sender, "text": "Fırsat.", "to": []string{toAgreed}})
	if r.Dropped != 1 || r.Messages[0].Code != gateway.CodeBlocked {
		v.Errorf("a message to the blocked address: %+v", r)
	}
}

// steerBatch pauses, resumes and cancels a batch that waits for its hour.
func (v *visit) steerBatch() {
	v.Helper()
	to := make([]string, 40)
	for i := range to {
		to[i] = fmt.Sprintf("+90536300%04d", i)
	}
	r := v.API.Send(stage.Body{"class": "transactional", "reason": "order", "from": v.Seeds.Sender, "text": "Siparişiniz yarın gelecek.", "to": to,
		"sendAt": time.Now().Add(24 * time.Hour).Format(time.RFC3339)})
	v.open("/batches?account=1")
	v.clean()
	v.tab.Press(fmt.Sprintf(`a[href="/batches/%s"]`, r.Batch))
	v.tab.Await("td", "İleri tarihli")
	v.tab.Press(`form[action$="/pause"] button`)
	v.tab.Await(".note", "40 mesaj bekletilecek")
	v.clean()
	v.tab.Press("main button.danger")
	v.tab.Await(".note", "Duraklatıldı: 40 mesaj")
	v.clean()
	v.tab.Press(`form[action$="/resume"] button`)
	v.tab.Await("td", "İleri tarihli")
	v.tab.Press(`form[action$="/cancel"] button`)
	v.tab.Await(".note", "40 mesaj iptal edilecek")
	v.tab.Press("main button.danger")
	v.tab.Await(".note", "40 mesaj iptal edildi")
	v.clean()
	if got := v.API.Batch(r.Batch).States["cancelled"]; got != len(to) {
		v.Errorf("%d messages are cancelled, want %d", got, len(to))
	}
}

// holdLane pauses a lane, sees a test message wait, and lets it go.
func (v *visit) holdLane() {
	v.Helper()
	const row = "tbody tr:nth-child(2) "
	v.open("/queue")
	v.tab.Press(row + "form button")
	v.tab.Await(".note", "şeridi duraklatılacak")
	v.tab.Press("main button.danger")
	v.tab.Await(row+"td", "Duraklatıldı")
	v.clean()
	v.open("/test?account=1")
	v.tab.Fill("[name=address]", "0536 100 00 20")
	v.tab.Press("main form[action=\"/test\"] button.primary")
	v.tab.Await(".note", "Sırada; hemen gönderilecek")
	at := v.tab.At()
	v.clean()
	v.open("/")
	v.tab.Await(".note.error", "Bilgilendirme şeridi duraklatıldı")
	if got := len(v.Reached("+905361000020")); got != 0 {
		v.Errorf("%d short messages left although their lane is paused", got)
	}
	v.open("/queue")
	v.tab.Press(row + "form button")
	v.tab.Await(row+"td", "Çalışıyor")
	stage.Until(v, "the test message to leave", func() error {
		if got := len(v.Reached("+905361000020")); got != 1 {
			return fmt.Errorf("%d short messages", got)
		}
		return nil
	})
	v.tab.Go(at)
	v.tab.Await(".timeline", "Gönderildi")
}

// countConsents holds what is known of a brand against İYS's own count.
func (v *visit) countConsents() {
	v.Helper()
	v.open("/accounts/1/brand/view?code=" + v.Seeds.Brand)
	v.tab.Press(`form[action$="/brand/count"] button`)
	v.tab.Await("td", "İYS (bütün kanallar)")
	v.tab.Await("td", "Fark")
	v.clean()
}

// replayEvents sends again what a webhook did not take while its endpoint was broken.
func (v *visit) replayEvents() {
	v.Helper()
	var mu sync.Mutex
	well, took := false, 0
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if !well {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		took++
	}))
	defer hook.Close()
	v.open("/accounts/1/webhook")
	v.tab.Fill("[name=url]", hook.URL)
	v.tab.Press(`form[action$="/webhook"] button.primary`)
	v.tab.Await("h1", "Webhook")
	r := v.API.Send(stage.Body{"class": "transactional", "reason": "order", "from": v.Seeds.Sender, "text": "Siparişiniz yolda.", "to": []string{"+905361000021"}})
	v.Final(r.Messages[0].ID)
	stage.Until(v, "the first attempt", func() error {
		page, err := v.Store.Events(v.Context(), 1, false, "", 10)
		if err == nil && (len(page.Items) == 0 || page.Items[0].LastErr == "") {
			err = fmt.Errorf("events %+v", page.Items)
		}
		return err
	})
	v.open("/accounts/1/webhook")
	v.tab.Await("td", "Mesajın son durumu")
	v.tab.Await("td", "500")
	v.clean()
	mu.Lock()
	well = true
	mu.Unlock()
	v.tab.Press("td form button")
	v.tab.Await(".note.ok", "1 olay yeniden gönderiliyor")
	stage.Until(v, "the event to be taken", func() error {
		mu.Lock()
		defer mu.Unlock()
		if took == 0 {
			return errors.New("not yet")
		}
		return nil
	})
}
