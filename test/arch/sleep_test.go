package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"testing"
)

// No test waits for a clock on the wall: time.Sleep stands where time is a bubble's, in which sleeping costs nothing and is exact.
func TestSleepsAreInBubbles(t *testing.T) {
	dirs := map[string]*bubbles{}
	for _, s := range sources(t) {
		if !s.test {
			continue
		}
		dir := filepath.Dir(s.name)
		if dirs[dir] == nil {
			dirs[dir] = &bubbles{}
		}
		dirs[dir].files = append(dirs[dir].files, s)
	}
	for _, b := range dirs {
		for _, at := range b.outside() {
			t.Errorf("%s: time.Sleep in a test; synchronise, or run it in a testing/synctest bubble", at)
		}
	}
}

// bubbles tells what of a folder's tests runs on fake time. It goes by names alone, as the file reads: functions of one name are one,
// and what it cannot follow (a function kept in a variable or a field, a method that an interface may call) is outside.
type bubbles struct {
	files     []source
	runners   map[string]bool // run what they are given in a bubble
	sheltered map[string]bool // are called from bubbles only
}

// outside lists the calls of time.Sleep that no bubble is around.
func (b *bubbles) outside() (out []token.Position) {
	b.runners, b.sheltered = map[string]bool{}, map[string]bool{}
	for b.grow() {
	}
	for _, s := range b.files {
		b.walk(s.file, func(n ast.Node, inside bool) {
			sel, ok := n.(*ast.SelectorExpr)
			if x, isIdent := selX(sel, ok); isIdent && !inside && x.Name == "time" && sel.Sel.Name == "Sleep" {
				out = append(out, s.fset.Position(sel.Pos()))
			}
		})
	}
	return out
}

// grow finds further runners and sheltered functions by those known, and reports whether there were any.
func (b *bubbles) grow() (more bool) {
	for _, s := range b.files {
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			if name := f.Name.Name; !b.runners[name] && b.runs(f) {
				b.runners[name], more = true, true
			}
			if name := f.Name.Name; !b.sheltered[name] && !(f.Recv != nil && ast.IsExported(name)) && b.calledInside(name) {
				b.sheltered[name], more = true, true
			}
		}
	}
	return more
}

// runs reports whether f uses the functions among its parameters, of which it has some, in bubbles only.
func (b *bubbles) runs(f *ast.FuncDecl) bool {
	var given []string
	for _, p := range f.Type.Params.List {
		if _, ok := p.Type.(*ast.FuncType); ok {
			for _, n := range p.Names {
				given = append(given, n.Name)
			}
		}
	}
	used, all := false, true
	b.walk(f.Body, func(n ast.Node, inside bool) {
		if id, ok := n.(*ast.Ident); ok && slices.Contains(given, id.Name) {
			used, all = true, all && inside
		}
	})
	return used && all
}

// calledInside reports whether the name stands in bubbles only, save in the function's own body, and does so at all.
func (b *bubbles) calledInside(name string) bool {
	used, all := false, true
	for _, s := range b.files {
		b.walk(s.file, func(n ast.Node, inside bool) {
			if id, ok := n.(*ast.Ident); ok && id.Name == name {
				used, all = true, all && inside
			}
		})
	}
	return used && all
}

// walk visits the nodes below top with whether they are in a bubble. Of a declared function it visits the body alone, and not the names
// by which it calls itself.
func (b *bubbles) walk(top ast.Node, visit func(n ast.Node, inside bool)) {
	var self string
	var at func(n ast.Node, inside bool)
	at = func(n ast.Node, inside bool) {
		ast.Inspect(n, func(m ast.Node) bool {
			switch m := m.(type) {
			case nil:
				return false
			case *ast.FuncDecl:
				if m.Body != nil {
					self = m.Name.Name
					at(m.Body, inside || b.sheltered[self])
					self = ""
				}
				return false
			case *ast.CallExpr:
				if inside || !b.isRunner(m.Fun) {
					break
				}
				at(m.Fun, inside)
				for _, arg := range m.Args {
					at(arg, true)
				}
				return false
			case *ast.Ident:
				if m.Name == self {
					return false
				}
			}
			visit(m, inside)
			return true
		})
	}
	at(top, false)
}

func (b *bubbles) isRunner(f ast.Expr) bool {
	switch f := f.(type) {
	case *ast.Ident:
		return b.runners[f.Name]
	case *ast.SelectorExpr:
		x, ok := f.X.(*ast.Ident)
		return ok && x.Name == "synctest" && f.Sel.Name == "Test" || b.runners[f.Sel.Name]
	}
	return false
}

// The rule itself: what is in a bubble and what only looks like it.
func TestBubblesAreFound(t *testing.T) {
	for _, c := range []struct {
		why  string
		text string
		want int // sleeps outside
	}{
		{"in the bubble", `func TestA(t *testing.T) { synctest.Test(t, func(t *testing.T) { time.Sleep(1) }) }`, 0},
		{"beside the bubble", `func TestA(t *testing.T) { synctest.Test(t, func(t *testing.T) {}); time.Sleep(1) }`, 1},
		{"another test of the file", `func TestA(t *testing.T) { synctest.Test(t, func(t *testing.T) {}) }
			func TestB(t *testing.T) { go func() { time.Sleep(1) }() }`, 1},
		{"through a helper that makes one", `func TestA(t *testing.T) { inBubble(t, func(w *world) { time.Sleep(1) }) }
			func inBubble(t *testing.T, f func(*world)) { synctest.Test(t, func(t *testing.T) { f(nil) }) }`, 0},
		{"through a helper of such a helper", `func TestA(t *testing.T) { outer(t, func() { time.Sleep(1) }) }
			func outer(t *testing.T, f func()) { inner(t, func(*testing.T) { f() }) }
			func inner(t *testing.T, f func(*testing.T)) { synctest.Test(t, f) }`, 0},
		{"through a helper that makes one and calls it outside as well", `func TestA(t *testing.T) { twice(t, func() { time.Sleep(1) }) }
			func twice(t *testing.T, f func()) { synctest.Test(t, func(t *testing.T) { f() }); f() }`, 1},
		{"in what is called from one", `func TestA(t *testing.T) { synctest.Test(t, func(t *testing.T) { new(w).step(); nap() }) }
			func (*w) step() { nap() }
			func nap() { time.Sleep(1) }`, 0},
		{"in what is called from elsewhere as well", `func TestA(t *testing.T) { synctest.Test(t, func(t *testing.T) { nap() }) }
			func TestB(t *testing.T) { nap() }
			func nap() { time.Sleep(1) }`, 1},
		{"in what calls itself", `func TestA(t *testing.T) { synctest.Test(t, nap) }
			func nap(t *testing.T) { time.Sleep(1); nap(t) }`, 0},
		{"in what nobody calls", `func nap(t *testing.T) { time.Sleep(1); nap(t) }`, 1},
		{"in a method that an interface may call", `func TestA(t *testing.T) { synctest.Test(t, func(t *testing.T) { w{}.Apply() }) }
			func (w) Apply() { time.Sleep(1) }`, 1},
		{"handed on as a value", `func TestA(t *testing.T) { after(time.Sleep) }`, 1},
	} {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, "x_test.go", "package x\n"+c.text, 0)
		if err != nil {
			t.Fatalf("%s: %v", c.why, err)
		}
		b := bubbles{files: []source{{fset: fset, file: f}}}
		if got := b.outside(); len(got) != c.want {
			t.Errorf("a sleep %s: %d found outside %v, want %d", c.why, len(got), got, c.want)
		}
	}
}
