package iystest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"time"
)

// parseKey reads the body of status and history.
func (s *Sim) parseKey(c *caller, r *http.Request, body []byte) (key, *answer) {
	brand, a := s.brandOf(c, r, "", false)
	if a != nil {
		return key{}, a
	}
	if !json.Valid(body) {
		return key{}, s.failp(400, problem{Code: "H014"})
	}
	it := &item{}
	if json.Unmarshal(body, &it.raw) != nil {
		return key{}, s.failp(400, problem{Code: "H097"})
	}
	it.Type, it.RecipientType, it.Recipient = it.text("type"), it.text("recipientType"), it.text("recipient")
	var ps []problem
	switch {
	case !it.has("type"):
		ps = append(ps, problem{Code: "H111"})
	case !oneOf(it.Type, "ARAMA", "MESAJ", "EPOSTA"):
		ps = append(ps, at("H117", "type", it.Type))
	}
	switch {
	case !it.has("recipientType"):
		ps = append(ps, problem{Code: "H170"})
	case !oneOf(it.RecipientType, "BIREYSEL", "TACIR"):
		ps = append(ps, at("H116", "recipientType", it.RecipientType))
	}
	ps = append(ps, it.checkRecipient("H166")...)
	if len(ps) > 0 {
		return key{}, s.failp(422, ps...)
	}
	if _, a := s.brandOf(c, r, it.Type, false); a != nil {
		return key{}, a
	}
	if it.Type == "EPOSTA" {
		it.Recipient = strings.ToLower(it.Recipient)
	}
	return key{brand, it.Recipient, it.RecipientType, it.Type}, nil
}

func (s *Sim) status(c *caller, r *http.Request, body []byte) answer {
	k, a := s.parseKey(c, r, body)
	if a != nil {
		return *a
	}
	m, ok := s.stored[k]
	if !ok {
		switch s.odd.UnknownStatus {
		case 200:
			return answer{200, []byte("{}")}
		case 404:
			return answer{404, map[string]any{"errors": []any{}}}
		case 422:
			return answer{422, map[string]any{"errors": []any{}}}
		}
		return answer{204, nil}
	}
	out := m.listed()
	delete(out, "citizenName")
	out["retailerAccessCount"] = len(m.RetailerAccess)
	if m.RetailerCode != 0 {
		out["retailerCode"] = m.RetailerCode
		if r := s.brands[m.BrandCode].retailers[m.RetailerCode]; r != nil {
			out["retailerTitle"] = r.Title
		}
	}
	return answer{200, out}
}

func (s *Sim) statusMany(c *caller, r *http.Request, body []byte) answer {
	rtype, channel := r.PathValue("recipientType"), r.PathValue("type")
	if !oneOf(rtype, "BIREYSEL", "TACIR") {
		return s.fail(422, at("H116", "recipientType", rtype))
	}
	if !oneOf(channel, "ARAMA", "MESAJ", "EPOSTA") {
		return s.fail(422, at("H117", "type", channel))
	}
	brand, a := s.brandOf(c, r, channel, false)
	if a != nil {
		return *a
	}
	recipients, a := s.recipients(channel, body)
	if a != nil {
		return *a
	}
	list := []string{}
	for _, rec := range recipients {
		if m, ok := s.stored[key{brand, rec, rtype, channel}]; ok && m.Status == "ONAY" {
			list = append(list, rec)
		}
	}
	return answer{200, map[string]any{"requestId": uuid(), "list": list}}
}

// recipients reads and checks a list of addresses.
func (s *Sim) recipients(channel string, body []byte) ([]string, *answer) {
	if !json.Valid(body) {
		return nil, s.failp(400, problem{Code: "H014"})
	}
	var in map[string]json.RawMessage
	if json.Unmarshal(body, &in) != nil || in["recipients"] == nil {
		return nil, s.failp(422, problem{Code: "H168"})
	}
	var list []string
	if json.Unmarshal(in["recipients"], &list) != nil {
		return nil, s.failp(422, problem{Code: "H478"})
	}
	if len(list) == 0 {
		return nil, s.failp(422, problem{Code: "H164"})
	}
	if len(list) > 1000 {
		return nil, s.failp(422, problem{Code: "H127"})
	}
	var ps []problem
	seen := map[string]bool{}
	for i, rec := range list {
		if channel == "EPOSTA" {
			list[i] = strings.ToLower(rec)
		}
		if len(checkAddress(channel, rec, "H166")) > 0 {
			ps = append(ps, problem{Code: "H464", Location: []any{"recipients", i}, Value: rec})
		} else if seen[list[i]] {
			ps = append(ps, problem{Code: "H193", Location: []any{"recipients", i}, Value: rec})
		}
		seen[list[i]] = true
	}
	if len(ps) > 0 {
		return nil, s.failp(422, ps...)
	}
	return list, nil
}

