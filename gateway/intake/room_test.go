package intake_test

import (
	"strings"
	"testing"

	"izinli/gateway"
)

// What the account may send but no operator could ever take, all segments of a message being under way together, is refused at
// the door and not after it was charged.
func TestSegmentRoom(t *testing.T) {
	for _, c := range []struct {
		why      string
		window   int // of the lesser operator; 0: the default of ten
		segments int
		want     gateway.Code
	}{
		{"the window has room", 0, 10, ""},
		{"one more than the window", 0, 11, gateway.CodeTextTooLong},
		{"a wider window", 20, 20, ""},
		{"the account's own limit", 50, 21, gateway.CodeTextTooLong},
	} {
		for _, raw := range []bool{false, true} {
			t.Run(c.why, func(t *testing.T) {
				b := newBench(t)
				b.policy(gateway.AccountPolicy{MaxSegments: 20})
				b.must(b.st.PutOperator(t.Context(), &gateway.Operator{Name: "op1", Addr: "127.0.0.1:1", Window: 100}))
				b.must(b.st.PutOperator(t.Context(), &gateway.Operator{Name: "op2", Addr: "127.0.0.1:1", Window: c.window}))
				b.must(b.st.PutRoute(t.Context(), &gateway.Route{ID: "r1", Operators: []gateway.RouteStep{{Operator: "op1"}, {Operator: "op2"}}}))
				s := b.sub()
				if s.Text = strings.Repeat("a", 153*c.segments); raw {
					s.Raw = &gateway.RawSMS{Parts: make([]gateway.RawPart, c.segments)}
				}
				res, err := b.in.Submit(t.Context(), s)
				got := code(err)
				if err == nil {
					got = res.Messages[0].Code
				}
				if got != c.want {
					t.Errorf("%d segments, raw %t: %q, want %q", c.segments, raw, got, c.want)
				}
			})
		}
	}
}
