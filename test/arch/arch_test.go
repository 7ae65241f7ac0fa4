package arch

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// module is the path all packages of ours begin with.
const module = "izinli"

// pkg is a package as the go command sees it, without its tests.
type pkg struct {
	ImportPath string
	Dir        string
	Imports    []string
	GoFiles    []string
}

// short is the path below the module.
func (p *pkg) short() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

// rule forbids imports. From, to and except are patterns of package paths below the module, or whole paths of others; a pattern
// that ends in /... means everything below too, "std" the standard library, "*" everything.
type rule struct {
	from   []string
	to     []string
	except []string // imports allowed all the same
	unless []string // packages the rule does not bind
	why    string
}

var (
	doors = []string{"gateway/httpapi", "gateway/smppserver", "gateway/smtpserver", "gateway/public"}
	roads = []string{"gateway/intake", "gateway/dispatch", "gateway/operators", "gateway/inbound", "gateway/consent"}
	pure  = []string{"gateway/smpp", "gateway/sms", "gateway/address", "gateway/template", "gateway/inbound/keyword", "iys"}
)

// planned are packages with a rule of their own that may not be there yet.
var planned = []string{"admin", "admin/..."}

var rules = []rule{
	{from: []string{"gateway", "iys"}, to: []string{"*"}, except: []string{"std"},
		why: "the two vocabularies rest on the standard library alone, so that everyone can meet there"},
	{from: []string{"*"}, to: []string{"github.com/dgraph-io/..."}, unless: []string{"gateway/store"},
		why: "Badger has one room: behind the store's seams another database can stand"},
	{from: []string{"*"}, to: []string{"github.com/hibiken/...", "github.com/redis/...", "github.com/alicebob/..."}, unless: []string{"queue", "test/..."},
		why: "asynq and Redis have one room: a task is only a trigger, and nobody else needs to know"},
	{from: []string{"*"}, to: []string{"github.com/labstack/..."}, unless: []string{"gateway/httpapi", "admin/..."},
		why: "Echo has two rooms, the HTTP door and the panel: a web framework's types must not wander"},
	{from: []string{"*"}, to: []string{"github.com/spf13/..."}, unless: []string{"cmd/..."},
		why: "flags are read by commands"},
	{from: []string{"*"}, to: []string{"gopkg.in/yaml.v3"}, unless: []string{"configs"},
		why: "the configuration file is read in one place"},
	{from: doors, to: []string{"gateway/intake", "gateway/store", "gateway/dispatch", "gateway/operators", "gateway/consent", "gateway/desk", "queue/...", "iys/..."},
		why: "a door parses, authenticates, calls and translates; it decides nothing and knows no road behind it"},
	{from: roads, to: []string{"gateway/store", "queue/...", "gateway/httpapi", "gateway/smppserver", "gateway/smtpserver", "gateway/desk", "admin/...", "configs"},
		why: "the roads name what they need as interfaces; store, queue and doors are put behind them by the assembly"},
	{from: []string{"gateway/desk", "gateway/customer", "gateway/account", "gateway/webhook", "gateway/iyslink", "gateway/journal", "gateway/unsubscribe"},
		to:  []string{"gateway/store", "queue/...", "gateway/httpapi", "admin/...", "configs"},
		why: "services name what they need of the store as an interface"},
	{from: []string{"gateway/store"}, to: []string{"queue/...", "gateway/intake", "gateway/dispatch", "gateway/operators", "gateway/inbound", "gateway/consent",
		"gateway/desk", "gateway/httpapi", "gateway/smppserver", "gateway/smpp", "admin/...", "configs", "net/http"},
		why: "the store knows what must be true together, not who asks nor when a message may go"},
	{from: []string{"queue"}, to: []string{"izinli/..."}, except: []string{"gateway"},
		why: "the queue carries numbers; it does not know what a message is"},
	{from: []string{"iys", "iys/..."}, to: []string{"gateway/...", "queue/...", "admin/...", "configs", "cmd/..."},
		why: "the law and the traffic with İYS do not know the gateway they serve"},
	{from: []string{"configs"}, to: []string{"izinli/..."},
		why: "the configuration checks forms and bounds, not meaning"},
	{from: pure, to: []string{"net", "net/http", "os", "log/slog", "database/sql"}, except: []string{"log/slog"},
		why: "codecs and the law turn values into values: no socket, no file"},
	{from: []string{"gateway/..."}, to: []string{"admin/...", "cmd/...", "configs", "test/..."},
		why: "arrows point down"},
	{from: planned, to: []string{"gateway/store", "queue/...", "gateway/intake", "gateway/dispatch", "cmd/...", "configs"},
		why: "the panel does through the desk what the command line does, and nothing else"},
	{from: []string{"*"}, to: []string{"gateway/smpptest", "gateway/smtptest", "iys/iystest"}, unless: []string{"cmd/...", "test/..."},
		why: "simulators are for demonstrations and tests, never behind a door in production"},
	{from: []string{"*"}, to: []string{"cmd/..."}, unless: []string{"cmd/...", "test/..."},
		why: "only programs know everyone"},
	{from: []string{"*"}, to: []string{"log", "math/rand", "io/ioutil"},
		why: "logs go through a slog.Logger that is passed in; secrets and jitter come from crypto/rand or math/rand/v2"},
}

// isStd reports whether an import path is of the standard library: its first element has no dot, and it is not ours.
func isStd(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return first != module && !strings.Contains(first, ".")
}

