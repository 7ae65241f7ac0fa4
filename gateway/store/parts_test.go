package store

import (
	"slices"
	"testing"
	"time"

	"izinli/gateway"
)

// puts stores parts of one name for a client (account) or, with account 0, for a handset.
func (w *world) puts(t *testing.T, a gateway.AccountID) func(seq byte, text string) (all string, id string) {
	n := 0
	return func(seq byte, text string) (string, string) {
		t.Helper()
		n++
		p := &gateway.Part{Set: gateway.PartSet{Account: a, Source: "ORNEK", Dest: "90532", Reference: 1, Total: 2}, Seq: seq, ID: text + string('0'+rune(n)),
			At: w.now, PDU: []byte{byte(n)}, Content: gateway.PartContent(0, []byte{5, 0, 3, 1, 2, seq}, []byte(text))}
		set, err := w.st.PutPart(t.Context(), p)
		w.must(err)
		return idsOf(set), p.ID
	}
}

func idsOf(parts []gateway.Part) (ids string) {
	for _, p := range parts {
		ids += p.ID + " "
	}
	return ids
}

// One reference for all messages of a sender: what says something else is of another message, what says the same is a repetition.
func TestReferenceTakenOver(t *testing.T) {
	w := newWorld(t, 1)
	ctx := t.Context()
	put := w.puts(t, w.acct)
	put(1, "a") // the other part never comes
	put(1, "b")
	if _, id := put(1, "b"); id != "b2" {
		t.Errorf("a repeated part got id %s, want b2", id)
	}
	w.reopen()
	open, err := w.st.OpenParts(ctx, w.now.Add(-time.Hour))
	if err != nil || len(open) != 1 || idsOf(open[0]) != "a1 " || !open[0][0].Set.Closed {
		t.Fatalf("open sets = %+v, %v, want the one that was taken over, whatever its age", open, err)
	}
	all, _ := put(2, "c")
	if all != "b2 c4 " {
		t.Errorf("whole set = %q, want b2 c4", all)
	}
	// The next message comes before that one was accepted.
	put(1, "d")
	if all, _ := put(2, "e"); all != "d5 e6 " {
		t.Errorf("whole set = %q, want d5 e6", all)
	}
	put(2, "f")
	if _, id := put(2, "c"); id != "c4" {
		t.Errorf("a repeated part of a whole set got id %s, want c4", id)
	}
	open, err = w.st.OpenParts(ctx, w.now.Add(time.Second))
	var got []string
	for _, set := range open {
		got = append(got, idsOf(set))
	}
	if slices.Sort(got); err != nil || !slices.Equal(got, []string{"a1 ", "b2 c4 ", "d5 e6 ", "f7 "}) {
		t.Fatalf("sets = %q, %v", got, err)
	}
	// Accepting one leaves the others alone, and so does giving one up.
	for _, set := range open {
		switch set[0].ID {
		case "b2":
			a, _ := w.batchOf(1)
			a.Parts = &set[0].Set
			w.must(w.st.Accept(ctx, a))
		case "a1":
			w.must(w.st.FailParts(ctx, set, nil))
		}
	}
	open, err = w.st.OpenParts(ctx, w.now.Add(time.Second))
	if err != nil || len(open) != 2 || idsOf(open[0])+idsOf(open[1]) != "d5 e6 f7 " {
		t.Errorf("left are %+v, %v, want d5 e6 and f7", open, err)
	}
}

// What is given up are the parts that were read, not one that came meanwhile.
func TestFailPartsAlone(t *testing.T) {
	w := newWorld(t, 1)
	put := w.puts(t, 0)
	put(1, "a")
	sets, err := w.st.OpenMO(t.Context(), w.now.Add(time.Second))
	if err != nil || len(sets) != 1 {
		t.Fatalf("sets = %v, %v", sets, err)
	}
	all, _ := put(2, "b")
	if again, _ := put(2, "b"); all != "a1 b2 " || again != all {
		t.Errorf("whole set = %q, for the repetition %q, want a1 b2 both times", all, again)
	}
	w.must(w.st.FailParts(t.Context(), sets[0], nil))
	if left, err := w.st.Parts(t.Context(), sets[0][0].Set); err != nil || idsOf(left) != "b2 " {
		t.Errorf("left are %q, %v, want the part that came later", idsOf(left), err)
	}
}

// Parts stored before sets had turns are joined, taken over and given up like others.
func TestPartsOfOlderStores(t *testing.T) {
	w := newWorld(t, 1)
	set := gateway.PartSet{Account: w.acct, Source: "ORNEK", Dest: "90532", Reference: 1, Total: 2}
	older := func(set gateway.PartSet) {
		old := gateway.Part{Set: set, Seq: 1, ID: "old", At: w.now, PDU: []byte("pdu")}
		v := encodePart(&old)
		v = v[:len(v)-17] // no fingerprint, and no room for it
		if k := partKey(&old); len(k) != 22 {
			t.Fatalf("key of %d octets", len(k))
		}
		w.must(w.st.do(func(x *tx) error { return x.set(partKey(&old), v, partsLife) }))
	}
	older(set)
	p := gateway.Part{Set: set, Seq: 1, ID: "again", At: w.now, PDU: []byte("pdu"), Content: [16]byte{1}}
	if _, err := w.st.PutPart(t.Context(), &p); err != nil || p.ID != "old" {
		t.Errorf("a repeated part got id %s, %v, want old", p.ID, err)
	}
	p = gateway.Part{Set: set, Seq: 2, ID: "second", At: w.now, PDU: []byte("2"), Content: [16]byte{2}}
	all, err := w.st.PutPart(t.Context(), &p)
	if err != nil || idsOf(all) != "old second " {
		t.Fatalf("whole set = %q, %v", idsOf(all), err)
	}
	w.must(w.st.FailParts(t.Context(), all, nil))
	older(set)
	p = gateway.Part{Set: set, Seq: 1, ID: "new", At: w.now, PDU: []byte("new"), Content: [16]byte{3}}
	_, err = w.st.PutPart(t.Context(), &p)
	w.must(err)
	open, err := w.st.OpenParts(t.Context(), w.now.Add(time.Second))
	if err != nil || len(open) != 2 || open[0][0].Set.Closed || idsOf(open[1]) != "old " || !open[1][0].Set.Closed {
		t.Errorf("open sets = %+v, %v, want the new one and the old one closed", open, err)
	}
}
