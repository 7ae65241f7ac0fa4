package inbound

import (
	"encoding/json"

	"izinli/gateway"
	"izinli/gateway/sms"
)

// storedPart is how a part of an MO is kept in the store, which does not look inside.
type storedPart struct {
	Ref        uint16       `json:"r"`
	Total, Seq uint8        `json:",omitempty"`
	Width      sms.RefWidth `json:"w"`
	DataCoding byte         `json:"d"`
	Alphabet   sms.Alphabet `json:"a"`
	UDH        []byte       `json:"u"`
	Body       []byte       `json:"b"`
}

func encodePart(p sms.Part) []byte {
	b, err := json.Marshal(storedPart{p.Concat.Ref, p.Concat.Total, p.Concat.Seq, p.Concat.Width, p.DataCoding, p.Alphabet, p.UDH, p.Body})
	if err != nil {
		panic("inbound: " + err.Error()) // integers and octets always encode
	}
	return b
}

func decodePart(p *gateway.Part) (sms.Part, error) {
	var s storedPart
	if err := json.Unmarshal(p.PDU, &s); err != nil {
		return sms.Part{}, err
	}
	return sms.Part{Source: p.Set.Source, Destination: p.Set.Dest, DataCoding: s.DataCoding, Alphabet: s.Alphabet, UDH: s.UDH, Body: s.Body,
		Concat: sms.Concat{Ref: s.Ref, Total: s.Total, Seq: s.Seq, Width: s.Width}}, nil
}
