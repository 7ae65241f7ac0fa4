package gateway

import "time"

// ShortLink is what a short code in a text message stands for: the opt-out of one address from one channel of a brand.
type ShortLink struct {
	Code    string    `json:"-"`
	Account AccountID `json:"account"`
	Brand   string    `json:"brand"`
	Channel string    `json:"channel"`
	Address string    `json:"address"`
	Created time.Time `json:"created"`
}
