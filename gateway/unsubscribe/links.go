package unsubscribe

import (
	"context"
	"errors"

	"izinli/gateway"
)

// LinkStore keeps what short codes stand for; gateway/store is one.
type LinkStore interface {
	// PutShortLinks gives every link its code and returns when all of them work.
	PutShortLinks(ctx context.Context, links []gateway.ShortLink, codeOf func(l *gateway.ShortLink, attempt int) string) error
}

// ErrNoURL says that nobody has told where the public pages are reached (publicUrl), so that no link can be written.
var ErrNoURL = errors.New("unsubscribe: publicUrl is not configured")

// Links makes short links for text messages.
type Links struct {
	Tokens *Tokens
	Store  LinkStore
	Base   func() string // the public address without a slash at the end; empty: not configured
}

// Short returns the opt-out links of addresses in their stored form, in their order, once all of them work.
func (l *Links) Short(ctx context.Context, a gateway.AccountID, brand, channel string, addresses []string) ([]string, error) {
	base := l.Base()
	if base == "" {
		return nil, ErrNoURL
	}
	links := make([]gateway.ShortLink, len(addresses))
	for i, addr := range addresses {
		links[i] = gateway.ShortLink{Account: a, Brand: brand, Channel: channel, Address: addr}
	}
	if err := l.Store.PutShortLinks(ctx, links, l.code); err != nil {
		return nil, err
	}
	out := make([]string, len(links))
	for i := range links {
		out[i] = ShortURL(base, links[i].Code)
	}
	return out, nil
}

func (l *Links) code(x *gateway.ShortLink, attempt int) string {
	return l.Tokens.Code(Subject{Account: x.Account, Brand: x.Brand, Channel: x.Channel, Address: x.Address}, attempt)
}
