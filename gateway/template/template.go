// Package template fills {{name}} in message texts with a recipient's variables.
//
// Parse once, Render per recipient. The language is deliberately only that: a name is letters, digits, '_', '-' or '.', with
// blanks allowed around it; anything else in double braces is plain text. There are no conditions and no escaping, because a
// text message has no markup to protect.
package template

import (
	"fmt"
	"strings"

	"izinli/gateway"
)

// maxName bounds a variable's name, in octets.
const maxName = 64

// Template is a parsed text. The zero value renders as empty.
type Template struct {
	text  string
	parts []part
	size  int
}

type part struct{ literal, name string } // exactly one is set

// MissingError says that the text names a variable the recipient does not have.
type MissingError struct{ Name string }

func (e *MissingError) Error() string { return fmt.Sprintf("template: no variable %q", e.Name) }

// Parse reads a text. It cannot fail.
func Parse(text string) Template {
	t := Template{text: text}
	rest := text
	for {
		i := strings.Index(rest, "{{")
		if i < 0 {
			break
		}
		j := strings.Index(rest[i:], "}}")
		if j < 0 {
			break
		}
		name := strings.TrimSpace(rest[i+2 : i+j])
		if !validName(name) {
			t.literal(rest[:i+2])
			rest = rest[i+2:]
			continue
		}
		t.literal(rest[:i])
		t.parts = append(t.parts, part{name: name})
		rest = rest[i+j+2:]
	}
	t.literal(rest)
	return t
}

func (t *Template) literal(s string) {
	if s == "" {
		return
	}
	t.size += len(s)
	if n := len(t.parts); n > 0 && t.parts[n-1].name == "" {
		t.parts[n-1].literal += s
		return
	}
	t.parts = append(t.parts, part{literal: s})
}

func validName(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for _, r := range s {
		if !(r == '_' || r == '-' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' ||
			strings.ContainsRune("çğıöşüÇĞİÖŞÜ", r)) {
			return false
		}
	}
	return true
}

// Fixed reports whether the text is the same for every recipient.
func (t *Template) Fixed() bool {
	for _, p := range t.parts {
		if p.name != "" {
			return false
		}
	}
	return true
}

// Used returns the variables the text names, of those given: the others need not be kept.
func (t *Template) Used(vars []gateway.Var) (used []gateway.Var) {
	for i, v := range vars {
		if _, twice := find(vars[:i], v.Name); !twice && t.names(v.Name) {
			used = append(used, v)
		}
	}
	return used
}

func (t *Template) names(name string) bool {
	for i := range t.parts {
		if t.parts[i].name == name && name != "" {
			return true
		}
	}
	return false
}

// Render fills in the variables; *MissingError when one is not there. Values are put in as they are and not parsed again.
func (t *Template) Render(vars []gateway.Var) (string, error) {
	if t.Fixed() {
		return t.text, nil
	}
	var b strings.Builder
	b.Grow(t.size + 16*len(t.parts))
	for _, p := range t.parts {
		if p.name == "" {
			b.WriteString(p.literal)
			continue
		}
		v, ok := find(vars, p.name)
		if !ok {
			return "", &MissingError{Name: p.name}
		}
		b.WriteString(v)
	}
	return b.String(), nil
}

func find(vars []gateway.Var, name string) (string, bool) {
	for i := range vars {
		if vars[i].Name == name {
			return vars[i].Value, true
		}
	}
	return "", false
}
