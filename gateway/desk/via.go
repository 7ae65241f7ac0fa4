package desk

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"izinli/gateway"
	"izinli/gateway/address"
	"izinli/iys"
	"izinli/iys/iysapi"
)

// ViA: İYS asks a person itself, and has to prove the consent. Here an operator begins such a question, types in the code the person reads
// to him, and sees what became of it. Beside it the refusal links İYS makes for mail.

// ViaService is a part of IYSService.
type ViaService interface {
	// StartVia has İYS ask a person. It costs a ViA credit when the person answers.
	StartVia(context.Context, gateway.ViaInput) (gateway.ViaOperation, error)
	// CompleteVia ends a question by the code the person received. The consents are in force when it returns.
	CompleteVia(context.Context, gateway.ViaAnswer) (gateway.ViaOperation, error)
	// ViaState asks İYS how a question stands, unless it has ended or was asked about within the last seconds.
	ViaState(context.Context, gateway.ViaQuery) (gateway.ViaOperation, error)
	// ViaRecord is how a question stood when İYS was asked last; it asks nobody.
	ViaRecord(context.Context, gateway.ViaQuery) (gateway.ViaOperation, error)
	// ListVia lists an account's questions, newest first.
	ListVia(context.Context, ListQuery) (gateway.Page[gateway.ViaOperation], error)
	// ViaProof fetches İYS's proof (zip of PDF and time stamp) of a question that was answered.
	ViaProof(context.Context, gateway.ViaQuery) (ViaFile, error)
	// PrivacyRequests tells what a person answered to one text of the law on personal data (KVK) over ViA.
	PrivacyRequests(context.Context, PrivacyQuery) ([]iysapi.PrivacyRequest, error)
	// RefusalLinks has İYS make links by which recipients of mail refuse at İYS itself. They are good for 90 days.
	RefusalLinks(context.Context, LinksInput) ([]iysapi.RejectLink, error)
}

// ViaOffice is the part of IYSOffice behind it.
type ViaOffice interface {
	StartVia(ctx context.Context, brand string, v iysapi.ViaStart) (request string, err error)
	CompleteVia(ctx context.Context, brand, request, verification string, codes iysapi.ViaCodes) ([]iysapi.ViaConsent, error)
	ViaState(ctx context.Context, brand, request string) (iysapi.ViaState, error)
	ViaEvidence(ctx context.Context, brand, request string, w io.Writer) error
	PrivacyRequests(ctx context.Context, brand, text, recipient string, limit int) ([]iysapi.PrivacyRequest, error)
	RejectLinks(ctx context.Context, brand string, rt iys.RecipientType, recipients []string) ([]iysapi.RejectLink, error)
	// Push brings movements into force as İYS's pushes are.
	Push(ctx context.Context, moves []iysapi.Change) error

	PutVia(ctx context.Context, v *gateway.ViaOperation) error
	// BeginVia and RefuseVia are PutVia for a question with an idempotency key: the first remembers it, or answers *gateway.Replay with
	// the ID of the question it was used for; the second forgets it.
	BeginVia(ctx context.Context, v *gateway.ViaOperation, key *gateway.IdempotencyKey) error
	RefuseVia(ctx context.Context, v *gateway.ViaOperation, key *gateway.IdempotencyKey) error
	Via(ctx context.Context, a gateway.AccountID, id string) (gateway.ViaOperation, bool, error)
	ListVia(ctx context.Context, a gateway.AccountID, cursor string, limit int) (gateway.Page[gateway.ViaOperation], error)
}

// ViaFile is a zip.
type ViaFile struct {
	Zip []byte `json:"zip"`
}

// PrivacyQuery asks what a person answered to a text of the law on personal data.
type PrivacyQuery struct {
	Brand   string `json:"brand"`
	Address string `json:"address"`
	Text    string `json:"text"` // AYDINLATMA_METNI, ACIK_RIZA_METNI, YURTDISI_AKTARIM
}

// LinksInput names recipients of mail, at most 1000.
type LinksInput struct {
	Brand         string   `json:"brand"`
	RecipientType string   `json:"recipientType,omitempty"` // default BIREYSEL
	Addresses     []string `json:"addresses"`
}