// pageOf reads offset and limit (default and maximum 100).
func (s *Sim) pageOf(r *http.Request) (offset, limit int, a *answer) {
	limit = 100
	for name, into := range map[string]*int{"offset": &offset, "limit": &limit} {
		v := r.URL.Query().Get(name)
		if v == "" {
			continue
		}
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			return 0, 0, s.failp(422, problem{Code: map[string]string{"offset": "H182", "limit": "H183"}[name]})
		}
		*into = n
	}
	if limit > 100 {
		return 0, 0, s.failp(422, problem{Code: "H186"})
	}
	if limit == 0 {
		return 0, 0, s.failp(422, problem{Code: "H187"})
	}
	return offset, limit, nil
}

func window[T any](list []T, offset, limit int) ([]T, map[string]int) {
	total := len(list)
	list = list[min(offset, total):]
	list = list[:min(limit, len(list))]
	return list, map[string]int{"totalCount": total, "pageSize": len(list), "offset": offset}
}

func (s *Sim) history(c *caller, r *http.Request, body []byte) answer {
	offset, limit, a := s.pageOf(r)
	if a != nil {
		return *a
	}
	k, a := s.parseKey(c, r, body)
	if a != nil {
		return *a
	}
	var moves []Movement
	for _, m := range s.moves {
		if m.key() == k {
			moves = append(moves, m)
		}
	}
	sort.SliceStable(moves, func(i, j int) bool { return moves[i].ConsentDate.After(moves[j].ConsentDate) })
	moves, page := window(moves, offset, limit)
	list := []map[string]any{}
	for _, m := range moves {
		list = append(list, m.listed())
	}
	return answer{200, map[string]any{"list": list, "pagination": page}}
}

// changes is the pull (iys-api.md §8.1).
func (s *Sim) changes(c *caller, r *http.Request, _ []byte) answer {
	brand, a := s.brandOf(c, r, "", false)
	if a != nil {
		return *a
	}
	q := r.URL.Query()
	source := q.Get("source")
	if source == "" {
		source = "IYS"
	}
	if source != "IYS" && source != "HS" {
		return s.fail(422, at("H506", "source", source))
	}
	limit := 1000
	if v := q.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return s.fail(422, at("H183", "limit", v))
		}
		if limit = n; n > 1000 {
			return s.fail(422, at("H507", "limit", n))
		}
	}
	rows := s.page(c, brand, source, q.Get("after"), limit)
	if len(rows) == 0 {
		if s.odd.EmptyChanges {
			return answer{200, []byte(`{"list":[]}`)}
		}
		return answer{204, nil}
	}
	rows = rows[:min(limit, len(rows))]
	list := make([]map[string]any, len(rows))
	for i, m := range rows {
		list[i] = m.listed()
		if source != "IYS" || m.Source != "IYS_WEB_YENI" {
			delete(list[i], "citizenName")
		}
	}
	last := rows[len(rows)-1]
	stamp := last.CreationDate.Unix()
	if s.odd.AfterMillis {
		stamp *= 1000
	}
	return answer{200, map[string]any{"after": fmt.Sprintf("%d_%s", stamp, last.TransactionID), "list": list}}
}

