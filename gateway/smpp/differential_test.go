package smpp_test

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"

	"izinli/gateway/smpp"
)

// generator makes values that both codecs know: go-smpp writes TLVs in map
// order, so there is at most one; it reads a user data header out of
// deliver_sm, so there is none; it has no distribution lists, and it takes the
// last two octets of query_sm_resp for C-octet strings.
type generator struct{ *rand.Rand }

func (g generator) text(limit int) []byte {
	n := g.IntN(limit)
	if n == 0 {
		return nil
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(1 + g.IntN(255))
	}
	return b
}

func (g generator) octets(limit int) []byte {
	if n := g.IntN(limit + 1); n > 0 {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(g.IntN(256))
		}
		return b
	}
	return nil
}

func (g generator) time() []byte {
	if g.IntN(2) == 0 {
		return nil
	}
	return []byte("260320143000012+")
}

func (g generator) address() smpp.Address {
	return smpp.Address{TON: smpp.TON(g.IntN(7)), NPI: smpp.NPI(g.IntN(19)), Addr: g.text(21)}
}

func (g generator) tlvs() smpp.TLVs {
	if g.IntN(2) == 0 {
		return nil
	}
	return smpp.TLVs(nil).Append(smpp.Tag(g.IntN(0x4000)), g.octets(300))
}

func (g generator) submit(udh bool) smpp.SubmitSM {
	class := smpp.ESMClass(g.IntN(256))
	if !udh {
		class &^= smpp.ESMUDHI
	}
	return smpp.SubmitSM{
		ServiceType: g.text(6), Source: g.address(), Dest: g.address(), ESMClass: class,
		ProtocolID: uint8(g.IntN(256)), Priority: uint8(g.IntN(4)), ScheduleTime: g.time(), ValidityPeriod: g.time(),
		RegisteredDelivery: smpp.RegisteredDelivery(g.IntN(256)), ReplaceIfPresent: uint8(g.IntN(2)),
		DataCoding: smpp.DataCoding(g.IntN(256)), DefaultMsgID: uint8(g.IntN(256)), ShortMessage: g.octets(254), TLVs: g.tlvs(),
	}
}

func (g generator) pdu() smpp.PDU {
	mode := smpp.BindMode(g.IntN(3))
	switch g.IntN(13) {
	case 0:
		return &smpp.Bind{Mode: mode, SystemID: g.text(16), Password: g.text(9), SystemType: g.text(13),
			InterfaceVersion: smpp.Version34, AddrTON: 1, AddrNPI: 1, AddressRange: g.text(41)}
	case 1:
		return &smpp.BindResp{Mode: mode, SystemID: g.text(16), TLVs: g.tlvs()}
	case 2, 3, 4:
		m := g.submit(true)
		return &m
	case 5:
		return &smpp.SubmitSMResp{MessageID: g.text(65)}
	case 6, 7:
		m := smpp.DeliverSM(g.submit(false))
		return &m
	case 8:
		return &smpp.DeliverSMResp{MessageID: g.text(65)}
	case 9:
		return &smpp.QuerySM{MessageID: g.text(65), Source: g.address()}
	case 10:
		return &smpp.GenericNack{Status: smpp.StatusInvCmdID}
	case 11:
		return []smpp.PDU{&smpp.EnquireLink{}, &smpp.EnquireLinkResp{}, &smpp.Unbind{}, &smpp.UnbindResp{}}[g.IntN(4)]
	default:
		m := smpp.SubmitMulti{ServiceType: g.text(6), Source: g.address(), ShortMessage: g.octets(254)}
		for range 1 + g.IntN(10) {
			m.Dests = append(m.Dests, smpp.Dest{Address: g.address()})
		}
		return &m
	}
}

// TestAgainstGoSMPP lets go-smpp read what we write and us read what it writes.
func TestAgainstGoSMPP(t *testing.T) {
	g := generator{rand.New(rand.NewPCG(3, 4))}
	for i := range 5000 {
		want := g.pdu()
		ours := want.AppendTo(nil, uint32(i+1))
		theirs, err := pdu.Decode(bytes.NewReader(ours))
		if err != nil {
			t.Fatalf("%s: go-smpp refuses: %v\n%x", want.CommandID(), err, ours)
		}
		switch m := want.(type) {
		case *smpp.SubmitSM:
			compareFields(t, theirs.Fields(), m)
		case *smpp.DeliverSM:
			// go-smpp writes an octet for the header that is not there, so
			// only its reading can be trusted.
			compareFields(t, theirs.Fields(), (*smpp.SubmitSM)(m))
			continue
		}
		var out bytes.Buffer
		if err := theirs.SerializeTo(&out); err != nil {
			t.Fatal(err)
		}
		h, err := smpp.ParseHeader(out.Bytes(), smpp.MaxPDU)
		if err != nil {
			t.Fatalf("%s: their header: %v", want.CommandID(), err)
		}
		got, err := smpp.Decode(h, out.Bytes()[smpp.HeaderLen:])
		if err != nil {
			t.Fatalf("%s: we refuse theirs: %v\n%x", want.CommandID(), err, out.Bytes())
		}
		if h.Sequence != uint32(i+1) || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s:\n got %+v\nwant %+v", want.CommandID(), got, want)
		}
	}
}

func compareFields(t *testing.T, f pdufield.Map, m *smpp.SubmitSM) {
	t.Helper()
	for name, want := range map[pdufield.Name][]byte{
		pdufield.SourceAddr:           append(bytes.Clone(m.Source.Addr), 0),
		pdufield.DestinationAddr:      append(bytes.Clone(m.Dest.Addr), 0),
		pdufield.ServiceType:          append(bytes.Clone(m.ServiceType), 0),
		pdufield.ValidityPeriod:       append(bytes.Clone(m.ValidityPeriod), 0),
		pdufield.ShortMessage:         m.ShortMessage,
		pdufield.ESMClass:             {byte(m.ESMClass)},
		pdufield.DataCoding:           {byte(m.DataCoding)},
		pdufield.RegisteredDelivery:   {byte(m.RegisteredDelivery)},
		pdufield.ReplaceIfPresentFlag: {m.ReplaceIfPresent},
		pdufield.SMLength:             {byte(len(m.ShortMessage))},
	} {
		if got := f[name].Bytes(); !bytes.Equal(got, want) {
			t.Fatalf("go-smpp reads %s as %x, want %x", name, got, want)
		}
	}
}
