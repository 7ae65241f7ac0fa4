package admin

import (
	"encoding/json"
	"slices"
	"strings"

	"izinli/gateway"
	"izinli/gateway/desk"
)

// rawJSON is v as JSON; null for nothing.
func rawJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil { // no record has a field that cannot be written
		return json.RawMessage("null")
	}
	return b
}

// entries reads a page of the trail.
func (c *call) entries(cursor string, limit int) (list []desk.Entry, next string, err error) {
	found, err := c.p.deps.Audits(c.Request().Context(), cursor, limit)
	if err != nil {
		return nil, "", err
	}
	for _, raw := range found.Items {
		var e desk.Entry
		if err := json.Unmarshal(raw, &e); err != nil {
			return nil, "", &gateway.Error{Code: gateway.CodeInternal, Text: gateway.CodeInternal.Wire().Title, Err: err}
		}
		list = append(list, e)
	}
	return list, found.Next, nil
}

func (c *call) audit() error {
	list, next, err := c.entries(c.QueryParam("cursor"), pageRows)
	if err != nil {
		return err
	}
	pg := page{Title: c.t("audit.title"), Lead: c.t("audit.lead"), Nav: "/audit", Actions: []link{{Text: c.t("csv"), Href: "/audit.csv"}}}
	if len(list) == 0 {
		pg.Blocks = []block{{Note: &note{Kind: "info", Text: c.t("audit.none")}}}
		return c.show(pg)
	}
	b := block{}
	for _, e := range list {
		b.Timeline = append(b.Timeline, c.auditEvent(&e))
	}
	if next != "" {
		b.Links = []link{{Text: c.t("next"), Href: "/audit?cursor=" + next}}
	}
	pg.Blocks = []block{b}
	return c.show(pg)
}

func (c *call) auditEvent(e *desk.Entry) event {
	who, from, _ := strings.Cut(e.Who, " from ")
	x := event{When: c.l.when(e.At), At: e.At, Title: c.actText(e.What), Text: e.Target, Sub: c.t("audit.who", who)}
	if from != "" {
		x.Sub = c.t("audit.from", who, from)
	}
	for _, d := range differences(e.Before, e.After) {
		switch {
		case d.Before == "":
			x.Facts = append(x.Facts, fact{d.Field, text(d.After)})
		case d.After == "":
			x.Facts = append(x.Facts, fact{d.Field, text(c.t("audit.gone", d.Before))})
		default:
			x.Facts = append(x.Facts, fact{d.Field, text(c.t("audit.change", d.Before, d.After))})
		}
	}
	return x
}

// actText is the name of an act, its technical name where there is no word.
func (c *call) actText(what string) string {
	if has("act." + what) {
		return c.t("act." + what)
	}
	return what
}

// longest text of one side of a change that is shown; the file has it whole.
const maxChange = 200

// differences lists the fields in which two JSON objects differ, by name; inner fields as outer.inner.
func differences(before, after json.RawMessage) (out []change) {
	a, b := flat(before), flat(after)
	var names []string
	for k, v := range a {
		if b[k] != v {
			names = append(names, k)
		}
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			names = append(names, k)
		}
	}
	slices.Sort(names)
	for _, k := range slices.Compact(names) {
		out = append(out, change{Field: k, Before: cut(a[k]), After: cut(b[k])})
	}
	return out
}

func cut(s string) string {
	if r := []rune(s); len(r) > maxChange {
		return string(r[:maxChange]) + "…"
	}
	return s
}

// flat turns a JSON object into texts by field; empty values are left out, as the records do.
func flat(raw json.RawMessage) map[string]string {
	var v map[string]any
	if json.Unmarshal(raw, &v) != nil {
		return nil
	}
	out := map[string]string{}
	flatten(out, "", v)
	return out
}

func flatten(out map[string]string, prefix string, v map[string]any) {
	for k, x := range v {
		switch x := x.(type) {
		case map[string]any:
			flatten(out, prefix+k+".", x)
		case string:
			if x != "" {
				out[prefix+k] = x
			}
		case nil:
		default:
			b, err := json.Marshal(x)
			if err == nil {
				out[prefix+k] = string(b)
			}
		}
	}
}

// auditCSV writes the whole trail as a file.
func (c *call) auditCSV() error {
	cursor := ""
	return c.csv("audit.csv", []string{"at", "who", "what", "target", "before", "after"}, func(write func(...string)) (string, error) {
		list, next, err := c.entries(cursor, 500)
		for _, e := range list {
			write(csvTime(e.At), e.Who, e.What, e.Target, string(e.Before), string(e.After))
		}
		cursor = next
		return next, err
	})
}