const (
	maxViaProof   = 16 << 20 // octets
	maxRefusals   = 1000
	maxPrivacyAsk = 20
	maxViaName    = 160 // characters
	// viaAgain is how long what İYS said of a question stands: who looks again and again costs no more than one call in that time.
	viaAgain = time.Second
	// viaLost is how long after its start a question of which İYS's answer was never written is given up: the process ended in between.
	viaLost = 5 * time.Minute
)

// viaStages of ours, before İYS has named any and when it took nothing.
const (
	viaStarting = "STARTING"
	viaRefused  = "REFUSED"
)

// StartVia is Service.StartVia. The record is written before İYS is called: a crash leaves a question that can be asked about.
func (a *Admin) StartVia(ctx context.Context, in gateway.ViaInput) (gateway.ViaOperation, error) {
	if in.Account != 0 && a.store.Directory().BrandOf(in.Account, in.Brand) == nil {
		return gateway.ViaOperation{}, gateway.Refuse(gateway.CodeBrand, "brand", "")
	}
	b, err := a.iysOf(in.Brand)
	if err != nil {
		return gateway.ViaOperation{}, err
	}
	v, err := viaOf(b, &in)
	if err != nil {
		return gateway.ViaOperation{}, err
	}
	start := iysapi.ViaStart{FormID: v.Form, Recipient: v.Address, Verification: v.Verification, RecipientType: iys.RecipientType(v.RecipientType)}
	for _, ch := range v.Channels {
		start.Channels, start.BrandCodes = append(start.Channels, iys.Channel(ch)), []string{b.Code}
	}
	if len(in.Texts) > 0 {
		start.Privacy = &iysapi.ViaPrivacy{Types: in.Texts, Name: in.Name}
	}
	v.Stage, v.By, v.Started = viaStarting, ActorOf(ctx), a.deps.Now()
	if in.Idempotency == nil || v.Account == 0 {
		err = a.deps.IYS.PutVia(ctx, &v)
	} else if err = a.deps.IYS.BeginVia(ctx, &v, in.Idempotency); err != nil {
		return a.replayedVia(ctx, v.Account, err)
	}
	if err != nil {
		return v, err
	}
	request, callErr := a.deps.IYS.StartVia(ctx, b.Code, start)
	v.Request, v.Stage, v.Asked = request, "SUCCESS", a.deps.Now()
	v.Status = "START" // İYS's words for a request taken
	if callErr != nil {
		v.Stage, v.Status, v.Ended = viaRefused, iysCode(callErr), a.deps.Now()
	}
	// The key is kept where the person may have been asked although İYS's answer is not known.
	if in.Idempotency != nil && callErr != nil && notAsked(callErr) {
		err = a.deps.IYS.RefuseVia(context.WithoutCancel(ctx), &v, in.Idempotency)
	} else {
		err = a.deps.IYS.PutVia(context.WithoutCancel(ctx), &v)
	}
	if err != nil {
		return v, err
	}
	return v, viaFault(a.noted(ctx, "StartVia", "ViA "+v.ID+" of brand "+v.Brand, map[string]any{"form": v.Form, "channels": v.Channels, "texts": v.Texts}, callErr), callErr)
}

// replayedVia answers a repeat by its idempotency key: with the question as it was known last, which asks nobody.
func (a *Admin) replayedVia(ctx context.Context, account gateway.AccountID, cause error) (v gateway.ViaOperation, err error) {
	replay, ok := errors.AsType[*gateway.Replay](cause)
	if !ok {
		return v, cause
	}
	if v, err = a.viaByID(ctx, account, string(replay.Answer)); err != nil {
		return v, err
	}
	if v.Request == "" && v.Ended.IsZero() {
		return v, gateway.Refuse(gateway.CodeInProgress, "Idempotency-Key", "")
	}
	v.Replayed = true
	return v, nil
}

// notAsked reports whether it is certain that İYS asked nobody: it refused, or was not called.
func notAsked(err error) bool {
	e, said := errors.AsType[*iysapi.APIError](err)
	if !said {
		return errors.Is(err, iysapi.ErrInvalid)
	}
	return e.HTTP < http.StatusInternalServerError && e.HTTP != http.StatusRequestTimeout
}

// viaFields are the fields whose value İYS found wanting, by its code (iys-api.md §17.3).
var viaFields = map[string]string{
	"H1000": "form", "H1054": "form", "H1055": "form", "H1062": "form", "H1065": "form",
	"H1026": "address", "H1027": "address", "H1014": "brand", "H1012": "verification", "H1064": "verification",
	"H1050": "code", "H1051": "code", "H1052": "code",
}

