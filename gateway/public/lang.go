package public

import (
	_ "embed"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

//go:embed texts.txt
var textsFile string

// texts holds every text of the pages: key = Türkçe || English, one a line; \n in a text is a line break.
var texts = parseTexts(textsFile)

func parseTexts(file string) map[string][2]string {
	m := map[string][2]string{}
	for line := range strings.Lines(file) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, both, _ := strings.Cut(line, " = ")
		tr, en, _ := strings.Cut(strings.ReplaceAll(both, `\n`, "\n"), " || ")
		m[key] = [2]string{strings.TrimSpace(tr), strings.TrimSpace(en)}
	}
	return m
}

// lang is the language of an answer: "tr" or "en".
type lang string

const (
	turkish lang = "tr"
	english lang = "en"
)

// t is the text of a key. A key that is missing shows as ⟦key⟧, which tests look for.
func (l lang) t(key string, args ...any) string {
	both, ok := texts[key]
	if !ok {
		return "⟦" + key + "⟧"
	}
	text := both[0]
	if l == english {
		text = both[1]
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// other is the language a page offers to change to.
func (l lang) other() lang {
	if l == english {
		return turkish
	}
	return english
}

// language is the one asked for by ?lang=, else the browser's: Turkish where it has no wish, English where it has neither.
func language(r *http.Request) lang {
	switch r.URL.Query().Get("lang") {
	case "tr":
		return turkish
	case "en":
		return english
	}
	return accepted(strings.Join(r.Header.Values("Accept-Language"), ","))
}

// maxAccept bounds the languages looked at.
const maxAccept = 20

// accepted reads an Accept-Language field (RFC 9110 §12.5.4).
func accepted(field string) lang {
	best, quality, wishes := turkish, 0.0, 0
	for _, part := range strings.SplitN(field, ",", maxAccept) {
		tag, params, _ := strings.Cut(part, ";")
		tag, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
		if tag == "" {
			continue
		}
		q := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			f, err := strconv.ParseFloat(v, 64)
			if err != nil || f < 0 || f > 1 {
				continue
			}
			q = f
		}
		if q == 0 {
			continue
		}
		wishes++
		if (tag == "tr" || tag == "en") && q > quality {
			best, quality = lang(tag), q
		}
		if tag == "*" && quality == 0 {
			best, quality = turkish, q/1000
		}
	}
	if wishes > 0 && quality == 0 {
		return english
	}
	return best
}
