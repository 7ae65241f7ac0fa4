package unsubscribe_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"izinli/gateway"
	"izinli/gateway/unsubscribe"
)

// road is the Submitter behind the writer, and the store of links.
type road struct {
	got   *gateway.Submission
	links map[string]gateway.ShortLink
	fail  error
}

func (r *road) Check(_ context.Context, s *gateway.Submission) ([]gateway.Verdict, error) {
	r.got = s
	return nil, nil
}

func (r *road) Submit(_ context.Context, s *gateway.Submission) (gateway.Result, error) {
	r.got = s
	return gateway.Result{Accepted: len(s.To)}, nil
}

func (r *road) PutShortLinks(_ context.Context, links []gateway.ShortLink, codeOf func(*gateway.ShortLink, int) string) error {
	for i := range links {
		links[i].Code = codeOf(&links[i], 0)
		r.links[links[i].Code] = links[i]
	}
	return r.fail
}

func newWriter(t *testing.T) (*unsubscribe.Writer, *road) {
	t.Helper()
	d := gateway.NewDirectory()
	d.Brands["675403"] = &gateway.Brand{Code: "675403", Account: 1}
	d.Brands["606821"] = &gateway.Brand{Code: "606821", Account: 1}
	d.Brands["700001"] = &gateway.Brand{Code: "700001", Account: 2}
	d.Senders[gateway.SenderKey{Account: 1, Channel: "sms", Name: "ORNEK"}] = &gateway.Sender{Name: "ORNEK", Account: 1, Brand: "675403"}
	r := &road{links: map[string]gateway.ShortLink{}}
	return &unsubscribe.Writer{Next: r, Directory: func() *gateway.Directory { return d },
		Links: &unsubscribe.Links{Tokens: tokens(t, key1), Store: r, Base: func() string { return "https://u.example.com" }}}, r
}

func campaign() *gateway.Submission {
	return &gateway.Submission{Principal: &gateway.Principal{Account: 1}, From: "ORNEK", Text: "{{ad}}, indirim! Ret: {{ unsubscribe_url }}",
		To: []gateway.Destination{{Address: "0532 123 45 67", Vars: []gateway.Var{{Name: "ad", Value: "Ayşe"}}},
			{Address: "nonsense"}, {Address: "+905321234568"}, {Address: "+905321234569", Vars: []gateway.Var{{Name: unsubscribe.Variable, Value: "https://own.example"}}}}}
}

func TestWriterFillsLinks(t *testing.T) {
	w, r := newWriter(t)
	s := campaign()
	before := *campaign()
	if _, err := w.Submit(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(*s, before) {
		t.Error("the caller's submission was changed")
	}
	if len(r.links) != 2 {
		t.Fatalf("%d links are kept, want one for each good address", len(r.links))
	}
	for _, i := range []int{0, 2} {
		v := r.got.To[i].Vars[len(r.got.To[i].Vars)-1]
		code, ok := strings.CutPrefix(v.Value, "https://u.example.com/k/")
		l := r.links[code]
		if v.Name != unsubscribe.Variable || !ok || l.Account != 1 || l.Brand != "675403" || l.Channel != "sms" || !strings.HasPrefix(l.Address, "+9053212345") {
			t.Errorf("recipient %d: %+v leads to %+v", i, v, l)
		}
	}
	if r.got.To[0].Vars[0].Value != "Ayşe" || len(r.got.To[1].Vars) != 0 || len(r.got.To[3].Vars) != 1 || r.got.To[3].Vars[0].Value != "https://own.example" {
		t.Errorf("the other variables: %+v", r.got.To)
	}
	stored := r.got.To[0].Vars[1].Value
	r.links = map[string]gateway.ShortLink{}
	s.DryRun = true
	if _, err := w.Submit(t.Context(), s); err != nil || len(r.links) != 0 || r.got.To[0].Vars[1].Value != stored {
		t.Errorf("a dry run: %v, %d links kept, %+v", err, len(r.links), r.got.To[0].Vars)
	}
	if _, err := w.Check(t.Context(), campaign()); err != nil || len(r.links) != 0 || r.got.To[0].Vars[1].Value != stored {
		t.Errorf("Check: %v, %d links kept, %+v", err, len(r.links), r.got.To[0].Vars)
	}
}

func TestWriterFindsTheBrand(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*gateway.Submission)
		brand  string // empty: untouched, the road refuses
	}{
		"the sender's":           {func(*gateway.Submission) {}, "675403"},
		"asked for":              {func(s *gateway.Submission) { s.Brand = "606821" }, "606821"},
		"the default sender's":   {func(s *gateway.Submission) { s.From, s.Principal.Credential.From = "", "ORNEK" }, "675403"},
		"the credential's":       {func(s *gateway.Submission) { s.From, s.Principal.Credential.Brand = "X", "606821" }, "606821"},
		"nobody's":               {func(s *gateway.Submission) { s.From = "X" }, ""},
		"another account's":      {func(s *gateway.Submission) { s.Brand = "700001" }, ""},
		"e-mail":                 {func(s *gateway.Submission) { s.Channel = gateway.ChannelEmail }, ""},
		"a message of octets":    {func(s *gateway.Submission) { s.Raw = &gateway.RawSMS{} }, ""},
		"a text without a link":  {func(s *gateway.Submission) { s.Text = "unsubscribe_url {{ad}}" }, ""},
		"all bring their own":    {func(s *gateway.Submission) { s.To = s.To[3:] }, ""},
		"too many recipients":    {func(s *gateway.Submission) { s.To = make([]gateway.Destination, gateway.MaxRecipients+1) }, ""},
		"nobody who submits":     {func(s *gateway.Submission) { s.Principal = nil }, ""},
		"the channel is spelled": {func(s *gateway.Submission) { s.Channel = gateway.ChannelSMS }, "675403"},
	} {
		w, r := newWriter(t)
		s := campaign()
		c.change(s)
		if _, err := w.Submit(t.Context(), s); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.brand == "" {
			if r.got != s || len(r.links) != 0 {
				t.Errorf("%s: the submission was touched", name)
			}
			continue
		}
		for _, l := range r.links {
			if l.Brand != c.brand {
				t.Errorf("%s: a link for brand %s, want %s", name, l.Brand, c.brand)
			}
		}
		if len(r.links) != 2 {
			t.Errorf("%s: %d links", name, len(r.links))
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	w, r := newWriter(t)
	var e *gateway.Error
	r.fail = errors.New("disk")
	if _, err := w.Submit(t.Context(), campaign()); !errors.As(err, &e) || e.Code != gateway.CodeUnavailable || r.got != nil {
		t.Errorf("when no link can be kept: %v", err)
	}
	w.Links.Base = func() string { return "" }
	if _, err := w.Submit(t.Context(), campaign()); !errors.As(err, &e) || e.Code != gateway.CodeTemplateVariable || !strings.Contains(e.Text, "publicUrl") || r.got != nil {
		t.Errorf("without a public address: %v", err)
	}
	if _, err := w.Links.Short(t.Context(), 1, "675403", "sms", []string{"+905321234567"}); !errors.Is(err, unsubscribe.ErrNoURL) {
		t.Errorf("Short without a public address: %v", err)
	}
}
