package configs

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

const example = "izinli.yaml"

// The example shows the defaults, so that reading it tells what an empty file does.
func TestExampleShowsTheDefaults(t *testing.T) {
	got, err := Load(example, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.TrustedProxies = []Network{} // written [] in the file
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the example says\n%s\nthe defaults are\n%s", got, want)
	}
}

// uncommented is the example with its bootstrap section in force.
func uncommented(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), example)
	if err := os.WriteFile(path, []byte(regexp.MustCompile(`(?m)^#: `).ReplaceAllString(string(b), "")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// both makes one of the two channels of a brand, which have the same fields; the example shows another mode in each.
var both = strings.NewReplacer("[].sms", "[].channel", "[].email", "[].channel")

// keyPaths lists the keys of a YAML document, list items under [].
func keyPaths(n *yaml.Node, path string, into map[string]bool) {
	switch n.Kind {
	case yaml.DocumentNode:
		keyPaths(n.Content[0], path, into)
	case yaml.SequenceNode:
		for _, c := range n.Content {
			keyPaths(c, path+"[]", into)
		}
	case yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			key := both.Replace(strings.TrimPrefix(path+"."+n.Content[i].Value, "."))
			into[key] = true
			keyPaths(n.Content[i+1], key, into)
		}
	}
}

// typePaths lists the keys a type can have, in the same form.
func typePaths(t reflect.Type, path string, into map[string]bool) {
	switch {
	case t.Kind() == reflect.Slice:
		typePaths(t.Elem(), path+"[]", into)
	case t.Kind() == reflect.Struct && t.PkgPath() == reflect.TypeFor[Config]().PkgPath() && t != reflect.TypeFor[Network]():
		for i := range t.NumField() {
			name := t.Field(i).Tag.Get("yaml")
			if name == "-" {
				continue
			}
			key := both.Replace(strings.TrimPrefix(path+"."+name, "."))
			into[key] = true
			typePaths(t.Field(i).Type, key, into)
		}
	}
}

func TestExampleShowsEveryField(t *testing.T) {
	path := uncommented(t)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var n yaml.Node
	if err := yaml.Unmarshal(b, &n); err != nil {
		t.Fatal(err)
	}
	got, want := map[string]bool{}, map[string]bool{}
	keyPaths(&n, "", got)
	typePaths(reflect.TypeFor[Config](), "", want)
	for k := range want {
		if !got[k] {
			t.Errorf("%s is not in the example", k)
		}
	}
	if len(want) < 140 {
		t.Errorf("only %d fields found: the test looks at the wrong type", len(want))
	}
	c, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a := c.Bootstrap.Accounts; len(a) != 1 || a[0].Credits != 10000 || a[0].Brands[0].Email.Expires.Year() != 2099 ||
		a[0].Credentials[0].CIDRs[0].String() != "192.0.2.0/24" || c.Bootstrap.Operators[0].ResponseTimeout.Std() != time.Minute {
		t.Errorf("bootstrap was not read: %+v", c.Bootstrap)
	}
}

func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			line, _, _ := strings.Cut(string(b), "\n")
			want, ok := strings.CutPrefix(line, "# want: ")
			if !ok {
				t.Fatal("no \"# want:\" in the first line")
			}
			if _, err := Load(f, nil); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q in it", err, want)
			}
		})
	}
}

// All problems are told at once, not one a start.
func TestValidateTellsEverything(t *testing.T) {
	_, err := Load("testdata/bad/20-several.yaml", nil)
	for _, want := range []string{"queue.workers", "queue.otpWorkers"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s in it", err, want)
		}
	}
}

// An address without a scheme has that fault alone: what stands there is no path.
func TestBareAddressHasOneFault(t *testing.T) {
	_, err := Load("", []string{"IZINLI_PANEL_URL=panel.example.com"})
	if err == nil || strings.Count(err.Error(), "panelUrl") != 1 || !strings.Contains(err.Error(), "panelUrl is not an address such as") {
		t.Errorf("got %v", err)
	}
}

