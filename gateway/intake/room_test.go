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

// What one route has no room or no tables for is refused to its recipients and to nobody else, be it the route of everybody else.
func TestNarrowRouteRefusesItsOwnAlone(t *testing.T) {
	const wide, narrow = "+905321234567", "+905421234567"
	for why, c := range map[string]struct {
		text, encoding string
		code           gateway.Code
	}{
		"six segments": {strings.Repeat("a", 6*153), "", gateway.CodeTextTooLong},
		"shift tables": {"Şimdi gel", "tr-single", gateway.CodeUnencodable},
	} {
		t.Run(why, func(t *testing.T) {
			b := newBench(t)
			b.must(b.st.PutOperator(t.Context(), &gateway.Operator{Name: "narrow", Addr: "127.0.0.1:1", Window: 5}))
			b.must(b.st.PutOperator(t.Context(), &gateway.Operator{Name: "wide", Addr: "127.0.0.1:1", Window: 100, National: true}))
			b.must(b.st.PutRoute(t.Context(), &gateway.Route{ID: "r1", Operators: []gateway.RouteStep{{Operator: "narrow"}}}))
			b.must(b.st.PutRoute(t.Context(), &gateway.Route{ID: "r2", Prefix: "+90532", Operators: []gateway.RouteStep{{Operator: "wide"}}}))
			s := b.sub()
			s.Text, s.Encoding, s.To = c.text, c.encoding, []gateway.Destination{{Address: wide}, {Address: narrow}}
			res, err := b.in.Submit(t.Context(), s)
			if err != nil {
				t.Fatalf("the whole request is refused: %v", err)
			}
			if got := []gateway.Code{res.Messages[0].Code, res.Messages[1].Code}; got[0] != "" || got[1] != c.code {
				t.Errorf("the wide and the narrow route: %q, want none and %s", got, c.code)
			}
		})
	}
}
