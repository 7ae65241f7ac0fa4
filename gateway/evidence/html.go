package evidence

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
)

//go:embed bundle.html
var page string

// istanbul is the zone of every time on paper.
var istanbul = time.FixedZone("+03", 3*60*60)

var sheet = template.Must(template.New("bundle").Funcs(template.FuncMap{
	"at": func(t time.Time) string {
		if t.IsZero() {
			return "–"
		}
		return t.In(istanbul).Format("02.01.2006 15:04:05")
	},
	"or":   func(s string) string { return strings.TrimSpace(firstOf(s, "–")) },
	"word": word,
	"chunk": func(s string) string { // long hashes break between words only
		var b strings.Builder
		for i, r := range s {
			if i > 0 && i%16 == 0 {
				b.WriteByte(' ')
			}
			b.WriteRune(r)
		}
		return b.String()
	},
}).Parse(page))

func firstOf(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// words are the fixed words of a bundle in Turkish, then English.
var words = map[string][2]string{
	"sms": {"SMS", "SMS"}, "email": {"e-posta", "e-mail"},
	"commercial": {"ticari", "commercial"}, "transactional": {"bilgilendirme", "transactional"}, "otp": {"tek kullanımlık parola", "one-time password"},
	"accept": {"kabul", "acceptance"}, "intent": {"gönderim öncesi", "before hand-off"}, "hold": {"bekletme", "hold"}, "drop": {"gönderilmedi", "dropped"},
	"send": {"gönderilebilir", "send"}, "refuse": {"ret", "refused"},
	"mirror": {"yerel kopya", "local copy"}, "live": {"İYS'ye canlı sorgu", "live question to İYS"}, "declaration": {"müşteri beyanı", "customer's declaration"},
	"delivered": {"iletildi", "delivered"}, "undelivered": {"iletilemedi", "undelivered"}, "expired": {"süresi doldu", "expired"},
	"rejected": {"operatör reddetti", "rejected by the operator"}, "unknown": {"bilinmiyor", "unknown"}, "dropped": {"gönderilmedi", "dropped"},
	"cancelled": {"iptal edildi", "cancelled"}, "failed": {"başarısız", "failed"}, "sent": {"operatöre verildi", "handed to the operator"},
	"queued": {"sırada", "queued"}, "scheduled": {"zamanlandı", "scheduled"}, "held": {"bekletiliyor", "held"}, "accepted": {"kabul edildi", "accepted"},
	"api": {"API", "API"}, "import": {"dosya", "file"}, "pull": {"İYS'den çekildi", "pulled from İYS"}, "push": {"İYS bildirdi", "pushed by İYS"},
	"iys": {"İYS yanıtı", "answer of İYS"}, "page": {"çıkış sayfası", "unsubscribe page"}, "one_click": {"tek tıkla çıkış", "one-click unsubscribe"},
	"panel": {"panel", "panel"}, "complaint": {"şikâyet", "complaint"}, "mailto": {"e-posta ile çıkış", "unsubscribe by mail"},
}

func word(v any) string {
	s := fmt.Sprint(v)
	if w, ok := words[s]; ok && w[0] != w[1] {
		return w[0] + " / " + w[1]
	}
	return firstOf(s, "–")
}

// HTML writes the bundle as one page in Turkish and English that needs nothing from elsewhere.
func (b *Bundle) HTML(w io.Writer) error {
	if err := sheet.Execute(w, b); err != nil {
		return fmt.Errorf("evidence: write page: %w", err)
	}
	return nil
}