// viaFault names the field in a refusal of İYS's.
func viaFault(err, cause error) error {
	refusal, ok := errors.AsType[*gateway.Error](err)
	if said, its := errors.AsType[*iysapi.APIError](cause); ok && its && refusal.Field == "" {
		refusal.Field = viaFields[said.Code]
	}
	return err
}

// viaOf checks a question and fills in what was left out.
func viaOf(b *gateway.Brand, in *gateway.ViaInput) (v gateway.ViaOperation, err error) {
	v = gateway.ViaOperation{Account: b.Account, Brand: b.Code, Form: in.Form, Channels: in.Channels, Texts: in.Texts,
		RecipientType: cmp.Or(in.RecipientType, string(iys.RecipientPerson)), Verification: in.Verification}
	if v.Form, err = text("form", in.Form, true, 64); err != nil {
		return v, err
	}
	ch := iys.ChannelSMS
	if strings.Contains(in.Address, "@") {
		ch = iys.ChannelEmail
	}
	typed := in.Address
	if m, err := address.Parse(typed, address.Options{}); err == nil && ch == iys.ChannelSMS {
		typed = m.String() // as people write numbers
	}
	n, refusal := iys.NormalizeRecipient(ch, typed)
	if refusal != nil {
		return v, invalid("address", "%s: %s", refusal.Code, refusal.English)
	}
	v.Address = n
	if len(v.Channels) == 0 && len(v.Texts) == 0 {
		v.Channels = []string{string(ch)}
	}
	for _, c := range v.Channels {
		if !iys.Channel(c).Valid() || (iys.Channel(c) == iys.ChannelEmail) != (ch == iys.ChannelEmail) {
			return v, invalid("channels", "%q does not go with the address: a number is asked for MESAJ, ARAMA or both, a mail address for EPOSTA.", c)
		}
	}
	if !iys.RecipientType(v.RecipientType).Valid() {
		return v, invalid("recipientType", "%q is no recipient type; choose BIREYSEL or TACIR.", v.RecipientType)
	}
	if v.Verification == "" {
		v.Verification = iysapi.ViaSMSCode
		if ch == iys.ChannelEmail {
			v.Verification = iysapi.ViaEmailCode
		}
	}
	ways := []string{iysapi.ViaSMSCode, iysapi.ViaSMSLink}
	if ch == iys.ChannelEmail {
		ways = []string{iysapi.ViaEmailCode, iysapi.ViaEmailLink, iysapi.ViaEmailButton}
	}
	if !slices.Contains(ways, v.Verification) {
		return v, invalid("verification", "%q does not go with the address; choose one of %v.", v.Verification, ways)
	}
	return v, viaTexts(in)
}

// viaTexts checks what is asked under the law on personal data.
func viaTexts(in *gateway.ViaInput) (err error) {
	all := []string{iysapi.ViaNotice, iysapi.ViaExplicit, iysapi.ViaAbroad}
	for _, t := range in.Texts {
		if !slices.Contains(all, t) {
			return invalid("texts", "%q is no text of the law on personal data; choose among %v.", t, all)
		}
	}
	if in.Name, err = text("name", in.Name, false, maxViaName); err != nil {
		return err
	}
	if len(in.Texts) > 0 && in.Name == "" {
		return invalid("name", "Texts of personal data are put to a person by name.")
	}
	return nil
}

// viaByID finds a question.
func (a *Admin) viaByID(ctx context.Context, account gateway.AccountID, id string) (gateway.ViaOperation, error) {
	if a.deps.IYS == nil {
		return gateway.ViaOperation{}, unavailable("İYS and its records")
	}
	v, ok, err := a.deps.IYS.Via(ctx, account, id)
	if err == nil && !ok {
		err = gateway.Refuse(gateway.CodeNotFound, "id", "Account %d has put no question %q over ViA.", account, id)
	}
	if err == nil {
		_, err = a.iysOf(v.Brand)
	}
	a.endLost(&v)
	return v, err
}

// endLost shows a question whose start was cut off by a crash as what it is: whether İYS took it, nobody knows, and it cannot be asked.
func (a *Admin) endLost(v *gateway.ViaOperation) {
	if v.Request == "" && v.Ended.IsZero() && !v.Started.IsZero() && a.deps.Now().Sub(v.Started) > viaLost {
		v.Stage, v.Status, v.Ended = viaRefused, noAnswer, v.Started.Add(viaLost)
	}
}

