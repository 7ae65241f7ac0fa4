package iystest

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"sort"
	"strings"
	"time"
)

// fileAnswer is a download.
type fileAnswer struct {
	kind string // content type
	body []byte
}

// dayOf checks brand and reportDate (H501, H502) and returns the day.
func (s *Sim) dayOf(c *caller, r *http.Request) (brand string, day time.Time, a *answer) {
	if brand, a = s.brandOf(c, r, "", false); a != nil {
		return "", day, a
	}
	day, err := time.ParseInLocation(time.DateOnly, r.PathValue("reportDate"), Istanbul)
	if err != nil {
		return "", day, s.failp(422, at("H501", "reportDate", r.PathValue("reportDate")))
	}
	y, m, d := s.now().Date()
	today := time.Date(y, m, d, 0, 0, 0, 0, Istanbul)
	if !day.Before(today) || day.Before(today.AddDate(0, 0, -7)) {
		return "", day, s.failp(422, at("H502", "reportDate", r.PathValue("reportDate")))
	}
	return brand, day, nil
}

// movesOf are the movements of a day in the order of the file.
func (s *Sim) movesOf(brand string, day time.Time) []Movement {
	var out []Movement
	end := day.AddDate(0, 0, 1)
	for _, m := range s.moves {
		if m.BrandCode == brand && !m.CreationDate.Before(day) && m.CreationDate.Before(end) {
			out = append(out, m)
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return before(out[i], out[j]) })
	return out
}

// csvOf is the file of movements (iys-api.md §11): header, comma, no quotes,
// LF, an end of line after the last row too.
func csvOf(moves []Movement) []byte {
	var b strings.Builder
	b.WriteString("creationDate,transactionId,recipient,recipientType,type,status,consentDate,source\n")
	for _, m := range moves {
		date := ""
		if !m.ConsentDate.IsZero() {
			date = m.ConsentDate.In(Istanbul).Format(dateForm)
		}
		b.WriteString(strings.Join([]string{
			m.CreationDate.In(Istanbul).Format(dateForm), m.TransactionID, m.Recipient, m.RecipientType, m.Type, m.Status, date, m.Source,
		}, ",") + "\n")
	}
	return []byte(b.String())
}

func (s *Sim) daySummary(c *caller, r *http.Request, _ []byte) answer {
	brand, day, a := s.dayOf(c, r)
	if a != nil {
		return *a
	}
	rt := r.PathValue("rt")
	if !oneOf(rt, "BIREYSEL", "TACIR") {
		return s.fail(422, at("H116", "recipientType", rt))
	}
	counts := s.countDay(brand, day, rt)
	stats := []map[string]any{}
	for _, ch := range []string{"ARAMA", "EPOSTA", "MESAJ"} {
		rows := []map[string]any{}
		for _, src := range []string{"HS", "IYS"} {
			if n := counts[ch+src]; n != nil {
				rows = append(rows, map[string]any{"source": src, "approval": n.approved, "rejection": n.rejected, "pending": 0, "total": n.total})
			}
		}
		if len(rows) > 0 {
			stats = append(stats, map[string]any{"type": ch, "consents": rows})
		}
	}
	return answer{200, map[string]any{"changeStats": stats}}
}

type dayCount struct{ approved, rejected, total int }

// countDay counts a day by channel and source, following each address from its
// first movement on: what counts is the change of its status.
func (s *Sim) countDay(brand string, day time.Time, rt string) map[string]*dayCount {
	out := map[string]*dayCount{}
	was := map[key]string{}
	end := day.AddDate(0, 0, 1)
	for _, m := range s.moves {
		if m.BrandCode != brand || m.RecipientType != rt {
			continue
		}
		old := was[m.key()]
		was[m.key()] = m.Status
		if m.CreationDate.Before(day) || !m.CreationDate.Before(end) {
			continue
		}
		src := "HS"
		if strings.HasPrefix(m.Source, "IYS_") {
			src = "IYS"
		}
		n := out[m.Type+src]
		if n == nil {
			n = &dayCount{}
			out[m.Type+src] = n
		}
		n.total++
		switch {
		case m.Status == "ONAY" && old != "ONAY":
			n.approved++
		case m.Status == "RET" && old == "ONAY":
			n.rejected++
		}
	}
	return out
}

func (s *Sim) dayFile(c *caller, r *http.Request, _ []byte) answer {
	brand, day, a := s.dayOf(c, r)
	if a != nil {
		return *a
	}
	moves := s.movesOf(brand, day)
	if len(moves) == 0 {
		return answer{204, nil}
	}
	return answer{200, fileAnswer{"text/csv; charset=utf-8", csvOf(moves)}}
}

func agreedKey(brand string, day time.Time) string { return brand + "/" + day.Format(time.DateOnly) }

func (s *Sim) agreement(c *caller, r *http.Request, _ []byte) answer {
	brand, day, a := s.dayOf(c, r)
	if a != nil {
		return *a
	}
	moves := s.movesOf(brand, day)
	if len(moves) == 0 {
		return answer{204, nil}
	}
	if s.odd.FileQueued {
		return answer{200, map[string]any{"processStatus": "queued", "agreementStatus": false}}
	}
	sum := sha512.Sum384(csvOf(moves))
	_, agreed := s.agreed[agreedKey(brand, day)]
	return answer{200, map[string]any{
		"processStatus": "completed", "hashValue": hex.EncodeToString(sum[:]), "hashMethod": "SHA-384", "agreementStatus": agreed,
	}}
}

func (s *Sim) agree(c *caller, r *http.Request, body []byte) answer {
	brand, day, a := s.dayOf(c, r)
	if a != nil {
		return *a
	}
	var in struct {
		Status bool `json:"agreementStatus"`
	}
	if json.Unmarshal(body, &in) != nil {
		return s.fail(400, problem{Code: "H014"})
	}
	if !in.Status {
		return s.fail(422, at("H512", "agreementStatus", false))
	}
	if len(s.movesOf(brand, day)) == 0 {
		return answer{204, nil}
	}
	s.agreed[agreedKey(brand, day)] = s.now()
	if s.odd.AgreementSpelled {
		return answer{200, map[string]bool{"aggrementCaptured": true}}
	}
	return answer{200, map[string]bool{"agreementCaptured": true}}
}

// Agreed reports whether somebody agreed to a brand's day.
func (s *Sim) Agreed(brand string, day time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.agreed[agreedKey(brand, day.In(Istanbul))]
	return ok
}

// timestamp stands in for the RFC 3161 answer of the time-stamp authority: bytes
// that belong to this day's file and no other.
func (s *Sim) timestamp(c *caller, r *http.Request, _ []byte) answer {
	brand, day, a := s.dayOf(c, r)
	if a != nil {
		return *a
	}
	when, ok := s.agreed[agreedKey(brand, day)]
	if !ok {
		return answer{204, nil}
	}
	sum := sha256.Sum256(append(csvOf(s.movesOf(brand, day)), when.Format(dateForm)...))
	return answer{200, fileAnswer{"text/plain", append([]byte("TSR\x00"), sum[:]...)}}
}
