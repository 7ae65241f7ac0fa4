package iys

import (
	"testing"
	"time"
)

func TestResolve(t *testing.T) {
	d := func(h int) time.Time { return noon.Add(time.Duration(h) * time.Hour) }
	mov := func(s Status, consent, created int) Consent {
		return Consent{Status: s, ConsentDate: d(consent), CreationDate: d(created), Origin: OriginPull}
	}
	live := func(s Status, at int) Consent { return Consent{Status: s, Origin: OriginLive, ReadAt: d(at)} }
	undated := Consent{Status: StatusRejected, Source: SourceIYSLineClosed, CreationDate: d(1), Origin: OriginPull}
	tests := []struct {
		name             string
		stored, incoming Consent
		want             Status
		incomingWins     bool
	}{
		{"nothing stored", Consent{}, mov("ONAY", 0, 0), "ONAY", true},
		{"later date wins", mov("RET", 0, 9), mov("ONAY", 1, 1), "ONAY", true},
		{"earlier date loses though created later", mov("ONAY", 5, 5), mov("RET", 4, 9), "ONAY", false},
		{"same date, later creation wins", mov("RET", 0, 1), mov("ONAY", 0, 2), "ONAY", true},
		{"full tie is RET, incoming", mov("ONAY", 0, 0), mov("RET", 0, 0), "RET", true},
		{"full tie is RET, stored", mov("RET", 0, 0), mov("ONAY", 0, 0), "RET", false},
		{"same date, a creation unknown is RET", Consent{Status: "RET", ConsentDate: d(0)}, mov("ONAY", 0, 1), "RET", false},
		{"closed line without date stops", mov("ONAY", 5, 5), undated, "RET", true},
		{"an approval registered after a closed line", undated, mov("ONAY", 9, 9), "ONAY", true},
		{"an approval registered with a closed line is doubt", undated, mov("ONAY", 9, 1), "RET", false},
		{"an approval against another undated RET is doubt", Consent{Status: "RET", Source: SourceHSWeb, CreationDate: d(1)}, mov("ONAY", 9, 9), "RET", false},
		{"live yes after a pulled RET", mov("RET", 0, 0), live("ONAY", 1), "ONAY", true},
		{"live yes before the RET was registered", mov("RET", 0, 2), live("ONAY", 1), "RET", false},
		{"pulled RET against a live yes", live("ONAY", 9), mov("RET", 0, 0), "RET", true},
		{"live no, then an approval registered later", live("NOT_ONAY", 1), mov("ONAY", 2, 2), "ONAY", true},
		{"live no, then an approval registered before", live("NOT_ONAY", 3), mov("ONAY", 2, 2), "NOT_ONAY", false},
		{"newer answer replaces older", live("NOT_ONAY", 1), live("ONAY", 2), "ONAY", true},
		{"older answer does not replace newer", live("NOT_ONAY", 2), live("ONAY", 1), "NOT_ONAY", false},
		{"two answers of one instant", live("ONAY", 1), live("NOT_ONAY", 1), "NOT_ONAY", true},
		{"live no against a dated approval", mov("ONAY", 0, 0), live("NOT_ONAY", 1), "NOT_ONAY", true},
		{"live yes keeps the richer record", mov("ONAY", 0, 0), live("ONAY", 1), "ONAY", false},
	}
	for _, tt := range tests {
		tt.stored.TransactionID, tt.incoming.TransactionID = "stored", "incoming"
		got := Resolve(tt.stored, tt.incoming)
		if got.Status != tt.want || (got.TransactionID == "incoming") != tt.incomingWins {
			t.Errorf("%s: got %s (%s), want %s", tt.name, got.Status, got.TransactionID, tt.want)
		}
	}
}

// Whatever the pair, an approval wins only when it is provably the later one.
func TestResolveNeverPrefersApprovalInDoubt(t *testing.T) {
	times := []time.Time{{}, noon, noon.Add(time.Hour)}
	for _, a := range times {
		for _, b := range times {
			for _, ca := range times {
				for _, cb := range times {
					ret := Consent{Status: StatusRejected, ConsentDate: a, CreationDate: ca, Origin: OriginPull}
					ok := Consent{Status: StatusApproved, ConsentDate: b, CreationDate: cb, Origin: OriginPull}
					later := !a.IsZero() && !b.IsZero() && (b.After(a) ||
						b.Equal(a) && !ca.IsZero() && !cb.IsZero() && cb.After(ca))
					for _, got := range []Consent{Resolve(ret, ok), Resolve(ok, ret)} {
						if (got.Status == StatusApproved) != later {
							t.Errorf("RET %v/%v, ONAY %v/%v: got %s, want approval %v", a, ca, b, cb, got.Status, later)
						}
					}
				}
			}
		}
	}
}

func TestLifts(t *testing.T) {
	b := Block{Since: noon}
	later := noon.Add(time.Second)
	tests := []struct {
		name string
		l    Lift
		want bool
	}{
		{"person over İYS, pulled", Lift{StatusApproved, SourceIYSWeb, OriginPull, later, false, false}, true},
		{"person over İYS, pushed", Lift{StatusApproved, SourceIYSSMS, OriginPush, later, false, false}, true},
		{"same instant", Lift{StatusApproved, SourceIYSWeb, OriginPull, noon, false, false}, false},
		{"no date", Lift{StatusApproved, SourceIYSWeb, OriginPull, time.Time{}, false, false}, false},
		{"a RET", Lift{StatusRejected, SourceIYSWeb, OriginPull, later, false, false}, false},
		{"pulled HS movement", Lift{StatusApproved, SourceHSWeb, OriginPull, later, true, true}, false},
		{"operator closed the line", Lift{StatusApproved, SourceIYSLineClosed, OriginPull, later, true, true}, false},
		{"İYS source of tomorrow", Lift{StatusApproved, "IYS_HOLOGRAM", OriginPull, later, true, true}, false},
		{"import", Lift{StatusApproved, SourceHSWeb, OriginImport, later, true, true}, false},
		{"import claiming İYS", Lift{StatusApproved, SourceIYSWeb, OriginImport, later, true, true}, false},
		{"reconciliation", Lift{StatusApproved, SourceIYSWeb, OriginReconcile, later, true, true}, false},
		{"live answer", Lift{StatusApproved, "", OriginLive, later, true, true}, false},
		{"hosted form", Lift{StatusApproved, SourceHSWeb, OriginForm, later, false, false}, true},
		{"double opt-in", Lift{StatusApproved, SourceHSEmail, OriginDouble, later, false, false}, true},
		{"api with both", Lift{StatusApproved, SourceHSWeb, OriginAPI, later, true, true}, true},
		{"api without evidence", Lift{StatusApproved, SourceHSWeb, OriginAPI, later, false, true}, false},
		{"api without override", Lift{StatusApproved, SourceHSWeb, OriginAPI, later, true, false}, false},
	}
	for _, tt := range tests {
		if got := Lifts(b, tt.l); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}
