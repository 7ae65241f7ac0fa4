package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"izinli/gateway"
)

// Format names the form of a bundle.
const Format = "izinli-evidence/1"

// Root is the root of an account's decisions of one day.
type Root struct {
	Account gateway.AccountID `json:"account"`
	Records int               `json:"records"`
	Root    string            `json:"root"` // hex
	Head    string            `json:"head"` // hash of the day's last record, hex: the next day's first one carries it
}

// DayRoot is the root of a day (Istanbul) with those of its accounts, lowest number first. Until the day is over it grows.
type DayRoot struct {
	Day      string `json:"day"` // YYYY-MM-DD
	Root     string `json:"root"`
	Closed   bool   `json:"closed"`
	Accounts []Root `json:"accounts"`
}

// Seal computes the day's root from those of its accounts.
func (d *DayRoot) Seal() error {
	leaves := make([]Hash, len(d.Accounts))
	for i, r := range d.Accounts {
		h, err := parseHash(r.Root)
		if err != nil {
			return err
		}
		leaves[i] = accountLeaf(r.Account, r.Records, h)
	}
	top := Top(leaves)
	d.Root = hex.EncodeToString(top[:])
	return nil
}

// Bundle is everything there is about a message, or about the messages to an address.
type Bundle struct {
	Format   string                `json:"format"`
	Made     time.Time             `json:"made"`
	By       string                `json:"by"` // who asked for it
	Account  Account               `json:"account"`
	Message  string                `json:"message,omitempty"` // what was asked for: a message,
	Address  string                `json:"address"`           // or an address
	Messages []Message             `json:"messages"`
	Consents []gateway.ConsentView `json:"consents"`
	Records  []Record              `json:"records"`
	Days     []DayRoot             `json:"days"`
	Notes    []string              `json:"notes,omitempty"` // what is missing, and why
	Digest   string                `json:"digest"`          // SHA-256 over the bundle without it, hex
}

// Account is whose messages they are.
type Account struct {
	ID      gateway.AccountID `json:"id"`
	Name    string            `json:"name"`
	IYSCode int               `json:"iysCode,omitempty"`
	MERSIS  string            `json:"mersis,omitempty"`
}

// Message is one message with what was decided about it.
type Message struct {
	gateway.MessageView
	Reason        string     `json:"reason,omitempty"`
	RecipientType string     `json:"recipientType,omitempty"`
	Door          string     `json:"door"`
	Credential    string     `json:"credential"`
	RemoteIP      string     `json:"remoteIP,omitempty"`
	Subject       string     `json:"subject,omitempty"`
	Text          string     `json:"text,omitempty"` // as it was for this recipient
	Decisions     []Decision `json:"decisions"`      // oldest first
}

// Decision is one decision with its place: entry Pos of record Seq of its day.
type Decision struct {
	gateway.DecisionView
	Pos int `json:"pos"`
}

// Record is a record of the chain as it is stored. It holds up to 256 decisions; those about other messages name them by number only.
type Record struct {
	Day   string   `json:"day"`
	Seq   int      `json:"seq"`
	Of    int      `json:"of"` // records of the account that day
	Key   []byte   `json:"key"`
	Value []byte   `json:"value"`
	Hash  string   `json:"hash"`
	Path  []string `json:"path"` // to the account's root of the day, hex, lowest first
}

// Seal writes the digest, after which nothing of the bundle may change.
func (b *Bundle) Seal() error {
	b.Format = Format
	d, err := b.digest()
	b.Digest = d
	return err
}

func (b *Bundle) digest() (string, error) {
	c := *b
	c.Digest = ""
	v, err := json.Marshal(&c)
	if err != nil {
		return "", fmt.Errorf("evidence: %w", err)
	}
	sum := sha256.Sum256(v)
	return hex.EncodeToString(sum[:]), nil
}

func parseHash(s string) (h Hash, err error) {
	b, err := hex.DecodeString(s)
	if err == nil && len(b) != len(h) {
		err = errors.New("a hash has 64 hex digits")
	}
	copy(h[:], b)
	return h, err
}

// Hex writes hashes for a bundle.
func Hex(list []Hash) []string {
	out := make([]string, len(list))
	for i, h := range list {
		out[i] = hex.EncodeToString(h[:])
	}
	return out
}
