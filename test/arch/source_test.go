package arch

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Bounds that keep pieces small enough to be read in one go.
const (
	maxFile     = 650 // lines
	maxFunction = 90  // lines, outside tests
)

// leftover is what unfinished work is marked with.
var leftover = regexp.MustCompile(`\b(TODO|FIXME|XXX)\b`)

// source is one parsed file.
type source struct {
	name  string // below the root
	test  bool
	lines int
	text  string
	fset  *token.FileSet
	file  *ast.File
}

// sources parses every Go file that is committed or about to be; without git, every Go file there is.
func sources(t *testing.T) (out []source) {
	t.Helper()
	top := root(t)
	for _, rel := range fileNames(t, top) {
		b, err := os.ReadFile(filepath.Join(top, rel))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed, not yet committed
		} else if err != nil {
			t.Fatal(err)
		}
		s := source{name: rel, test: strings.HasSuffix(rel, "_test.go"), lines: strings.Count(string(b), "\n"), text: string(b), fset: token.NewFileSet()}
		if s.file, err = parser.ParseFile(s.fset, rel, b, parser.ParseComments); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	if len(out) < 100 {
		t.Fatalf("only %d files found", len(out))
	}
	return out
}

func fileNames(t *testing.T, top string) (out []string) {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "--cached", "*.go")
	cmd.Dir = top
	if b, err := cmd.Output(); err == nil {
		return strings.Fields(string(b))
	}
	err := fs.WalkDir(os.DirFS(top), ".", func(name string, d fs.DirEntry, err error) error {
		switch base := path.Base(name); {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(base, ".") || base == "node_modules" || base == "testdata"):
			return fs.SkipDir
		case !d.IsDir() && strings.HasSuffix(name, ".go"):
			out = append(out, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSizes(t *testing.T) {
	for _, s := range sources(t) {
		if s.lines > maxFile {
			t.Errorf("%s has %d lines; cut it at %d", s.name, s.lines, maxFile)
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || s.test {
				continue
			}
			if n := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1; n > maxFunction {
				t.Errorf("%s: %s has %d lines; at most %d", s.name, f.Name.Name, n, maxFunction)
			}
		}
	}
}

// Each package says once what it is for.
func TestPackageComments(t *testing.T) {
	comments := map[string][]string{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		dir := filepath.Dir(s.name)
		if comments[dir] == nil {
			comments[dir] = []string{}
		}
		if s.file.Doc == nil {
			continue
		}
		comments[dir] = append(comments[dir], s.name)
		text := s.file.Doc.Text()
		kind, name := "Package", s.file.Name.Name
		if name == "main" {
			kind, name = "Command|Program", filepath.Base(dir)
		}
		if begins := regexp.MustCompile("^(" + kind + ") " + name + " "); !begins.MatchString(text) {
			t.Errorf("%s: the package comment does not begin with %s", s.name, begins)
		}
		if len(strings.Fields(text)) < 15 {
			t.Errorf("%s: the package comment teaches nothing: %q", s.name, text)
		}
	}
	for dir, files := range comments {
		if len(files) != 1 {
			t.Errorf("%s has %d package comments %v, want one", dir, len(files), files)
		}
	}
}

// What is handed in is finished.
func TestNothingIsLeftOver(t *testing.T) {
	for _, s := range sources(t) {
		if m := leftover.FindString(s.text); m != "" && !s.test {
			t.Errorf("%s contains %s", s.name, m)
		}
	}
}

func selX(sel *ast.SelectorExpr, ok bool) (*ast.Ident, bool) {
	if !ok {
		return nil, false
	}
	x, isIdent := sel.X.(*ast.Ident)
	return x, isIdent
}
