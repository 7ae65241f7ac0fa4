package template

import (
	"errors"
	"strings"
	"testing"

	"izinli/gateway"
)

func TestRender(t *testing.T) {
	vars := []gateway.Var{{Name: "ad", Value: "Ayşe"}, {Name: "tutar", Value: "{{ad}}"}, {Name: "boş", Value: ""}}
	for _, c := range []struct{ why, text, want string }{
		{"nothing to fill", "Merhaba", "Merhaba"},
		{"a variable", "Merhaba {{ad}}!", "Merhaba Ayşe!"},
		{"blanks around the name", "{{ ad }}{{ad}}", "AyşeAyşe"},
		{"values are not parsed again", "{{tutar}}", "{{ad}}"},
		{"an empty value is a value", "[{{boş}}]", "[]"},
		{"not a name: plain text", "{{a b}} {{}} {{ad}}", "{{a b}} {{}} Ayşe"},
		{"never closed", "{{ad", "{{ad"},
		{"braces inside", "{{{ad}}}", "{{{ad}}}"},
	} {
		tp := Parse(c.text)
		if got, err := tp.Render(vars); err != nil || got != c.want {
			t.Errorf("%s: Render(%q) = %q, %v; want %q", c.why, c.text, got, err, c.want)
		}
	}
}

func TestRenderMissing(t *testing.T) {
	tp := Parse("Merhaba {{soyad}}")
	_, err := tp.Render([]gateway.Var{{Name: "ad", Value: "x"}})
	var m *MissingError
	if !errors.As(err, &m) || m.Name != "soyad" {
		t.Fatalf("Render = %v, want a missing soyad", err)
	}
	if tp.Fixed() {
		t.Error("Fixed = true, want false: the text names a variable")
	}
}

func FuzzRender(f *testing.F) {
	f.Add("a {{b}} {{", "x")
	f.Fuzz(func(t *testing.T, text, value string) {
		tp := Parse(text)
		got, err := tp.Render([]gateway.Var{{Name: "b", Value: value}})
		if err == nil && !strings.Contains(text, "{{") && got != text {
			t.Errorf("Render changed a text without variables: %q → %q", text, got)
		}
	})
}