func TestEnvironment(t *testing.T) {
	c, err := Load("", []string{
		"PATH=/bin", "IZINLI_QUEUE_REDIS=redis://u:secret@r:6379/1", "IZINLI_STORE_KEY_FILE=/k", "IZINLI_QUIET_HOURS=false",
		"IZINLI_LIMITS_SMPP_SESSIONS=5", "IZINLI_STORE_RETENTION=60d", "IZINLI_STORE_RESERVE=2GiB",
		"IZINLI_TRUSTED_PROXIES=10.0.0.0/8, 192.0.2.7", "IZINLI_TLS_HTTP_CERT=c", "IZINLI_TLS_HTTP_KEY=k", "IZINLI_LISTEN_SMPP_TLS=",
		"IZINLI_STORE_KEY=" + strings.Repeat("ab", 32), "IZINLI_CONFIG=x.yaml", "IZINLI_TEXTS=y",
		"IZINLI_BOOTSTRAP={accounts: [{name: Örnek, credits: 5}]}",
	})
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(c.Queue.Redis, c.Store.KeyFile, c.QuietHours, c.Limits.SMPPSessions, c.Store.Retention, c.Store.Reserve, c.TrustedProxies,
		c.TLS.HTTP, c.Listen.SMPPTLS, len(c.Store.Key), c.Bootstrap.Accounts[0].Name)
	want := "redis://u:secret@r:6379/1/kfalse 5 60d 2 GiB [10.0.0.0/8 192.0.2.7/32] {c k} 64Örnek"
	if strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestBadEnvironment(t *testing.T) {
	for _, x := range []struct{ env, want string }{
		{"IZINLI_QUEUE_REDDIS=x", "IZINLI_QUEUE_REDDIS is no setting; did you mean IZINLI_QUEUE_REDIS?"},
		{"IZINLI_STORE=x", "IZINLI_STORE is no setting"}, // a section is no setting
		{"IZINLI_QUEUE_WORKERS=many", "IZINLI_QUEUE_WORKERS: write a whole number"},
		{"IZINLI_QUIET_HOURS=perhaps", "write true or false"},
		{"IZINLI_TRUSTED_PROXIES=here", "IZINLI_TRUSTED_PROXIES"},
		{"IZINLI_STORE_RETENTION=3", "write a duration"},
		{"IZINLI_BOOTSTRAP={acounts: []}", `unknown key "acounts"`},
		{"IZINLI_QUEUE_WORKERS=1", "queue.workers is 1"},
	} {
		if _, err := Load("", []string{x.env}); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: got %v, want %q", x.env, err, x.want)
		}
	}
}

// A variable exists for every field, and no two fields share one.
func TestFieldsHaveTheirVariables(t *testing.T) {
	seen := map[string]string{}
	for _, f := range Fields() {
		if other := seen[f.Env]; other != "" {
			t.Errorf("%s and %s share %s", f.Path, other, f.Env)
		}
		seen[f.Env] = f.Path
	}
	for path, want := range map[string]string{"queue.redis": "IZINLI_QUEUE_REDIS", "store.keyFile": "IZINLI_STORE_KEY_FILE", "data": "IZINLI_DATA"} {
		if seen[want] != path {
			t.Errorf("%s belongs to %q, want %q", want, seen[want], path)
		}
	}
	if seen[EnvStoreKey] != "" {
		t.Errorf("%s is taken by %s", EnvStoreKey, seen[EnvStoreKey])
	}
}

func TestMissingFile(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml"), nil); err == nil {
		t.Error("a file that was named must exist")
	}
	empty := filepath.Join(t.TempDir(), "empty.yaml")
	if err := os.WriteFile(empty, []byte("# nothing\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := Load(empty, nil); err != nil || !reflect.DeepEqual(c, Default()) {
		t.Errorf("an empty file: %v", err)
	}
}

