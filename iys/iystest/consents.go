package iystest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"sort"
	"strings"
	"time"
)

// item is one consent of a request after the field checks.
type item struct {
	Movement
	raw    map[string]json.RawMessage
	digest string // brand and the exact data: V2 knows a repeat by it
}

type v2record struct {
	move              Movement
	requestID, subReq string
}

type batch struct {
	id, brand string
	added     time.Time
	due       time.Time
	v2        bool
	items     []*batchItem
	done      bool
}

type batchItem struct {
	item
	sub      string
	ok       bool
	move     Movement
	err      problem
	original *v2record
}

var fields = map[string]bool{
	"recipient": true, "type": true, "source": true, "status": true, "consentDate": true,
	"recipientType": true, "retailerCode": true, "retailerAccess": true,
}

var (
	emailForm = regexp.MustCompile(`^[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}$`)
	phoneForm = regexp.MustCompile(`^\+[1-9][0-9]{6,13}$`)
	turkish   = regexp.MustCompile(`^\+90(0?5[0-9]{9}|[2348][0-9]{9})$`)
	dateShape = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$`)
)

// first2015 is the date HS_2015 carries and the earliest of all.
var first2015 = time.Date(2015, 5, 1, 0, 0, 0, 0, Istanbul)

var sendable = []string{
	"HS_2015", "HS_KARAR", "HS_FIZIKSEL_ORTAM", "HS_ISLAK_IMZA", "HS_ETKINLIK", "HS_ATM", "HS_EORTAM",
	"HS_WEB", "HS_MOBIL", "HS_MESAJ", "HS_EPOSTA", "HS_CAGRI_MERKEZI", "HS_SOSYAL_MEDYA",
}

// parseItem checks the fields of one consent and collects every error
// (iys-api.md §16.1). A 400 problem is returned apart.
func (s *Sim) parseItem(brand string, raw json.RawMessage) (*item, []problem, *problem) {
	it := &item{raw: map[string]json.RawMessage{}}
	if json.Unmarshal(raw, &it.raw) != nil {
		return nil, nil, &problem{Code: "H085"}
	}
	var ps []problem
	for _, k := range sortedKeys(it.raw) {
		v := string(bytes.TrimSpace(it.raw[k]))
		switch {
		case !fields[k]:
			ps = append(ps, at("H118", k, json.RawMessage(v)))
		case v == `""`:
			p := at("H267", k, "")
			return nil, nil, &p
		case v == "null":
			p := at("H266", k, nil)
			return nil, nil, &p
		}
	}
	it.BrandCode = brand
	it.Status = it.text("status")
	it.Type = it.text("type")
	it.Source = it.text("source")
	it.RecipientType = it.text("recipientType")
	if it.raw["recipientType"] == nil {
		it.RecipientType = "BIREYSEL"
	}
	it.Recipient = it.text("recipient")
	ps = append(ps, it.checkWords()...)
	ps = append(ps, it.checkRecipient("H160")...)
	ps = append(ps, s.checkDate(it)...)
	ps = append(ps, it.checkRetailers()...)
	if it.Type == "EPOSTA" {
		it.Recipient = strings.ToLower(it.Recipient)
	}
	sum, err := json.Marshal(it.raw) // map keys are sorted: one form per content
	if err != nil {
		return nil, nil, &problem{Code: "H085"}
	}
	it.digest = brand + "|" + string(sum)
	return it, ps, nil
}

func sortedKeys(m map[string]json.RawMessage) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func (it *item) text(field string) string {
	var v string
	if json.Unmarshal(it.raw[field], &v) != nil {
		return string(it.raw[field])
	}
	return v
}

func (it *item) has(field string) bool { return it.raw[field] != nil }

func (it *item) checkWords() []problem {
	var ps []problem
	// A first TACIR record may lack source and date.
	optional := it.RecipientType == "TACIR"
	switch {
	case !it.has("status"):
		ps = append(ps, problem{Code: "H110"})
	case !oneOf(it.Status, "ONAY", "RET"):
		ps = append(ps, at("H115", "status", it.Status))
	}
	switch {
	case !it.has("type"):
		ps = append(ps, problem{Code: "H111"})
	case !oneOf(it.Type, "ARAMA", "MESAJ", "EPOSTA"):
		ps = append(ps, at("H117", "type", it.Type))
	}
	if !oneOf(it.RecipientType, "BIREYSEL", "TACIR") {
		ps = append(ps, at("H116", "recipientType", it.RecipientType))
	}
	switch {
	case !it.has("source"):
		if !optional {
			ps = append(ps, problem{Code: "H113"})
		}
	case !oneOf(it.Source, sendable...):
		ps = append(ps, at("H119", "source", it.Source))
	case it.Source == "HS_KARAR" && it.Status != "RET":
		ps = append(ps, at("H408", "source", it.Source))
	}
	return ps
}

// checkRecipient judges the address by the channel. Long numbers have another
// code in queries than in adds.
func (it *item) checkRecipient(tooLong string) []problem {
	if !it.has("recipient") {
		return []problem{{Code: "H114"}}
	}
	return checkAddress(it.Type, it.Recipient, tooLong)
}

func checkAddress(channel, recipient, tooLong string) []problem {
	switch channel {
	case "EPOSTA":
		if len(recipient) < 6 || len(recipient) > 265 || !emailForm.MatchString(recipient) {
			return []problem{at("H120", "recipient", recipient)}
		}
	case "MESAJ", "ARAMA":
		var ps []problem
		if len(recipient) > 15 {
			ps = append(ps, at(tooLong, "recipient", recipient))
		}
		if !validPhone(recipient) {
			ps = append(ps, at("H121", "recipient", recipient))
		}
		return ps
	}
	return nil
}

// validPhone takes +9005… as İYS does, useless as it is.
func validPhone(r string) bool {
	if !phoneForm.MatchString(r) {
		return false
	}
	return !strings.HasPrefix(r, "+90") || turkish.MatchString(r)
}

func (s *Sim) checkDate(it *item) []problem {
	if !it.has("consentDate") {
		if it.RecipientType == "TACIR" {
			return nil
		}
		return []problem{{Code: "H112"}}
	}
	v := it.text("consentDate")
	if !dateShape.MatchString(v) {
		return []problem{at("H158", "consentDate", v)}
	}
	d, err := time.ParseInLocation(dateForm, v, Istanbul)
	if err != nil {
		return []problem{at("H157", "consentDate", v)}
	}
	it.ConsentDate = d
	var ps []problem
	if d.After(s.now()) {
		ps = append(ps, at("H162", "consentDate", v))
	}
	if d.Before(first2015) {
		ps = append(ps, at("H156", "consentDate", v))
	}
	if it.Source == "HS_2015" && !d.Equal(first2015) {
		ps = append(ps, at("H155", "consentDate", v))
	}
	if len(ps) == 0 && s.tooOld(it) {
		ps = append(ps, at("H467", "consentDate", v))
	}
	return ps
}

// tooOld is the three-business-day rule: taken when the date is not before the
// begin of the day three business days ago.
func (s *Sim) tooOld(it *item) bool {
	if s.cfg.NoAgeRule || it.Source == "HS_2015" && s.cfg.AgeRule2015 {
		return false
	}
	y, m, d := s.now().Date()
	day := time.Date(y, m, d, 0, 0, 0, 0, Istanbul)
	for left := 3; left > 0; {
		day = day.AddDate(0, 0, -1)
		if s.business(day) {
			left--
		}
	}
	return it.ConsentDate.Before(day)
}

func (s *Sim) business(d time.Time) bool {
	switch d.Weekday() {
	case time.Saturday, time.Sunday:
		return false
	}
	if oneOf(d.Format("01-02"), "01-01", "04-23", "05-01", "05-19", "07-15", "08-30", "10-29") {
		return false
	}
	return s.cfg.Holiday == nil || !s.cfg.Holiday(d)
}

func (it *item) checkRetailers() []problem {
	if it.has("retailerCode") && json.Unmarshal(it.raw["retailerCode"], &it.RetailerCode) != nil {
		return []problem{at("H118", "retailerCode", it.raw["retailerCode"])}
	}
	if !it.has("retailerAccess") {
		return nil
	}
	if json.Unmarshal(it.raw["retailerAccess"], &it.RetailerAccess) != nil || len(it.RetailerAccess) == 0 {
		return []problem{at("H163", "retailerAccess", nil)}
	}
	if len(it.RetailerAccess) > 3000 {
		return []problem{at("H126", "retailerAccess", nil)}
	}
	return nil
}

// unknownRetailer is the 403 check.
func (p *provider) unknownRetailer(it *item) *problem {
	if it.RetailerCode != 0 && p.retailers[it.RetailerCode] == nil {
		e := at("H180", "retailerCode", it.RetailerCode)
		return &e
	}
	for i, r := range it.RetailerAccess {
		if p.retailers[r] == nil {
			return &problem{Code: "H180", Location: []any{"retailerAccess", i}, Value: r}
		}
	}
	return nil
}

// quotaFull reports that a new record does not fit the package: the larger of
// the counts of approved phones and e-mails. What is stored already is updated
// whatever the package holds (iys-api.md §16.2).
func (s *Sim) quotaFull(p *provider, it *item) bool {
	if p.ConsentLimit == 0 || p.LimitExceed {
		return false
	}
	if _, known := s.stored[it.key()]; known && !(s.odd.UpdatesNeedRoom && it.Status == "ONAY") {
		return false
	}
	return s.used(p) >= p.ConsentLimit
}

func (s *Sim) used(p *provider) int {
	phones, mails := map[string]bool{}, map[string]bool{}
	for _, m := range s.stored {
		if m.Status != "ONAY" || s.brands[m.BrandCode] != p {
			continue
		}
		if m.Type == "EPOSTA" {
			mails[m.Recipient] = true
		} else {
			phones[m.Recipient] = true
		}
	}
	return max(len(phones), len(mails))
}

// judge applies the state rules (iys-api.md §16.2).
func (s *Sim) judge(it *item) *problem {
	old, known := s.stored[it.key()]
	if !known {
		switch {
		case it.Source == "HS_KARAR":
			return &problem{Code: "H486"}
		case it.Status == "RET":
			return &problem{Code: "H175"}
		}
		return nil
	}
	if it.RecipientType == "TACIR" {
		if it.ConsentDate.IsZero() {
			return &problem{Code: "H462"}
		}
		if it.Source == "" {
			return &problem{Code: "H463"}
		}
	}
	if it.Status == "RET" && old.Status == "RET" {
		return &problem{Code: "H174"}
	}
	if it.ConsentDate.Before(old.ConsentDate) || it.ConsentDate.Equal(old.ConsentDate) && !s.odd.EqualDateAccepted {
		return &problem{Code: "H178"}
	}
	return nil
}

func addSingle(v2 bool) func(*Sim, *caller, *http.Request, []byte) answer {
	return func(s *Sim, c *caller, r *http.Request, body []byte) answer {
		if _, a := s.brandOf(c, r, "", true); a != nil {
			return *a
		}
		if !json.Valid(body) {
			return s.fail(400, problem{Code: "H014"})
		}
		it, ps, bad := s.parseItem(r.PathValue("brandCode"), body)
		if bad != nil {
			return s.fail(400, *bad)
		}
		if len(ps) > 0 {
			return s.fail(422, ps...)
		}
		if _, a := s.brandOf(c, r, it.Type, true); a != nil {
			return *a // a partner without the right on this channel
		}
		if v2 && !s.odd.V2Forgets {
			if rec, ok := s.v2[it.digest]; ok {
				return stored(rec.move)
			}
		}
		p := s.brands[it.BrandCode]
		if e := p.unknownRetailer(it); e != nil {
			return s.fail(403, *e)
		}
		if s.quotaFull(p, it) {
			return s.fail(422, problem{Code: "H525"})
		}
		if e := s.judge(it); e != nil {
			return s.fail(400, *e)
		}
		m := s.acceptLocked(it.Movement, s.now())
		s.v2[it.digest] = v2record{move: m}
		return stored(m)
	}
}

func stored(m Movement) answer {
	return answer{200, map[string]string{
		"transactionId": m.TransactionID, "creationDate": m.CreationDate.Format(dateForm),
	}}
}

func addBatch(v2 bool) func(*Sim, *caller, *http.Request, []byte) answer {
	return func(s *Sim, c *caller, r *http.Request, body []byte) answer {
		brand, a := s.brandOf(c, r, "", true)
		if a != nil {
			return *a
		}
		if !json.Valid(body) {
			return s.fail(400, problem{Code: "H014"})
		}
		var raw []json.RawMessage
		if json.Unmarshal(body, &raw) != nil || len(raw) == 0 {
			return s.fail(400, problem{Code: "H092"})
		}
		if len(raw) > 1000 {
			return s.fail(422, problem{Code: "H091"})
		}
		items, refused := s.checkBatch(c, r, brand, raw)
		if refused != nil {
			return *refused
		}
		now := s.now()
		b := &batch{id: uuid(), brand: brand, added: now, due: now.Add(s.cfg.BatchDelay), v2: v2}
		subs := make([]map[string]any, len(items))
		for i, it := range items {
			bi := &batchItem{item: *it, sub: uuid()}
			b.items = append(b.items, bi)
			echo := map[string]any{"subRequestId": bi.sub, "creationDate": now.Format(dateForm)}
			for k, v := range it.raw {
				echo[k] = v
			}
			echo["recipient"], echo["recipientType"] = it.Recipient, it.RecipientType
			place := i
			if s.odd.SubRequestsMixed {
				place = len(items) - 1 - i
			}
			subs[place] = echo
		}
		s.batches = append(s.batches, b)
		status := 202
		if s.odd.Batch200 {
			status = 200
		}
		return answer{status, map[string]any{"requestId": b.id, "subRequests": subs}}
	}
}

// checkBatch runs the checks that refuse a list as a whole.
func (s *Sim) checkBatch(c *caller, r *http.Request, brand string, raw []json.RawMessage) ([]*item, *answer) {
	items := make([]*item, len(raw))
	var ps []problem
	for i, one := range raw {
		it, found, bad := s.parseItem(brand, one)
		if bad != nil {
			bad.Index, bad.indexed = i, true
			return nil, s.failp(400, *bad)
		}
		for _, p := range found {
			if p.Code == "H467" && s.odd.LateDateRules {
				continue
			}
			p.Index, p.indexed = i, true
			ps = append(ps, p)
		}
		items[i] = it
	}
	if len(ps) > 0 {
		return nil, s.failp(422, ps...)
	}
	seen := map[key]bool{}
	for i, it := range items {
		if seen[it.key()] {
			return nil, s.failp(422, problem{Code: "H194", Index: i, indexed: true})
		}
		seen[it.key()] = true
	}
	p := s.brands[brand]
	for i, it := range items {
		if _, a := s.brandOf(c, r, it.Type, true); a != nil {
			return nil, a
		}
		if e := p.unknownRetailer(it); e != nil {
			e.Index, e.indexed = i, true
			return nil, s.failp(403, *e)
		}
		if !s.odd.LateDateRules && s.quotaFull(p, it) {
			return nil, s.failp(422, problem{Code: "H525", Index: i, indexed: true})
		}
	}
	return items, nil
}

// settleLocked works off the batches whose time has come.
func (s *Sim) settleLocked() {
	now := s.now()
	for _, b := range s.batches {
		if b.done || b.due.After(now) {
			continue
		}
		b.done = true
		for _, it := range b.items {
			s.settleItem(b, it)
		}
	}
}

func (s *Sim) settleItem(b *batch, it *batchItem) {
	if rec, ok := s.v2[it.digest]; ok && b.v2 && !s.odd.V2Forgets {
		it.ok, it.move = true, rec.move
		if rec.requestID != "" {
			it.original = &rec
		}
		return
	}
	if s.odd.LateDateRules {
		if s.tooOld(&it.item) && !it.ConsentDate.IsZero() {
			it.err = problem{Code: "H467"}
			return
		}
		if s.quotaFull(s.brands[b.brand], &it.item) {
			it.err = problem{Code: "H525"}
			return
		}
	}
	if e := s.judge(&it.item); e != nil {
		it.err = *e
		return
	}
	it.ok, it.move = true, s.acceptLocked(it.Movement, b.due)
	s.v2[it.digest] = v2record{move: it.move, requestID: b.id, subReq: it.sub}
}

func queryRequest(v2 bool) func(*Sim, *caller, *http.Request, []byte) answer {
	return func(s *Sim, c *caller, r *http.Request, _ []byte) answer {
		brand, a := s.brandOf(c, r, "", false)
		if a != nil {
			return *a
		}
		id := r.PathValue("requestId")
		switch {
		case len(id) > 36:
			return s.fail(422, problem{Code: "H198"})
		case numeric(id):
			return s.fail(422, problem{Code: "H400"})
		case strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == "":
			return s.fail(422, problem{Code: "H199"})
		}
		now := s.now()
		for _, b := range s.batches {
			if b.id != id || b.brand != brand || now.Sub(b.added) > 60*24*time.Hour {
				continue
			}
			if !b.done && now.Before(b.added.Add(s.cfg.BatchDelay/2)) {
				break
			}
			return answer{200, s.results(b, v2)}
		}
		switch s.odd.EmptyRequest {
		case "204":
			return answer{204, nil}
		case "body":
			return answer{200, nil}
		}
		return answer{200, []byte("[]")}
	}
}

func (s *Sim) results(b *batch, v2 bool) []map[string]any {
	out := make([]map[string]any, len(b.items))
	for i, it := range b.items {
		m := map[string]any{"index": i, "status": "enqueue"}
		sub := "subRequestId"
		if s.odd.SubrequestLower || !b.done {
			sub = "subrequestId" // as the samples of "enqueue" spell it
		}
		m[sub] = it.sub
		switch {
		case !b.done:
		case it.ok:
			m["status"], m["requestId"] = "success", b.id
			m["transactionId"], m["creationDate"] = it.move.TransactionID, it.move.CreationDate.Format(dateForm)
			if v2 {
				m["isAddConsentV2Service"] = b.v2
				if s.odd.StringBooleans {
					m["isAddConsentV2Service"] = "true"
				}
				if it.original != nil {
					m["originalRequestInformation"] = map[string]string{
						"requestId": it.original.requestID, "subRequestId": it.original.subReq,
					}
				}
			}
		default:
			m["status"], m["error"] = "failure", s.encode(it.err)
		}
		out[i] = m
	}
	return out
}