// page returns what is listed now behind a cursor: seven days back to one hour
// ago, oldest registration first, about limit rows. The current second is never
// listed, since it may still grow. A cursor that cannot be read starts at the
// window's begin, like one that is too old.
func (s *Sim) page(c *caller, brand, source, after string, limit int) []Movement {
	now := s.now()
	from, to := now.Add(-7*24*time.Hour), now.Add(-max(s.cfg.ChangesLag, 0))
	stamp, id, resumed := s.cursor(after)
	if resumed && time.Unix(stamp, 0).After(from) {
		from = time.Unix(stamp, 0)
	}
	moves := s.byCreation()
	i := sort.Search(len(moves), func(i int) bool { return !moves[i].CreationDate.Before(from) })
	var rows, second []Movement
	for ; i < len(moves) && moves[i].CreationDate.Before(to) && len(rows) < limit; i++ {
		m := moves[i]
		at := m.CreationDate.Unix()
		if s.lists(c, &m, brand, source) && !(resumed && (at < stamp || at == stamp && m.TransactionID <= id)) {
			second = append(second, m)
		}
		if i+1 == len(moves) || moves[i+1].CreationDate.Unix() != at || !moves[i+1].CreationDate.Before(to) {
			sort.SliceStable(second, func(i, j int) bool { return before(second[i], second[j]) })
			rows, second = append(rows, second...), second[:0]
		}
	}
	return rows
}

// lists reports whether a caller is told of a movement.
func (s *Sim) lists(c *caller, m *Movement, brand, source string) bool {
	return m.BrandCode == brand && strings.HasPrefix(m.Source, "IYS_") == (source == "IYS") &&
		(c.user.IntegratorCode == "" || s.granted(c.user.IntegratorCode, brand, m.Type, false))
}

// byCreation is every movement by the second of its registration: mostly the
// order in which they came, so that a page costs what is on it.
func (s *Sim) byCreation() []Movement {
	inOrder := func(i, j int) bool { return s.moves[i].CreationDate.Unix() < s.moves[j].CreationDate.Unix() }
	if s.late { // one was put in with an earlier date
		sort.SliceStable(s.moves, inOrder)
		s.late = false
	}
	return s.moves
}

func (s *Sim) cursor(after string) (stamp int64, id string, ok bool) {
	text, id, ok := strings.Cut(after, "_")
	stamp, err := strconv.ParseInt(text, 10, 64)
	if s.odd.AfterMillis {
		stamp /= 1000
	}
	return stamp, id, ok && err == nil
}

func before(a, b Movement) bool {
	if !a.CreationDate.Equal(b.CreationDate) {
		return a.CreationDate.Before(b.CreationDate)
	}
	if a.TransactionID != b.TransactionID {
		return a.TransactionID < b.TransactionID
	}
	return a.seq < b.seq
}

func (s *Sim) listBrands(c *caller, r *http.Request, _ []byte) answer {
	iysCode := r.PathValue("iysCode")
	if !numeric(iysCode) {
		return s.fail(422, problem{Code: "H190"})
	}
	p := s.providers[iysCode]
	if c.user.IYSCode != "" && c.user.IYSCode != iysCode {
		return *s.mismatch("iysCode")
	}
	if p == nil {
		return s.fail(404, problem{Code: "H001"})
	}
	if a := s.subscribed(p); a != nil {
		return *a
	}
	out := []map[string]any{}
	for _, b := range p.Brands {
		if c.user.IntegratorCode != "" && !s.granted(c.user.IntegratorCode, b.Code, "", false) {
			continue
		}
		ok, ret := 0, 0
		for k, m := range s.stored {
			switch {
			case k.brand != b.Code:
			case m.Status == "ONAY":
				ok++
			default:
				ret++
			}
		}
		out = append(out, map[string]any{
			"brandCode": number(b.Code), "name": b.Name, "master": b.Master,
			"stats": map[string]any{
				"consents":  map[string]int{"approval": ok, "rejection": ret, "total": ok + ret},
				"retailers": map[string]int{"total": len(p.retailers)},
			},
		})
	}
	return answer{200, out}
}

func (s *Sim) partnerBrands(c *caller, r *http.Request, _ []byte) answer {
	if c.user.IntegratorCode == "" {
		return s.fail(400, problem{Code: "H363"})
	}
	if c.user.IntegratorCode != r.PathValue("integratorCode") {
		return *s.mismatch("integratorIysCode")
	}
	offset, limit, a := s.pageOf(r)
	if a != nil {
		return *a
	}
	only := r.PathValue("iysCode")
	var codes []string
	for code, p := range s.brands {
		if (only == "" || p.IYSCode == only) && s.granted(c.user.IntegratorCode, code, "", false) {
			codes = append(codes, code)
		}
	}
	sort.Strings(codes)
	if only != "" && len(codes) == 0 {
		return s.fail(404, problem{Code: "H031"})
	}
	codes, page := window(codes, offset, limit)
	list := []map[string]any{}
	for _, code := range codes {
		list = append(list, s.partnerBrand(c, code))
	}
	return answer{200, map[string]any{"pagination": page, "list": list}}
}