// noAnswer stands for İYS's code where it gave none.
const noAnswer = "no_answer"

// CompleteVia is Service.CompleteVia.
func (a *Admin) CompleteVia(ctx context.Context, in gateway.ViaAnswer) (gateway.ViaOperation, error) {
	v, err := a.viaByID(ctx, in.Account, in.ID)
	if err != nil {
		return v, err
	}
	switch {
	case !v.Ended.IsZero():
		return v, gateway.Refuse(gateway.CodeConflict, "id", "The question has ended (%s); begin a new one.", v.Status)
	case !v.ByCode():
		return v, gateway.Refuse(gateway.CodeConflict, "id", "The person answers over a link, not by a code; ask how it stands.")
	case len(v.Channels) > 0 && in.Code == "":
		return v, invalid("code", "The code the person received is required.")
	case len(v.Texts) > 0 && in.PrivacyCode == "":
		return v, invalid("privacyCode", "The person received a second code, for the texts of personal data; it is required.")
	}
	got, err := a.deps.IYS.CompleteVia(ctx, v.Brand, v.Request, v.Verification, iysapi.ViaCodes{Messages: in.Code, Privacy: in.PrivacyCode})
	if err != nil {
		if iysapi.RetryOf(err) == iysapi.RetryFinal {
			v, _ = a.askVia(ctx, v) // whether another try is left is İYS's to say
		}
		return v, viaFault(iysError(err), err)
	}
	// İYS has stored it; whatever the caller does, it comes into force here.
	return a.answered(context.WithoutCancel(ctx), v, iysapi.ViaState{Stage: "COMPLETED", Status: gateway.ViaSuccess, Consents: got}, "CompleteVia")
}

// answered brings what İYS stored into force, as if it had pushed it, and then writes the end of the question. A crash between the two
// does no harm: the pull brings the same movements again.
func (a *Admin) answered(ctx context.Context, v gateway.ViaOperation, st iysapi.ViaState, what string) (gateway.ViaOperation, error) {
	now := a.deps.Now()
	source := iys.SourceIYSSMS
	if slices.Contains(v.Channels, string(iys.ChannelEmail)) {
		source = iys.SourceIYSEmail
	}
	var moves []iysapi.Change
	v.Consents = nil
	for _, c := range st.Consents {
		if c.Brand != "" && c.Brand != v.Brand || !slices.Contains(v.Channels, string(c.Channel)) || c.TransactionID == "" {
			continue // not what was asked for
		}
		at := c.CreationDate
		if at.IsZero() {
			at = now.Truncate(time.Second)
		}
		v.Consents = append(v.Consents, gateway.ViaConsent{Channel: string(c.Channel), TransactionID: c.TransactionID, At: at})
		moves = append(moves, iysapi.Change{Consent: iys.Consent{
			Key:    iys.Key{Brand: v.Brand, Channel: c.Channel, RecipientType: iys.RecipientType(v.RecipientType), Recipient: v.Address},
			Status: iys.StatusApproved, Source: source, ConsentDate: at, CreationDate: at, TransactionID: c.TransactionID, Origin: iys.OriginPush, ReadAt: now}})
	}
	if err := a.deps.IYS.Push(ctx, moves); err != nil {
		return v, &gateway.Error{Code: gateway.CodeUnavailable, Text: "İYS has stored the consent, but it could not be written here; the next pull brings it.", Err: err}
	}
	v.Stage, v.Status, v.Asked, v.Ended = st.Stage, st.Status, now, now
	if err := a.deps.IYS.PutVia(ctx, &v); err != nil {
		return v, err
	}
	return v, a.noted(ctx, what, "ViA "+v.ID+" of brand "+v.Brand, v.Consents, nil)
}

// ViaState is Service.ViaState.
func (a *Admin) ViaState(ctx context.Context, q gateway.ViaQuery) (gateway.ViaOperation, error) {
	v, err := a.viaByID(ctx, q.Account, q.ID)
	if err != nil || !v.Ended.IsZero() || v.Request == "" || a.deps.Now().Sub(v.Asked) < viaAgain {
		return v, err
	}
	v, err = a.askVia(ctx, v)
	return v, iysError(err)
}