// matches reports whether an import path fits a pattern.
func matches(p, pattern string) bool {
	switch pattern {
	case "*":
		return true
	case "std":
		return isStd(p)
	}
	short, ours := strings.CutPrefix(p, module+"/")
	if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
		if prefix == module {
			return ours
		}
		return p == prefix || strings.HasPrefix(p, prefix+"/") || ours && (short == prefix || strings.HasPrefix(short, prefix+"/"))
	}
	return p == pattern || ours && short == pattern
}

func anyMatches(p string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return matches(p, pattern) })
}

// breaches lists the forbidden imports of a package.
func (r *rule) breaches(p *pkg) (out []string) {
	if !anyMatches(p.ImportPath, r.from) || anyMatches(p.ImportPath, r.unless) {
		return nil
	}
	for _, i := range p.Imports {
		if anyMatches(i, r.to) && !anyMatches(i, r.except) && i != p.ImportPath {
			out = append(out, i)
		}
	}
	return out
}

// packages lists every package of the module.
func packages(t *testing.T) (out []pkg) {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Imports,GoFiles", module+"/...")
	cmd.Dir = root(t)
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	for {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if len(p.GoFiles) > 0 {
			out = append(out, p)
		}
	}
	if len(out) < 20 {
		t.Fatalf("only %d packages found", len(out))
	}
	return out
}

// root is the top of the tree.
func root(t *testing.T) string {
	t.Helper()
	b, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatalf("go env: %v", err)
	}
	return path.Dir(strings.TrimSpace(string(b)))
}

func TestImports(t *testing.T) {
	all := packages(t)
	for _, r := range rules {
		applies := false
		for i := range all {
			p := &all[i]
			applies = applies || anyMatches(p.ImportPath, r.from) && !anyMatches(p.ImportPath, r.unless)
			for _, bad := range r.breaches(p) {
				t.Errorf("%s imports %s: %s", p.short(), strings.TrimPrefix(bad, module+"/"), r.why)
			}
		}
		if !applies && !slices.Equal(r.from, planned) {
			t.Errorf("the rule %q applies to no package any more", r.why)
		}
	}
}

// Every rule catches what it forbids, and lets pass what it does not.
func TestRulesCatch(t *testing.T) {
	example := func(pattern string) string {
		pattern = strings.TrimSuffix(pattern, "/...")
		switch {
		case pattern == "*":
			return "example.com/any"
		case strings.Contains(pattern, ".") || isStd(pattern) && !strings.HasPrefix(pattern, module) && !ours(pattern):
			return pattern
		case pattern == module:
			return module + "/gateway/any"
		}
		return module + "/" + pattern
	}
	for _, r := range rules {
		from := module + "/somewhere"
		if r.from[0] != "*" {
			from = example(r.from[0])
		}
		for _, to := range r.to {
			p := &pkg{ImportPath: from, Imports: []string{example(to)}}
			if slices.Contains(r.except, to) || p.Imports[0] == from {
				continue
			}
			if len(r.breaches(p)) != 1 {
				t.Errorf("%s importing %s passes the rule %q", from, p.Imports[0], r.why)
			}
		}
		if got := r.breaches(&pkg{ImportPath: from, Imports: []string{"context", "fmt"}}); len(got) > 0 {
			t.Errorf("the rule %q forbids %v", r.why, got)
		}
		for _, free := range r.unless {
			if got := r.breaches(&pkg{ImportPath: example(free), Imports: []string{example(r.to[0])}}); len(got) > 0 {
				t.Errorf("the rule %q binds %s", r.why, free)
			}
		}
	}
}

// ours reports whether a pattern names one of our top folders.
func ours(pattern string) bool {
	first, _, _ := strings.Cut(pattern, "/")
	return slices.Contains(folders, first)
}

// folders are the top folders with code.
var folders = []string{"cmd", "gateway", "iys", "queue", "admin", "configs", "test"}

// The top of the tree is fixed: whoever opens it sees the parts of the gateway and nothing else.
func TestTopLevel(t *testing.T) {
	cmd := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root(t)
	b, err := cmd.Output()
	if err != nil {
		t.Skipf("SKIPPED, THE TOP OF THE TREE IS NOT CHECKED: git ls-files: %v", err)
	}
	allowed := append([]string{"go.mod", "go.sum", "Makefile", "README.md", "LICENSE"}, folders...)
	seen := map[string]bool{}
	for name := range strings.Lines(string(b)) {
		top, _, _ := strings.Cut(strings.TrimSpace(name), "/")
		seen[top] = true
		if !slices.Contains(allowed, top) && !strings.HasPrefix(top, ".") {
			t.Errorf("%s does not belong at the top of the tree", strings.TrimSpace(name))
		}
	}
	for _, want := range []string{"cmd", "gateway", "iys", "queue", "configs", "test", "go.mod", "Makefile", "README.md"} {
		if !seen[want] {
			t.Errorf("%s is missing at the top of the tree", want)
		}
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		path, pattern string
		want          bool
	}{
		{"izinli/iys/mirror", "iys/...", true},
		{"izinli/iys", "iys/...", true},
		{"izinli/iys/mirror", "iys", false},
		{"izinli/iysx", "iys/...", false},
		{"izinli/gateway", "std", false},
		{"net/http", "std", true},
		{"net/http", "net", false},
		{"github.com/x/y", "std", false},
		{"github.com/x/y", "github.com/x/...", true},
		{"izinli/queue", "izinli/...", true},
	} {
		if got := matches(c.path, c.pattern); got != c.want {
			t.Errorf("%s matches %s: got %v, want %v", c.path, c.pattern, got, c.want)
		}
	}
}
