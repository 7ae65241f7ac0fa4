package mail

import (
	"slices"
	"testing"
)

func TestSignature(t *testing.T) {
	for _, c := range []struct {
		raw, domain string
		fields      []string
	}{
		{"DKIM-Signature: v=1; a=rsa-sha256; d=Ornek.example; s=s;\r\n h=From:To :\r\n Subject; bh=a=; b=d=x\r\n", "ornek.example", []string{"From", "To", "Subject"}},
		{"dkim-signature: d = a.example ; h = from\r\n", "a.example", []string{"from"}},
		{"DKIM-Signature: v=1\r\n", "", nil},
		{"DKIM-Signature:\r\n", "", nil},
	} {
		name, _ := fieldName([]byte(c.raw))
		s, ok := Field{string(name), []byte(c.raw)}.Signature()
		if !ok || s.Domain != c.domain || !slices.Equal(s.Fields, c.fields) {
			t.Errorf("%q read as %+v, %v", c.raw, s, ok)
		}
	}
	if _, ok := NewField("Subject", "d=a.example").Signature(); ok {
		t.Error("a Subject is taken for a signature")
	}
	s := Signature{"ornek.example", []string{"From", "list-unsubscribe"}}
	if !s.Covers("FROM") || !s.Covers("List-Unsubscribe") || s.Covers("To") {
		t.Error("what it covers")
	}
	for from, want := range map[string]bool{"ornek.example": true, "bulten.ornek.example": true, "example": true, "eornek.example": false, "baska.example": false} {
		if s.Aligned(from) != want {
			t.Errorf("aligned with %s: %v", from, !want)
		}
	}
	if (&Signature{}).Aligned("") {
		t.Error("nobody's signature speaks for somebody")
	}
}

func FuzzSignature(f *testing.F) {
	f.Add(" v=1; d=ornek.example;\r\n h=from : to; b=x")
	f.Add("d==;h;;h=:")
	f.Fuzz(func(t *testing.T, value string) {
		field := NewField(signatureField, value)
		s, ok := field.Signature()
		if !ok {
			t.Fatal("not read")
		}
		for _, n := range s.Fields {
			if !s.Covers(n) {
				t.Errorf("names %q and does not cover it", n)
			}
		}
	})
}
