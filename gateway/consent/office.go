package consent

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"izinli/gateway"
	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
	"izinli/iys/mirror"
)

// Asker asks İYS live; the answers land in the mirror before it returns. It is bounded in time by ctx and by itself.
type Asker interface {
	Ask(ctx context.Context, brand string, ch iys.Channel, rt iys.RecipientType, addresses []string) ([]exchange.Answer, error)
}

// Directories gives the present directory.
type Directories interface{ Directory() *gateway.Directory }

// Config of the office. Zero fields take the default.
type Config struct {
	FreshFor   time.Duration // iys.DefaultFreshness
	AskTimeout time.Duration // how long one question may take; default 10 s
	Now        func() time.Time
	Log        *slog.Logger
	// Records, if set, is where decisions get the İYS transaction id from: the mirror has no room for it.
	Records Citer
}

// Citer reads consents as they are written down.
type Citer interface {
	Consents(ctx context.Context, keys []iys.Key) ([]iys.Consent, error)
}

// lockShards is how many address locks there are; two addresses sharing one only wait a moment for each other.
const lockShards = 4096

// unavailableFor is how long after a failed question the office says so instead of asking again for every message.
const unavailableFor = 5 * time.Second

// Office judges consent.
type Office struct {
	cfg    Config
	dir    Directories
	mirror *mirror.Mirror
	asker  Asker
	seed   maphash.Seed
	locks  [lockShards]sync.Mutex

	failed sync.Map // brandChannel → *atomic.Int64: when a question last failed, Unix nanoseconds
	asked  atomic.Uint64
	errors atomic.Uint64
}

type brandChannel struct {
	brand   string
	channel iys.Channel
}

