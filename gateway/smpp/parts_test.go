package smpp

import (
	"errors"
	"testing"
	"time"
)

var istanbul = time.FixedZone("+03", 3*3600)

func TestParseTime(t *testing.T) {
	now := time.Date(2026, 1, 31, 10, 0, 0, 0, istanbul)
	for _, c := range []struct {
		why, in string
		want    time.Time
		err     error
	}{
		{"Istanbul", "260320143000012+", time.Date(2026, 3, 20, 11, 30, 0, 0, time.UTC), nil},
		{"the same in UTC", "260320113000000+", time.Date(2026, 3, 20, 11, 30, 0, 0, time.UTC), nil},
		{"west of Greenwich, tenths", "260320113000520-", time.Date(2026, 3, 20, 16, 30, 0, 5e8, time.UTC), nil},
		{"two hours", "000000020000000R", now.Add(2 * time.Hour), nil},
		{"a month by the calendar", "000100000000000R", time.Date(2026, 3, 3, 10, 0, 0, 0, istanbul), nil},
		{"a year and a day", "010001000000000R", time.Date(2027, 2, 1, 10, 0, 0, 0, istanbul), nil},
		{"empty", "", time.Time{}, nil},
		{"leap day", "280229000000000+", time.Date(2028, 2, 29, 0, 0, 0, 0, time.UTC), nil},
		{"no leap day", "260229000000000+", time.Time{}, ErrTime},
		{"month 13", "261301000000000+", time.Time{}, ErrTime},
		{"hour 24", "260101240000000+", time.Time{}, ErrTime},
		{"offset 49", "260101000000049+", time.Time{}, ErrTime},
		{"unknown sign", "260101000000000Z", time.Time{}, ErrTime},
		{"letters", "26010100000000a+", time.Time{}, ErrTime},
		{"short", "260101", time.Time{}, ErrTime},
		{"long", "260320143000012+0", time.Time{}, ErrTime},
	} {
		got, err := ParseTime([]byte(c.in), now)
		if !errors.Is(err, c.err) || !got.Equal(c.want) {
			t.Errorf("%s: got %v %v, want %v %v", c.why, got, err, c.want, c.err)
		}
	}
}

func TestAppendTime(t *testing.T) {
	at := time.Date(2026, 3, 20, 14, 30, 0, 0, istanbul)
	for _, c := range []struct {
		why  string
		in   time.Time
		want string
	}{
		{"Istanbul", at, "260320143000012+"},
		{"UTC", at.UTC(), "260320113000000+"},
		{"New York in winter", at.In(time.FixedZone("", -5*3600)), "260320063000020-"},
		{"offset of 13 hours does not fit", at.In(time.FixedZone("", 13*3600)), "260320113000000+"},
		{"offset of a minute does not fit", at.In(time.FixedZone("", 60)), "260320113000000+"},
		{"tenths", at.UTC().Add(799 * time.Millisecond), "260320113000700+"},
		{"none", time.Time{}, ""},
	} {
		if got := string(AppendTime(nil, c.in)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.why, got, c.want)
		}
	}
	for d, want := range map[time.Duration]string{
		2 * time.Hour: "000000020000000R", 49*time.Hour + 61*time.Second: "000002010101000R",
		-time.Hour: "000000000000000R", 1000 * 24 * time.Hour: "000099235959000R",
	} {
		if got := string(AppendRelative(nil, d)); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}