func (s *Sim) partnerBrand(c *caller, code string) map[string]any {
	p := s.brands[code]
	m := map[string]any{
		"brandCode": number(code), "iysCode": number(p.IYSCode), "title": p.Title,
		"agreementControl": true, "viaControl": p.ViaCredit != 0,
	}
	if s.odd.StringCodes {
		m["brandCode"], m["iysCode"] = code, p.IYSCode
	}
	for _, b := range p.Brands {
		if b.Code == code {
			m["name"], m["master"] = b.Name, b.Master
		}
	}
	for _, ch := range []string{"MESAJ", "ARAMA", "EPOSTA"} {
		if right := s.grants[grant{c.user.IntegratorCode, code, ch}]; right != "" {
			m[ch] = right
		}
	}
	return m
}

func (s *Sim) subscription(c *caller, r *http.Request, _ []byte) answer {
	iysCode := r.PathValue("iysCode")
	p := s.providers[iysCode]
	if c.user.IYSCode != "" && c.user.IYSCode != iysCode || p == nil {
		return *s.mismatch("iysCode")
	}
	switch p.Subscription {
	case SubscriptionNone:
		return s.fail(404, problem{Code: "H437"})
	case SubscriptionClosed:
		return s.fail(403, problem{Code: "H521"})
	}
	out := s.pack(cmp.Or(p.Package, "İleti+"), p.Subscription)
	if c.user.IntegratorCode == "" {
		out["consentLimit"], out["consentLimitExceed"], out["usedConsentLimit"] = p.ConsentLimit, p.LimitExceed, s.used(p)
	}
	return answer{200, out}
}

func (s *Sim) pack(name, status string) map[string]any {
	if status == SubscriptionNoAPI {
		status = SubscriptionActive
	}
	now := s.now()
	return map[string]any{
		"subscipritionId": "sim-1", "subscriptionPackageName": name, "status": status,
		"startDate":      now.AddDate(0, -6, 0).Format(dateForm),
		"expirationDate": now.AddDate(0, 6, 0).Format(dateForm),
	}
}

func (s *Sim) partnerSubscription(c *caller, r *http.Request, _ []byte) answer {
	if c.user.IntegratorCode == "" {
		return s.fail(400, problem{Code: "H522"})
	}
	if c.user.IntegratorCode != r.PathValue("integratorCode") {
		return *s.mismatch("integratorIysCode")
	}
	out := s.pack("IO - API Kullanım Lisansı", SubscriptionActive)
	out["iysCode"] = number(c.user.IntegratorCode)
	return answer{200, out}
}

func (s *Sim) ahsBrands(c *caller, r *http.Request, _ []byte) answer {
	list := []map[string]any{}
	for code := range c.ahs.Brands {
		if p := s.brands[code]; p != nil && p.TIN == r.PathValue("tin") {
			list = append(list, map[string]any{"brandCode": number(code), "title": p.Title})
		}
	}
	return answer{200, map[string]any{"list": list}}
}

// ahsRejected names those that must not get the message: without ONAY for a
// person, with RET for a merchant (iys-api.md §14, best guess).
func (s *Sim) ahsRejected(c *caller, r *http.Request, body []byte) answer {
	brand, rtype, channel := r.PathValue("brandCode"), r.PathValue("rt"), r.PathValue("channel")
	if !oneOf(rtype, "BIREYSEL", "TACIR") {
		return s.fail(422, at("H116", "recipientType", rtype))
	}
	if !oneOf(channel, c.ahs.Brands[brand]...) {
		return *s.mismatch("brandCode")
	}
	recipients, a := s.recipients(channel, body)
	if a != nil {
		return *a
	}
	list := []string{}
	for _, rec := range recipients {
		m, known := s.stored[key{brand, rec, rtype, channel}]
		if m.Status == "RET" || !known && rtype == "BIREYSEL" && !s.odd.RejectedNeedsRET {
			list = append(list, rec)
		}
	}
	return answer{200, map[string]any{"list": list}}
}
