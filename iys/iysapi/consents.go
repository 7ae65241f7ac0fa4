package iysapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"izinli/iys"
)

// MaxBatch is the most consents or addresses one call takes.
const MaxBatch = 1000

// Receipt proves that İYS stored a consent.
type Receipt struct {
	TransactionID string
	CreationDate  time.Time
}

// Add writes one consent (V2): a repeat with the same body gives the same
// transaction id, so a call whose answer was lost may simply be made again.
func (c *Client) Add(ctx context.Context, b Brand, consent iys.Consent) (Receipt, error) {
	path, err := b.path()
	if err != nil {
		return Receipt{}, fmt.Errorf("iysapi: add: %w", err)
	}
	priority := PriorityApproval
	if consent.Status == iys.StatusRejected {
		priority = PriorityRejection
	}
	_, body, err := c.do(ctx, call{
		method: http.MethodPost, path: "/v2" + path + "/consents", name: "add",
		body: encodeConsent(consent), priority: priority, timeout: singleTimeout, share: b.BrandCode,
	})
	if err != nil {
		return Receipt{}, err
	}
	var w struct {
		TransactionID flexString `json:"transactionId"`
		CreationDate  flexTime   `json:"creationDate"`
	}
	if err := decode(body, &w); err != nil {
		return Receipt{}, fmt.Errorf("iysapi: add: %w", err)
	}
	if w.TransactionID == "" {
		return Receipt{}, fmt.Errorf("iysapi: add: %w: no transactionId", ErrAnswer)
	}
	return Receipt{string(w.TransactionID), w.CreationDate.Time}, nil
}

// BatchReceipt says that İYS took a list for processing; it proves no storage.
type BatchReceipt struct {
	RequestID string
	// SubRequests are the sub-request ids in the order of the consents sent;
	// empty where the answer names none.
	SubRequests []string
}

// AddBatch hands over 1 to MaxBatch consents (V2), each (recipient type,
// channel, recipient) once. The results come later by Request. A 422 means
// that nothing of the list was taken (iys-api.md §6.3); APIError.Details names
// the items to leave out.
func (c *Client) AddBatch(ctx context.Context, b Brand, consents []iys.Consent) (BatchReceipt, error) {
	path, err := b.path()
	if err != nil {
		return BatchReceipt{}, fmt.Errorf("iysapi: add batch: %w", err)
	}
	if len(consents) == 0 || len(consents) > MaxBatch {
		return BatchReceipt{}, fmt.Errorf("iysapi: add batch: %w: %d consents", ErrInvalid, len(consents))
	}
	list := make([]consentRequest, len(consents))
	place := make(map[iys.Key]int, len(consents))
	for i, k := range consents {
		list[i] = encodeConsent(k)
		id := wireKey(list[i].Type, list[i].RecipientType, list[i].Recipient)
		if _, twice := place[id]; twice {
			return BatchReceipt{}, fmt.Errorf("iysapi: add batch: %w: item %d repeats an address", ErrInvalid, i)
		}
		place[id] = i
	}
	_, body, err := c.do(ctx, call{
		method: http.MethodPost, path: "/v2" + path + "/consents/request", name: "add batch",
		body: list, priority: PriorityApproval, timeout: batchTimeout, share: b.BrandCode,
	})
	if err != nil {
		return BatchReceipt{}, err
	}
	var w struct {
		RequestID   flexString `json:"requestId"`
		SubRequests []struct {
			consentWire
			SubRequestID flexString `json:"subRequestId"`
		} `json:"subRequests"`
	}
	if err := decode(body, &w); err != nil {
		return BatchReceipt{}, fmt.Errorf("iysapi: add batch: %w", err)
	}
	if w.RequestID == "" {
		return BatchReceipt{}, fmt.Errorf("iysapi: add batch: %w: no requestId", ErrAnswer)
	}
	out := BatchReceipt{RequestID: string(w.RequestID), SubRequests: make([]string, len(consents))}
	for _, s := range w.SubRequests {
		// The answer repeats the records; its order is not promised.
		if i, ok := place[wireKey(string(s.Type), string(s.RecipientType), canonical(string(s.Recipient)))]; ok {
			out.SubRequests[i] = string(s.SubRequestID)
		}
	}
	return out, nil
}

func wireKey(channel, rtype, recipient string) iys.Key {
	if rtype == "" {
		rtype = string(iys.RecipientPerson) // İYS's default
	}
	return iys.Key{Channel: iys.Channel(channel), RecipientType: iys.RecipientType(rtype), Recipient: recipient}
}

// ItemState is how far one item of a batch has come.
type ItemState string

// The states. İYS is also seen to say "processing", which reads as enqueued.
const (
	ItemSuccess  ItemState = "success"
	ItemFailure  ItemState = "failure"
	ItemEnqueued ItemState = "enqueue"
)

// ItemResult is the state of one item of a batch.
type ItemResult struct {
	Index        int // as İYS counts; older answers begin at 1, so match by SubRequestID
	SubRequestID string
	State        ItemState
	Receipt      Receipt   // ItemSuccess
	Err          *APIError // ItemFailure
	// OriginalRequestID names the earlier request when this one repeated it.
	OriginalRequestID string
}

// Request asks what became of a batch. İYS wants 300 s between adding and the
// first question. No items and no error mean "not finished", in whichever of
// its forms (empty list, empty body, 204): never "not stored".
func (c *Client) Request(ctx context.Context, b Brand, requestID string) ([]ItemResult, error) {
	path, err := b.path()
	if err == nil && (requestID == "" || len(requestID) > 36) {
		err = fmt.Errorf("%w: requestId", ErrInvalid)
	}
	if err != nil {
		return nil, fmt.Errorf("iysapi: request: %w", err)
	}
	_, body, err := c.do(ctx, call{
		method: http.MethodGet, path: "/v2" + path + "/consents/request/" + url.PathEscape(requestID),
		name: "request", priority: PriorityQuery, timeout: batchTimeout, share: b.BrandCode,
	})
	if err != nil {
		return nil, err
	}
	if empty(body) {
		return nil, nil
	}
	var w []struct {
		Index         flexInt      `json:"index"`
		SubRequestID  flexString   `json:"subRequestId"`
		Status        flexString   `json:"status"`
		TransactionID flexString   `json:"transactionId"`
		CreationDate  flexTime     `json:"creationDate"`
		Error         rawOrNothing `json:"error"`
		Original      struct {
			RequestID flexString `json:"requestId"`
		} `json:"originalRequestInformation"`
	}
	if err := decode(body, &w); err != nil {
		return nil, fmt.Errorf("iysapi: request: %w", err)
	}
	out := make([]ItemResult, len(w))
	for i, it := range w {
		r := ItemResult{
			Index: int(it.Index), SubRequestID: string(it.SubRequestID),
			State:             ItemEnqueued,
			OriginalRequestID: string(it.Original.RequestID),
		}
		switch {
		case it.Status == flexString(ItemSuccess) && it.TransactionID != "":
			r.State = ItemSuccess
			r.Receipt = Receipt{string(it.TransactionID), it.CreationDate.Time}
		case it.Status == flexString(ItemFailure):
			r.State = ItemFailure
			r.Err = parseError(http.StatusBadRequest, it.Error)
		}
		out[i] = r
	}
	return out, nil
}

// rawOrNothing keeps a value for later reading.
type rawOrNothing []byte

func (r *rawOrNothing) UnmarshalJSON(b []byte) error {
	*r = append((*r)[:0], b...)
	return nil
}