// ViaRecord is Service.ViaRecord.
func (a *Admin) ViaRecord(ctx context.Context, q gateway.ViaQuery) (gateway.ViaOperation, error) {
	return a.viaByID(ctx, q.Account, q.ID)
}

// askVia asks İYS how a question stands and notes it.
func (a *Admin) askVia(ctx context.Context, v gateway.ViaOperation) (gateway.ViaOperation, error) {
	st, err := a.deps.IYS.ViaState(ctx, v.Brand, v.Request)
	if err != nil {
		return v, err
	}
	done, stored := st.Done()
	if stored {
		return a.answered(context.WithoutCancel(ctx), v, st, "ViaState")
	}
	v.Stage, v.Status, v.Asked = st.Stage, st.Status, a.deps.Now()
	if done {
		v.Ended = v.Asked
	}
	return v, a.deps.IYS.PutVia(ctx, &v)
}

// ListVia is Service.ListVia.
func (a *Admin) ListVia(ctx context.Context, q ListQuery) (page gateway.Page[gateway.ViaOperation], err error) {
	if a.deps.IYS == nil {
		return page, unavailable("İYS and its records")
	}
	if _, err := a.account(q.Account); err != nil {
		return page, err
	}
	page, err = a.deps.IYS.ListVia(ctx, q.Account, q.Cursor, q.Limit)
	for i := range page.Items {
		a.endLost(&page.Items[i])
	}
	return page, err
}

// ViaProof is Service.ViaProof.
func (a *Admin) ViaProof(ctx context.Context, q gateway.ViaQuery) (ViaFile, error) {
	v, err := a.viaByID(ctx, q.Account, q.ID)
	if err != nil {
		return ViaFile{}, err
	}
	w := &proofBuffer{limit: maxViaProof}
	err = a.deps.IYS.ViaEvidence(ctx, v.Brand, v.Request, w)
	return ViaFile{w.Bytes()}, a.noted(ctx, "ViaProof", "ViA "+v.ID, nil, err)
}

// proofBuffer is a buffer that refuses more than its limit.
type proofBuffer struct {
	bytes.Buffer
	limit int
}

func (b *proofBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.limit {
		return 0, fmt.Errorf("a proof of more than %d octets", b.limit)
	}
	return b.Buffer.Write(p)
}

// PrivacyRequests is Service.PrivacyRequests.
func (a *Admin) PrivacyRequests(ctx context.Context, q PrivacyQuery) ([]iysapi.PrivacyRequest, error) {
	if _, err := a.iysOf(q.Brand); err != nil {
		return nil, err
	}
	list, err := a.deps.IYS.PrivacyRequests(ctx, q.Brand, q.Text, q.Address, maxPrivacyAsk)
	// Whose answers were looked at is personal data: the trail masks it.
	return list, a.noted(ctx, "PrivacyRequests", "personal data at brand "+q.Brand, map[string]string{"address": address.Mask(q.Address), "text": q.Text}, err)
}

// RefusalLinks is Service.RefusalLinks.
func (a *Admin) RefusalLinks(ctx context.Context, in LinksInput) ([]iysapi.RejectLink, error) {
	if _, err := a.iysOf(in.Brand); err != nil {
		return nil, err
	}
	if len(in.Addresses) == 0 || len(in.Addresses) > maxRefusals {
		return nil, invalid("addresses", "Name 1 to %d mail addresses.", maxRefusals)
	}
	rt := iys.RecipientType(cmp.Or(in.RecipientType, string(iys.RecipientPerson)))
	out := make([]iysapi.RejectLink, 0, len(in.Addresses))
	for part := range slices.Chunk(in.Addresses, iysapi.MaxLinks) {
		list, err := a.deps.IYS.RejectLinks(ctx, in.Brand, rt, part)
		if err != nil {
			return out, iysError(err)
		}
		out = append(out, list...)
	}
	return out, a.noted(ctx, "RefusalLinks", "refusal links of brand "+in.Brand, map[string]int{"addresses": len(in.Addresses)}, nil)
}

// iysCode is the code of İYS's refusal, or a word for having had no answer.
func iysCode(err error) string {
	if e, ok := errors.AsType[*iysapi.APIError](err); ok && e.Code != "" {
		return e.Code
	}
	return noAnswer
}