func TestParseReceiptText(t *testing.T) {
	day := func(h, m, s int) time.Time { return time.Date(2026, 3, 20, h, m, s, 0, istanbul) }
	for _, c := range []struct {
		why, in   string
		id        string
		state     MessageState
		err, text string
		sub       int
		done      time.Time
	}{
		{"by the book", "id:0123456789 sub:001 dlvrd:001 submit date:2603201430 done date:2603201431 stat:DELIVRD err:000 text:Merhaba",
			"0123456789", StateDelivered, "000", "Merhaba", 1, day(14, 31, 0)},
		{"capitals and seconds", "ID:ab-c_9 SUB:001 DLVRD:001 SUBMIT DATE:260320143000 DONE DATE:260320143105 STAT:delivrd ERR:0 TEXT:x",
			"ab-c_9", StateDelivered, "0", "x", 1, day(14, 31, 5)},
		{"four-digit year", "id:1 done date:20260320143105 stat:EXPIRED", "1", StateExpired, "", "", -1, day(14, 31, 5)},
		{"four-digit year, no seconds", "id:1 done date:202603201431 stat:EXPIRED", "1", StateExpired, "", "", -1, day(14, 31, 0)},
		{"any order", "stat:UNDELIV err:EC_7 id:77", "77", StateUndeliverable, "EC_7", "", -1, time.Time{}},
		{"blanks after the colon", "id: 77 stat: REJECTD err: text:", "77", StateRejected, "", "", -1, time.Time{}},
		{"words in full", "id:1 stat:DELIVERED", "1", StateDelivered, "", "", -1, time.Time{}},
		{"underscores", "id:1 submit_date:2603201430 done_date:2603201431 stat:ACCEPTD", "1", StateAccepted, "", "", -1, day(14, 31, 0)},
		{"commas", "id:1,sub:001,stat:DELETED", "1", StateDeleted, "", "", 1, time.Time{}},
		{"text that plays receipt", "id:1 stat:UNDELIV text:id:2 stat:DELIVRD", "1", StateUndeliverable, "", "id:2 stat:DELIVRD", -1, time.Time{}},
		{"text in the middle", "id:1 text:hey you stat:DELIVRD", "1", StateDelivered, "", "hey you", -1, time.Time{}},
		{"repeated label", "id:1 id:2 stat:DELIVRD", "1", StateDelivered, "", "", -1, time.Time{}},
		{"impossible date", "id:1 done date:2613451431 stat:DELIVRD", "1", StateDelivered, "", "", -1, time.Time{}},
		{"unknown stat", "id:1 stat:WHOKNOW", "1", StateNone, "", "", -1, time.Time{}},
		{"id inside a word is none", "grid:1 stat:DELIVRD", "", StateDelivered, "", "", -1, time.Time{}},
		{"an ordinary message", "Merhaba, nasılsın?", "", StateNone, "", "", -1, time.Time{}},
		{"nothing", "", "", StateNone, "", "", -1, time.Time{}},
	} {
		r := ParseReceiptText([]byte(c.in), istanbul)
		if string(r.MessageID) != c.id || r.State != c.state || string(r.Err) != c.err || string(r.Text) != c.text ||
			r.Sub != c.sub || !r.DoneDate.Equal(c.done) {
			t.Errorf("%s: got %+v (id %q err %q text %q)", c.why, r, r.MessageID, r.Err, r.Text)
		}
	}
}

func TestReceiptPrefersTLVs(t *testing.T) {
	text := []byte("id:1 stat:UNDELIV err:001")
	d := &DeliverSM{ESMClass: ESMReceipt, ShortMessage: text}
	r, ok := ParseReceipt(d, istanbul)
	if !ok || string(r.MessageID) != "1" || r.State != StateUndeliverable {
		t.Errorf("text only: %v %+v", ok, r)
	}
	d.TLVs = (&Receipt{MessageID: []byte("2"), State: StateDelivered, NetworkType: 3, NetworkError: 0x105}).AppendTLVs(nil)
	r, ok = ParseReceipt(d, istanbul)
	if !ok || string(r.MessageID) != "2" || r.State != StateDelivered || r.NetworkError != 0x105 || string(r.Err) != "001" {
		t.Errorf("both: %v %+v", ok, r)
	}
	d.ShortMessage = nil
	if r, ok = ParseReceipt(d, istanbul); !ok || r.State != StateDelivered {
		t.Errorf("TLVs only: %v %+v", ok, r)
	}
	d.TLVs = TLVs(nil).Append(TagMessageState, []byte{99}).Append(TagMessagePayload, text)
	if r, ok = ParseReceipt(d, istanbul); !ok || r.State != StateUndeliverable {
		t.Errorf("impossible state, text in the payload: %v %+v", ok, r)
	}
	wide := make([]byte, 0, 2*len(text))
	for _, c := range text {
		wide = append(wide, 0, c)
	}
	if r, ok = ParseReceipt(&DeliverSM{DataCoding: DCUCS2, ShortMessage: wide}, istanbul); !ok || string(r.MessageID) != "1" {
		t.Errorf("UCS-2: %v %+v", ok, r)
	}
	if _, ok = ParseReceipt(&DeliverSM{ESMClass: ESMUDHI, ShortMessage: []byte{200, 1}}, istanbul); ok {
		t.Error("a broken header made a receipt")
	}
}