// New returns an office. asker may be nil: then what the mirror lacks stays unknown, and is held.
func New(cfg Config, dir Directories, m *mirror.Mirror, asker Asker) *Office {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.AskTimeout == 0 {
		cfg.AskTimeout = 10 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Office{cfg: cfg, dir: dir, mirror: m, asker: asker, seed: maphash.MakeSeed()}
}

// Channel translates our channel into İYS's, which are taken as they are. What is neither comes out as it went in and is not
// valid; nothing is SMS that does not say so.
func Channel(ch string) iys.Channel {
	switch ch {
	case gateway.ChannelSMS, "":
		return iys.ChannelSMS
	case gateway.ChannelEmail:
		return iys.ChannelEmail
	}
	return iys.Channel(ch)
}

// Decide judges a message of the batch to the address, from memory.
func (o *Office) Decide(b *gateway.Batch, address string, now time.Time) iys.Verdict {
	ch := Channel(b.Channel)
	q := iys.Query{Class: b.Class, Channel: ch, RecipientType: iys.RecipientType(b.RecipientType)}
	f := o.mirror.Facts(mirror.Question{Account: accountKey(b.Account), Brand: b.Brand, Channel: ch,
		RecipientType: q.RecipientType, Address: address})
	if b.Class == gateway.ClassCommercial {
		if brand := o.dir.Directory().BrandOf(b.Account, b.Brand); brand != nil {
			mode := brand.ModeOf(b.Channel)
			q.BrandKnown, q.BrandActive = true, mode.Mode != ""
			q.Mode = iys.Mode(mode.Mode)
			f.DeclarationPresent = mode.Text != "" && !mode.At.IsZero()
			f.ExemptUntil = mode.Expires
			q.Retailer = o.retailer(b)
		}
		f.FreshFor = o.cfg.FreshFor
		f.LiveUnavailable = o.unavailable(b.Brand, ch, now)
		if q.Retailer != 0 && q.Mode == iys.ModePartner {
			f.RetailerAccess = o.retailerAccess(iys.Key{Brand: b.Brand, Channel: ch, RecipientType: q.RecipientType, Recipient: address}, q.Retailer)
		}
	}
	return iys.Decide(q, f, now)
}

// retailer is the dealer in whose name a batch was submitted, 0 for none. A credential that is gone may have been a dealer's, but
// it has been revoked, and what it brought before stays the brand's word.
func (o *Office) retailer(b *gateway.Batch) int {
	kind := gateway.KindAPI
	switch b.Door {
	case gateway.DoorSMPP:
		kind = gateway.KindSMPP
	case gateway.DoorSMTP:
		kind = gateway.KindSMTP
	}
	if c := o.dir.Directory().Credentials[gateway.CredentialKey{Kind: kind, ID: b.Credential}]; c != nil {
		return c.Retailer
	}
	return 0
}

// retailerAccess reads the consent itself: the mirror has no room for dealers, and their messages are few. What cannot be read
// grants nothing.
func (o *Office) retailerAccess(k iys.Key, retailer int) bool {
	if o.cfg.Records == nil {
		return false
	}
	recs, err := o.cfg.Records.Consents(context.Background(), []iys.Key{k})
	if err != nil || len(recs) != 1 {
		o.cfg.Log.Error("dealers of a consent not read", "brand", k.Brand, "err", err)
		return false
	}
	return recs[0].RetailerCode == retailer || slices.Contains(recs[0].RetailerAccess, retailer)
}

// accountKey is how the mirror names an account.
func accountKey(a gateway.AccountID) string { return strconv.Itoa(int(a)) }

func (o *Office) unavailable(brand string, ch iys.Channel, now time.Time) bool {
	v, ok := o.failed.Load(brandChannel{brand, ch})
	return ok && now.UnixNano()-v.(*atomic.Int64).Load() < int64(unavailableFor)
}

// Ask asks İYS about addresses of the batch's brand; afterwards Decide knows the answers, or that there was none.
func (o *Office) Ask(ctx context.Context, b *gateway.Batch, addresses []string) {
	ch := Channel(b.Channel)
	o.asked.Add(uint64(len(addresses)))
	if o.asker == nil {
		o.fail(b.Brand, ch)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, o.cfg.AskTimeout)
	defer cancel()
	for len(addresses) > 0 {
		n := min(len(addresses), 1000)
		answers, err := o.asker.Ask(ctx, b.Brand, ch, iys.RecipientType(b.RecipientType), addresses[:n])
		for i := 0; i < len(answers) && err == nil; i++ {
			// An address İYS cannot take stays unknown by itself; it says nothing about the others.
			if refusal := (*iys.Refusal)(nil); !errors.As(answers[i].Err, &refusal) {
				err = answers[i].Err
			}
		}
		if err != nil {
			o.errors.Add(1)
			o.fail(b.Brand, ch)
			level := slog.LevelWarn
			if iysapi.RetryOf(err) == iysapi.RetryOperator {
				level = slog.LevelError // not an outage: somebody has to mend the brand's set-up
			}
			o.cfg.Log.Log(ctx, level, "consent could not be asked", "brand", b.Brand, "addresses", len(addresses), "err", err)
			return
		}
		addresses = addresses[n:]
	}
}

// Citation is a decision about a message to an address, to be completed with what its consent says of itself.
type Citation struct {
	Batch    *gateway.Batch
	Address  string
	Decision *gateway.Decision
}

// Cite completes decisions with the İYS transaction ids of the consents they rest on. What is not known, or cannot be read
// now, stays empty: the decision itself does not depend on it.
func (o *Office) Cite(ctx context.Context, list []Citation) {
	if o.cfg.Records == nil {
		return
	}
	keys := make([]iys.Key, 0, len(list))
	places := make([]int, 0, len(list))
	for i, c := range list {
		if d := c.Decision; d.Where == string(iys.ReadMirror) && d.Status != "" && d.TransactionID == "" {
			keys = append(keys, iys.Key{Brand: c.Batch.Brand, Channel: Channel(c.Batch.Channel),
				RecipientType: iys.RecipientType(c.Batch.RecipientType), Recipient: c.Address})
			places = append(places, i)
		}
	}
	if len(keys) == 0 {
		return
	}
	recs, err := o.cfg.Records.Consents(ctx, keys)
	if err != nil {
		o.cfg.Log.Error("transaction ids of consents", "err", err)
		return
	}
	for i, r := range recs {
		if d := list[places[i]].Decision; string(r.Status) == d.Status {
			d.TransactionID = r.TransactionID
		}
	}
}

func (o *Office) fail(brand string, ch iys.Channel) {
	v, _ := o.failed.LoadOrStore(brandChannel{brand, ch}, new(atomic.Int64))
	v.(*atomic.Int64).Store(o.cfg.Now().UnixNano())
}

// Lock takes the lock of an address.
func (o *Office) Lock(address string) *sync.Mutex {
	mu := &o.locks[maphash.String(o.seed, address)%lockShards]
	mu.Lock()
	return mu
}

// Counts is how many addresses were asked about, and how many questions failed, since the start.
func (o *Office) Counts() (asked, failed uint64) { return o.asked.Load(), o.errors.Load() }
