package httpapi

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"izinli/gateway"
	"izinli/gateway/webhook"
)

// eventBodies has, by type of event, what the store writes into its body: with every member, and with no more than it must have.
func eventBodies() map[string][]any {
	at := time.Date(2026, 11, 21, 10, 0, 0, 123, time.UTC)
	return map[string][]any{
		gateway.EventMessageFinal: {
			gateway.MessageFinal{ID: mineMsg, Batch: mineBatch, Ref: "r", To: "+905321234567", State: gateway.StateUndelivered, Code: gateway.CodeNoConsent, Error: "001", Segments: 2, At: at},
			gateway.MessageFinal{ID: mineMsg, Batch: mineBatch, State: gateway.StateDelivered, At: at}},
		gateway.EventInbound: {
			&gateway.Inbound{ID: "a", From: "+905321234567", To: "3338", Text: "RET", Brand: "675403", Keyword: "RET", Kind: "optout", Brands: []string{"675403"}, Operator: "op1", At: at, Partial: true},
			&gateway.Inbound{Kind: "message", At: at}},
		gateway.EventOptOutOwed: {
			gateway.Block{Brand: "675403", Channel: "MESAJ", Address: "+905321234567", Route: "sms", Source: "HS_MESAJ", At: at, Review: true},
			gateway.Block{Channel: "EPOSTA", At: at}},
		gateway.EventCreditLow: {gateway.CreditLow{Credits: 5, Warning: 10, At: at}, gateway.CreditLow{At: at}},
	}
}

// Every event a webhook can get is in the document with its headers and body, and no other.
func TestEventsAreDocumented(t *testing.T) {
	if got, want := slices.Sorted(maps.Keys(document().Webhooks)), sorted(gateway.EventTypes); !slices.Equal(got, want) || !slices.Equal(words("EventType"), want) {
		t.Fatalf("documented %v and %v, the code has %v", got, words("EventType"), want)
	}
	bodies := eventBodies()
	for _, kind := range gateway.EventTypes {
		op := document().Webhooks[kind].Post
		if op == nil || len(bodies[kind]) != 2 {
			t.Fatalf("%s: no POST, or no sample here", kind)
		}
		headers := map[string]*openapi3.Schema{}
		for _, p := range op.Parameters {
			headers[p.Value.Name] = p.Value.Schema.Value
		}
		if got, want := slices.Sorted(maps.Keys(headers)), sorted([]string{webhook.HeaderEventID, webhook.HeaderEventType, webhook.HeaderSignature}); !slices.Equal(got, want) {
			t.Errorf("%s: headers %v, want %v", kind, got, want)
		}
		if got := headers[webhook.HeaderEventType]; got == nil || got.Const != kind {
			t.Errorf("%s: its header names another type: %+v", kind, got)
		}
		if sign := webhook.Sign("s", time.Unix(1, 0), []byte("{}")); document().ValidateSchemaJSON(headers[webhook.HeaderSignature], sign) != nil {
			t.Errorf("the signature %s is not as documented", sign)
		}
		schema := op.RequestBody.Value.Content["application/json"].Schema.Value
		for _, body := range bodies[kind] {
			checkEvent(t, kind, schema, body)
		}
	}
}

// checkEvent holds a body against its schema, both ways.
func checkEvent(t *testing.T, kind string, schema *openapi3.Schema, body any) {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	if err := document().ValidateSchemaJSON(schema, any(v)); err != nil {
		t.Errorf("%s: %s does not fit the document: %v", kind, raw, err)
	}
	v["more"] = 1
	if document().ValidateSchemaJSON(schema, any(v)) == nil {
		t.Errorf("%s: a member too many passed", kind)
	}
	members := map[string]bool{}
	for f := range reflect.Indirect(reflect.ValueOf(body)).Type().Fields() {
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		members[name] = true
		if required := slices.Contains(schema.Required, name); required != (opts == "") {
			t.Errorf("%s: %s is documented as required: %t", kind, name, required)
		}
	}
	if got, want := slices.Sorted(maps.Keys(schema.Properties)), slices.Sorted(maps.Keys(members)); !slices.Equal(got, want) {
		t.Errorf("%s: documented members %v, want %v", kind, got, want)
	}
}