func TestReceiptAppendText(t *testing.T) {
	r := Receipt{MessageID: []byte("9"), Sub: -1, Delivered: -1, State: StateRejected, Err: []byte("7"),
		SubmitDate: time.Date(2026, 3, 20, 14, 30, 59, 0, istanbul), Text: []byte("twenty octets and then some")}
	want := "id:9 sub:001 dlvrd:000 submit date:2603201430 done date:0000000000 stat:REJECTD err:007 text:twenty octets and th"
	if got := string(r.AppendText(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestIDRule(t *testing.T) {
	for _, c := range []struct{ rule, in, want string }{
		{"as-is", "00AB", "00AB"},
		{"", "00AB", "00AB"},
		{"lower", "00AB", "00ab"},
		{"trim-zeros", "00AB", "AB"},
		{"trim zeros", "000", "0"},
		{"trim-zeros", "", ""},
		{"lower,trim-zeros", "00AB", "ab"},
		{"hex->dec", "1A2b", "6699"},
		{"hex->dec", "0x1a2b", "6699"},
		{"hex->dec", "not-hex", "not-hex"},
		{"hex->dec", "FFFFFFFFFFFFFFFFFF", "4722366482869645213695"},
		{"dec->hex", "0006699", "1a2b"},
		{"dec->hex", "12ab", "12ab"},
		{"dec->hex", "-5", "-5"},
	} {
		r, err := ParseIDRule(c.rule)
		if err != nil {
			t.Fatalf("%s: %v", c.rule, err)
		}
		if got := r.Apply(c.in); got != c.want {
			t.Errorf("%s of %q: got %q, want %q", c.rule, c.in, got, c.want)
		}
		if back, err := ParseIDRule(r.String()); err != nil || back != r {
			t.Errorf("%s: String %q reads back as %v %v", c.rule, r, back, err)
		}
	}
	for _, bad := range []string{"hex", "hex->dec,dec->hex"} {
		if _, err := ParseIDRule(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	hex, dec := IDHexToDec.Apply("7B"), IDTrim.Apply("0000000123")
	if hex != dec {
		t.Errorf("hex in the response, padded decimal in the receipt: %s and %s", hex, dec)
	}
}

func TestTimers(t *testing.T) {
	start := time.Date(2026, 3, 20, 0, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	cfg := TimerConfig{Bind: 30 * time.Second, EnquireLink: 30 * time.Second, Missed: 2, Inactivity: 300 * time.Second}
	type step struct {
		sec   int
		event string // bound, heard, tick
		want  Act
	}
	for _, c := range []struct {
		why   string
		cfg   TimerConfig
		steps []step
	}{
		{"never binds", cfg, []step{{29, "tick", Wait}, {30, "tick", Hangup}}},
		{"binds in time, then dies", cfg, []step{{29, "bound", 0}, {58, "tick", Wait}, {59, "tick", Probe}, {60, "tick", Wait},
			{88, "tick", Wait}, {89, "tick", Probe}, {119, "tick", Hangup}}},
		{"answers the second probe", cfg, []step{{0, "bound", 0}, {30, "tick", Probe}, {60, "tick", Probe}, {61, "heard", 0},
			{90, "tick", Wait}, {91, "tick", Probe}, {121, "tick", Probe}, {151, "tick", Hangup}}},
		{"traffic keeps it calm", cfg, []step{{0, "bound", 0}, {29, "heard", 0}, {58, "heard", 0}, {87, "tick", Wait}}},
		{"no probing: inactivity ends it", TimerConfig{Inactivity: 300 * time.Second}, []step{{0, "bound", 0},
			{299, "tick", Wait}, {300, "tick", Hangup}}},
		{"everything off", TimerConfig{}, []step{{9999, "tick", Wait}, {9999, "bound", 0}, {99999, "tick", Wait}}},
	} {
		tm := NewTimers(c.cfg, start)
		for _, s := range c.steps {
			switch s.event {
			case "bound":
				tm.Bound(at(s.sec))
			case "heard":
				tm.Heard(at(s.sec))
			default:
				next := tm.Next()
				if got := tm.Tick(at(s.sec)); got != s.want {
					t.Errorf("%s: at %d s: got %d, want %d", c.why, s.sec, got, s.want)
				} else if due := !next.IsZero() && !next.After(at(s.sec)); due != (got != Wait) {
					t.Errorf("%s: at %d s: Next said %v, act was %d", c.why, s.sec, next, got)
				}
			}
		}
	}
}
