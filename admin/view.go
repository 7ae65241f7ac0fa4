package admin

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"html/template"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"izinli/gateway"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed assets/*
var assetFiles embed.FS

// page is what a route shows: a title, what can be done, and blocks one below the other.
type page struct {
	Title   string
	Lead    string // one sentence below the title
	Nav     string // path of the entry of the navigation it belongs to
	Up      *link  // the page above
	Actions []link
	Blocks  []block
	Plain   bool // without navigation: signing in
	Live    bool // the blocks follow /live
	status  int
}

type link struct {
	Text, Href string
	Kind       string // primary, danger; empty: plain
	Current    bool
}

// block is one part of a page; what is set is shown, in this order.
type block struct {
	ID       string // stable over live updates
	Title    string
	Lead     string
	Note     *note
	Filter   *form // a form in one line
	Cards    []card
	Chart    *chart
	Facts    []fact
	Table    *grid
	Timeline []event
	Secrets  []secret
	QR       string // address of an image to scan
	Form     *form
	Links    []link
}

// note is a sentence that stands out.
type note struct {
	Kind   string // info, ok, warn, error
	Text   string
	Detail string // in English, from below
}

// card is one figure of the dashboard.
type card struct {
	Label, Value, Sub string
	Kind              string // ok, warn, error
	Href              string
}

type fact struct {
	Label string
	cell
}

// grid is a list. On narrow screens its rows become cards with the heads as labels.
type grid struct {
	Caption string
	Heads   []string
	Rows    [][]cell
	Empty   string // shown instead when there are no rows
	Next    string // address of the next page
}

// cell is one value; the zero kind is plain text.
type cell struct {
	Text  string
	Sub   string // smaller, below
	Href  string
	Badge string // kind of a badge: ok, warn, error, info, muted
	Mono  bool
	Long  bool // mono, and may be broken anywhere
	Num   bool
	At    time.Time // shown as the time element's machine form
	Forms []form    // buttons
	Links []link
}

// event is one entry of a timeline.
type event struct {
	When, Title, Text string
	At                time.Time
	Kind              string
	Sub               string
	Facts             []fact
}

// change is one field before and after.
type change struct{ Field, Before, After string }

// secret is shown this one time.
type secret struct{ Label, Value string }

type form struct {
	Action    string
	Get       bool
	Fields    []field
	Submit    string
	Kind      string // primary (default), danger, plain
	Cancel    string
	Multipart bool
	Error     string
	Detail    string // of Error, in English
}

type field struct {
	Name, Label, Kind string // text, password, textarea, select, checkbox, checks, hidden, date, file, static
	Value             string
	Values            []string // checks: which are set
	Options           []option
	Hint, Error       string
	Detail            string // of Error, in English
	Required          bool
	Max               int
	Mode              string // inputmode
	Complete          string // autocomplete
	Focus             bool
}

type option struct {
	Value, Text string
	Set         bool
}

// frame is what the templates see.
type frame struct {
	page
	Lang  *lang
	Other *lang
	Theme string
	Path  string
	CSRF  string
	User  *gateway.PanelUser
	Role  string
	Menu  []menu
	Flash string
	CSS   string
	JS    string
	Icon  string
}

type menu struct {
	Title string
	Links []link
}

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"t":        func(l *lang, key string, args ...any) string { return l.t(key, args...) },
	"iso":      func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"join":     func(f *frame, x any) scoped { return scoped{f, x} },
	"has":      func(list []string, s string) bool { return containsString(list, s) },
	"id":       fieldID,
	"fallback": func(a, b string) string { return firstNonEmpty(a, b) },
}).ParseFS(templateFiles, "templates/*.html"))

// scoped hands a part of a page to a template together with the frame.
type scoped struct {
	F *frame
	X any
}

func fieldID(name string) string {
	return "f-" + strings.NewReplacer(".", "-", "_", "-", "/", "-").Replace(name)
}

func containsString(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func firstNonEmpty(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// show writes a page.
func (c *call) show(pg page) error {
	f := c.frame(pg)
	var buf bytes.Buffer
	if err := templates.ExecuteTemplate(&buf, "page", f); err != nil {
		return err
	}
	status := pg.status
	if status == 0 {
		status = http.StatusOK
	}
	return c.HTMLBlob(status, buf.Bytes())
}

func (c *call) frame(pg page) *frame {
	f := &frame{page: pg, Lang: c.l, Theme: c.theme, CSRF: c.csrf, CSS: assetURL("panel.css"), JS: assetURL("panel.js"), Icon: assetURL("icon.svg")}
	f.Other = turkish
	if c.l == turkish {
		f.Other = english
	}
	f.Path = "/"
	if c.Request().Method == http.MethodGet {
		f.Path = c.Request().URL.RequestURI()
	} else if pg.Nav != "" {
		f.Path = pg.Nav
	}
	if c.user != nil && c.sess != nil && c.sess.full {
		f.User, f.Role = c.user, c.t("role."+string(c.user.Role))
		f.Menu = c.menu(pg.Nav)
		f.Flash = c.p.sessions.takeFlash(c.sess)
	} else {
		f.Plain = true
	}
	return f
}

// sections is the navigation, in order; an entry is shown to those who may open it.
var sections = []struct {
	key   string
	paths []string
}{
	{"nav.traffic", []string{"/", "/charts", "/messages", "/batches", "/inbox", "/queue", "/test"}},
	{"nav.permission", []string{"/consents", "/consents/import", "/forms", "/via", "/privacy", "/refusal-links", "/optouts", "/blacklist", "/suppressions", "/iys", "/push", "/dealers"}},
	{"nav.setup", []string{"/accounts", "/senders", "/operators", "/smarthosts", "/routes", "/links"}},
	{"nav.oversight", []string{"/audit", "/users", "/roles", "/settings"}},
}

func (c *call) menu(current string) (out []menu) {
	for _, s := range sections {
		m := menu{Title: c.t(s.key)}
		for _, to := range s.paths {
			if c.may(get, to) {
				m.Links = append(m.Links, link{Text: c.t(navKey(to)), Href: to, Current: to == current})
			}
		}
		if len(m.Links) > 0 {
			out = append(out, m)
		}
	}
	return out
}

// assets are named by their content, so that browsers may keep them for ever.
var assets, assetURLs = loadAssets()

const assetPrefix = "/assets/"

type asset struct {
	body []byte
	kind string
}

func loadAssets() (map[string]asset, map[string]string) {
	byURL, urls := map[string]asset{}, map[string]string{}
	kinds := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		panic("admin: assets: " + err.Error()) // embedded at build time
	}
	for _, e := range entries {
		body, err := assetFiles.ReadFile("assets/" + e.Name())
		if err != nil {
			panic("admin: assets: " + err.Error())
		}
		sum := sha256.Sum256(body)
		ext := path.Ext(e.Name())
		name := strings.TrimSuffix(e.Name(), ext) + "-" + hex.EncodeToString(sum[:6]) + ext
		byURL[name], urls[e.Name()] = asset{body, kinds[ext]}, assetPrefix+name
	}
	return byURL, urls
}

func assetURL(name string) string { return assetURLs[name] }

// asset serves an embedded file.
func (p *Panel) asset(ec echo.Context) error {
	a, ok := assets[ec.Param("name")]
	if !ok {
		return echo.ErrNotFound
	}
	ec.Response().Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	return ec.Blob(http.StatusOK, a.kind, a.body)
}

// errorPage says what went wrong and what can be done.
func (c *call) errorPage(e *gateway.Error, status int) error {
	n := c.refusal(e)
	return c.show(page{Title: c.t("error.title"), status: status, Blocks: []block{{Note: n, Links: []link{{Text: c.t("error.home"), Href: "/"}}}}})
}

// refusal tells an error in the reader's words; what came from below stays beside it in English.
func (c *call) refusal(e *gateway.Error) *note {
	n := &note{Kind: "error", Text: c.codeText(e.Code)}
	switch {
	case e.Field == csrfField:
		n.Text = c.t("error.form")
	case e == errForbidden:
		n.Text = c.t("error.forbidden")
	case e.Code == gateway.CodeInternal:
	case e.Text != e.Code.Wire().Title:
		n.Detail = e.Text
	}
	return n
}

func (c *call) codeText(code gateway.Code) string {
	if key := "code." + string(code); has(key) {
		return c.t(key)
	}
	return c.t("code.internal")
}

// refuse puts a refusal into a form: beside the field at fault, or above the form.
func (c *call) refuse(f *form, err error) {
	if own, ok := errors.AsType[*fault](err); ok {
		for i := range f.Fields {
			if f.Fields[i].Name == own.field {
				f.Fields[i].Error = c.t(own.key)
			}
		}
		f.Error = c.t("form.faults")
		return
	}
	e, status := refusalOf(err)
	if status >= http.StatusInternalServerError {
		c.p.log.Error("panel act failed", "route", c.Path(), "err", err)
	}
	n := c.refusal(e)
	for i := range f.Fields {
		if f.Fields[i].Name == e.Field && f.Fields[i].Kind != "hidden" {
			f.Fields[i].Error, f.Fields[i].Detail = n.Text, n.Detail
			f.Error = c.t("form.faults")
			return
		}
	}
	f.Error, f.Detail = n.Text, n.Detail
}

// showForm shows a form, with the refusal of what was sent when there is one.
func (c *call) showForm(pg page, f form, err error) error {
	if err != nil {
		_, pg.status = refusalOf(err)
		c.refuse(&f, err)
	}
	pg.Blocks = append(pg.Blocks, block{Form: &f})
	return c.show(pg)
}

// confirmed asks before an act that cannot be undone: false means the question has been shown. hidden are fields to carry along.
func (c *call) confirmed(pg page, question, submit, cancel string, hidden ...string) (bool, error) {
	if c.FormValue("confirm") == "yes" {
		return true, nil
	}
	fields := []field{{Name: "confirm", Kind: "hidden", Value: "yes"}}
	for _, name := range hidden {
		fields = append(fields, field{Name: name, Kind: "hidden", Value: c.FormValue(name)})
	}
	pg.Title = firstNonEmpty(pg.Title, c.t("confirm.title"))
	pg.Blocks = []block{{Note: &note{Kind: "warn", Text: question}},
		{Form: &form{Action: c.Request().URL.Path, Fields: fields, Submit: submit, Kind: "danger", Cancel: cancel}}}
	return false, c.show(pg)
}

func themeOf(s string) string {
	if s == "light" || s == "dark" {
		return s
	}
	return "auto"
}

// prefs sets language and theme and goes back where the reader was.
func (c *call) prefs() error {
	if v := c.FormValue("lang"); v == turkish.Code || v == english.Code {
		c.p.setCookie(c.Response(), c.Request(), cookieLang, v, prefsAge)
	}
	if v := c.FormValue("theme"); v == "auto" || v == "light" || v == "dark" {
		c.p.setCookie(c.Response(), c.Request(), cookieTheme, v, prefsAge)
	}
	return c.Redirect(http.StatusSeeOther, ownPath(c.FormValue("back")))
}

// ownPath lets a redirect lead nowhere but to this server.
func ownPath(s string) string {
	if len(s) < 1 || s[0] != '/' || len(s) > 1 && (s[1] == '/' || s[1] == '\\') || strings.ContainsAny(s, "\\\r\n\t") {
		return "/"
	}
	return s
}

// badge returns a cell with a coloured word.
func badge(kind, text string) cell { return cell{Text: text, Badge: kind} }

func text(s string) cell { return cell{Text: s} }

func mono(s string) cell { return cell{Text: s, Mono: true} }

func (c *call) num(n int64) cell { return cell{Text: c.l.num(n), Num: true} }

func (c *call) at(t time.Time) cell { return cell{Text: c.l.when(t), At: t} }

// yes is a cell that says yes or no.
func (c *call) yes(b bool) cell {
	if b {
		return badge("ok", c.t("yes"))
	}
	return badge("muted", c.t("no"))
}

// navKey is the text of an entry of the navigation: nav.home, nav.messages, nav.consents.import …
func navKey(to string) string {
	if to == "/" {
		return "nav.home"
	}
	return "nav" + strings.ReplaceAll(to, "/", ".")
}