// What is shown or logged tells the settings and no secret.
func TestNoSecretIsShown(t *testing.T) {
	c := Default()
	c.Queue.Redis = "rediss-sentinel://user:hush1@a:1,b:2/0?master=m&sentinelPassword=hush2"
	c.Store.Key = strings.Repeat("hush3", 8)
	c.Bootstrap.Accounts = []BootAccount{{Name: "x", Credentials: []BootCredential{{Secret: "hush4"}}}}
	c.Bootstrap.Operators = []BootOperator{{Password: "hush5"}}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("configuration", "config", c)
	for _, out := range []string{c.String(), fmt.Sprint(c), log.String()} {
		if strings.Contains(out, "hush") {
			t.Errorf("a secret is shown: %s", out)
		}
		if !strings.Contains(out, "a:1,b:2") || !strings.Contains(out, "1 accounts") {
			t.Errorf("settings are missing: %s", out)
		}
	}
	if !strings.Contains(c.String(), "limits.mail: 25 MiB") || strings.Contains(log.String(), "limits.mail") {
		t.Errorf("String tells all, a log what differs: %s", log.String())
	}
	for _, url := range []string{"redis://u:hu?sh@h:1", "redis://u:hu/sh@h:1", "redis://u:hu#sh@h/0"} {
		if got := hideURL(url); got != "redis://…" {
			t.Errorf("%s: got %s", url, got)
		}
	}
}

func TestUnits(t *testing.T) {
	for in, want := range map[string]string{
		"90s": "1m30s", "3h": "3h", "15m": "15m", "36h": "36h", "48h": "2d", "7d": "7d", "1h30m": "1h30m", "250ms": "250ms", "0s": "0s", "0": "0s",
	} {
		var d Duration
		if err := d.UnmarshalText([]byte(in)); err != nil || d.String() != want {
			t.Errorf("%s: got %s, %v, want %s", in, d, err, want)
		}
	}
	for _, in := range []string{"", "30", "00x", "-3h", "3 h", "1.5d", "d", "99999999d", "later"} {
		if err := new(Duration).UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q was taken for a duration", in)
		}
	}
	for in, want := range map[string]Size{
		"0": 0, "512": 512, "64 KiB": 64 << 10, "16mib": 16 << 20, "1 GiB": 1 << 30, "2TiB": 2 << 40, "5 MB": 5e6, "1B": 1, " 3 KB ": 3000,
	} {
		var s Size
		if err := s.UnmarshalText([]byte(in)); err != nil || s != want {
			t.Errorf("%q: got %d, %v, want %d", in, s, err, want)
		}
	}
	for _, in := range []string{"", "-1", "1.5 GiB", "KiB", "1 Kib/s", "9999999999 TiB"} {
		if err := new(Size).UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q was taken for a size", in)
		}
	}
}

// A notice of delay that is never sent is written 0, as the example says.
func TestDelayNoticeNever(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte("mail:\n  delayNotice: 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{path, ""} {
		var env []string
		if f == "" {
			env = []string{"IZINLI_MAIL_DELAY_NOTICE=0"}
		}
		if c, err := Load(f, env); err != nil || c.Mail.DelayNotice != 0 {
			t.Errorf("%q: %s, %v; want 0", f, c.Mail.DelayNotice, err)
		}
	}
}

// Units survive being written and read again.
func FuzzUnits(f *testing.F) {
	f.Add(int64(0))
	f.Add(int64(90_000_000_000))
	f.Add(int64(64 << 20))
	f.Fuzz(func(t *testing.T, n int64) {
		if n < 0 {
			n = -(n + 1)
		}
		var d Duration
		if err := d.UnmarshalText([]byte(Duration(n).String())); err != nil || d != Duration(n) {
			t.Errorf("duration %d: %s, %v", n, Duration(n), err)
		}
		var s Size
		n %= 1 << 61
		if err := s.UnmarshalText([]byte(Size(n).String())); err != nil || s != Size(n) {
			t.Errorf("size %d: %s, %v", n, Size(n), err)
		}
	})
}

func FuzzLoad(f *testing.F) {
	b, err := os.ReadFile(example)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("queue: {redis: 1}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := Default()
		if c.decode(b) == nil {
			_ = c.Validate()
			_ = c.String()
		}
	})
}

func TestKeysAreKnown(t *testing.T) {
	if all := keys(reflect.TypeFor[Config]()); !slices.Contains(all, "systemId") || !slices.Contains(all, "keyFile") {
		t.Errorf("got %v", all)
	}
}
