package smpp

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestWindowReserve(t *testing.T) {
	w := NewWindow[int](3)
	if w.Reserve(4) || w.Reserve(0) || w.Reserve(-1) {
		t.Error("reserved what is not there")
	}
	if !w.Reserve(2) || w.Reserve(2) || !w.Reserve(1) {
		t.Error("all or none is broken")
	}
	w.Release(1)
	if w.Free() != 1 {
		t.Errorf("free %d, want 1", w.Free())
	}
	seq := w.Put(SubmitSMID, 0, 7)
	if seq != 1 || w.Open() != 1 || w.Reserved() != 1 || w.Free() != 1 {
		t.Errorf("seq %d, open %d, reserved %d, free %d", seq, w.Open(), w.Reserved(), w.Free())
	}
}

func TestWindowTake(t *testing.T) {
	w := NewWindow[string](2)
	w.Reserve(2)
	a := w.Put(SubmitSMID, 0, "a")
	b := w.Put(SubmitSMID, 0, "b")
	if _, ok := w.Take(Header{ID: DeliverSMRespID, Sequence: a}); ok {
		t.Error("a deliver_sm_resp answered a submit_sm")
	}
	if _, ok := w.Take(Header{ID: SubmitSMRespID, Sequence: a + 16}); ok {
		t.Error("another number in the same slot was taken")
	}
	if _, ok := w.Take(Header{ID: SubmitSMRespID, Sequence: 0}); ok {
		t.Error("number 0 was taken")
	}
	if got, ok := w.Take(Header{ID: GenericNackID, Sequence: b}); !ok || got.Token != "b" {
		t.Errorf("generic_nack: %v %v", got, ok)
	}
	if got, ok := w.Take(Header{ID: SubmitSMRespID, Sequence: a}); !ok || got.Token != "a" {
		t.Errorf("submit_sm_resp: %v %v", got, ok)
	}
	if _, ok := w.Take(Header{ID: SubmitSMRespID, Sequence: a}); ok {
		t.Error("taken twice")
	}
}

func TestWindowTakeBind(t *testing.T) {
	w := NewWindow[string](2)
	w.Reserve(2)
	w.Put(SubmitSMID, 0, "submit")
	w.Put(BindTransceiverID, 0, "bind")
	for _, id := range []CommandID{BindTransmitterRespID, SubmitSMRespID, BindTransceiverID, GenericNackID} {
		if got, ok := w.TakeBind(Header{ID: id, Sequence: 99}); ok {
			t.Errorf("%s took %v", id, got)
		}
	}
	if got, ok := w.TakeBind(Header{ID: BindTransceiverRespID, Sequence: 99}); !ok || got.Token != "bind" {
		t.Errorf("got %v %v", got, ok)
	}
	if w.Open() != 1 {
		t.Errorf("open %d, want 1", w.Open())
	}
}

func TestWindowSequenceWraps(t *testing.T) {
	w := NewWindow[int](4)
	w.last = MaxSequence - 1
	w.Reserve(3)
	got := []uint32{w.Put(SubmitSMID, 0, 0), w.Put(SubmitSMID, 0, 0), w.Put(SubmitSMID, 0, 0)}
	if got[0] != MaxSequence || got[1] != 1 || got[2] != 2 {
		t.Errorf("got %v, want [%d 1 2]", got, uint32(MaxSequence))
	}
}

// TestWindowModel runs random steps against a map that does the same.
func TestWindowModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		limit := 1 + rng.IntN(40)
		w := NewWindow[uint64](limit)
		w.last = MaxSequence - uint32(rng.IntN(100))
		type entry struct {
			token uint64
			sent  time.Duration
		}
		model := map[uint32]entry{}
		reserved, now, token := 0, time.Duration(0), uint64(0)
		for range 500 {
			now++
			switch rng.IntN(5) {
			case 0:
				n := 1 + rng.IntN(5)
				if ok := w.Reserve(n); ok != (n <= limit-reserved-len(model)) {
					t.Fatalf("round %d: Reserve(%d) = %v with %d+%d of %d", round, n, ok, reserved, len(model), limit)
				} else if ok {
					reserved += n
				}
			case 1, 2:
				if reserved == 0 {
					continue
				}
				reserved--
				token++
				seq := w.Put(SubmitSMID, now, token)
				if _, dup := model[seq]; dup || seq < 1 || seq > MaxSequence {
					t.Fatalf("round %d: sequence %d given twice or out of range", round, seq)
				}
				model[seq] = entry{token, now}
			case 3:
				for seq, e := range model { // any one
					got, ok := w.Take(Header{ID: SubmitSMRespID, Sequence: seq})
					if !ok || got.Token != e.token || got.Sent != e.sent {
						t.Fatalf("round %d: Take(%d) = %+v %v", round, seq, got, ok)
					}
					delete(model, seq)
					break
				}
			case 4:
				before := now - time.Duration(rng.IntN(60))
				for _, x := range w.Expire(before, nil) {
					if e, ok := model[x.Sequence]; !ok || e.token != x.Token || e.sent > before {
						t.Fatalf("round %d: expired %+v, model %+v %v", round, x, e, ok)
					}
					delete(model, x.Sequence)
				}
				for seq, e := range model {
					if e.sent <= before {
						t.Fatalf("round %d: %d was not expired", round, seq)
					}
				}
			}
			if w.Open() != len(model) || w.Reserved() != reserved || w.Free() != limit-reserved-len(model) {
				t.Fatalf("round %d: counts are off", round)
			}
		}
		if got := len(w.Drain(nil)); got != len(model) || w.Open() != 0 {
			t.Fatalf("round %d: drained %d of %d", round, got, len(model))
		}
	}
}

func TestWindowAllocatesNothing(t *testing.T) {
	w := NewWindow[int](100)
	if n := testing.AllocsPerRun(100, func() {
		w.Reserve(1)
		w.Take(Header{ID: SubmitSMRespID, Sequence: w.Put(SubmitSMID, 0, 1)})
	}); n != 0 {
		t.Errorf("%v allocations per request, want 0", n)
	}
}
