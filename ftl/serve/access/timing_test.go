package access

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// How long a comparison takes must not tell how much of a secret is right. Time is nothing that a
// test can rely on, so this looks at the code: what is secret, or is made of it, is compared by
// subtle and hmac alone.
func TestSecretsAreComparedInConstantTime(t *testing.T) {
	found := 0
	for _, dir := range []string{".", "../webhook"} {
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			found++
			for _, at := range comparisons(file) {
				t.Errorf("%v compares a secret", set.Position(at))
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d files were found", found)
	}
}

func TestComparisonsAreSeen(t *testing.T) {
	for source, want := range map[string]int{
		"a.Secret == b": 1, "secret != given": 1, "bytes.Equal(signature, want)": 1, "strings.EqualFold(token, x)": 1, "slices.Equal(mac.Sum(nil), x)": 1, "sum == other.SHA256": 1,
		`secret == ""`: 0, "k.SHA256 == nil": 0, "hmac.Equal(signature, want)": 0, "x == y": 0,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x; var _ = "+source, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(comparisons(file)); got != want {
			t.Errorf("%s: %d found, want %d", source, got, want)
		}
	}
}

var secretName = regexp.MustCompile(`^([sS]ecret|[tT]oken|[sS]ignature|mac|SHA256|[dD]igest|environment)$`)

// comparisons returns where a file compares something whose name says that it is secret with
// something that is not a constant.
func comparisons(file *ast.File) (found []token.Pos) {
	secret := func(e ast.Expr) bool {
		is := false
		ast.Inspect(e, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && secretName.MatchString(id.Name) {
				is = true
			}
			return true
		})
		return is
	}
	constant := func(e ast.Expr) bool {
		id, isName := e.(*ast.Ident)
		_, isLiteral := e.(*ast.BasicLit)
		return isLiteral || isName && id.Name == "nil"
	}
	equal := regexp.MustCompile(`^(bytes|strings|slices|reflect)\.(Equal|EqualFold|Compare|DeepEqual|Contains)$`)
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			// Kinds of grants have the names of what they are, and are no secrets.
			if (n.Op == token.EQL || n.Op == token.NEQ) && !constant(n.X) && !constant(n.Y) && !isKind(n.X) && (secret(n.X) || secret(n.Y)) {
				found = append(found, n.Pos())
			}
		case *ast.CallExpr:
			selector, ok := n.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, _ := selector.X.(*ast.Ident)
			if pkg != nil && equal.MatchString(pkg.Name+"."+selector.Sel.Name) && (secret(n.Args[0]) || secret(n.Args[1])) {
				found = append(found, n.Pos())
			}
		}
		return true
	})
	return found
}

// isKind reports whether an expression is the kind of a grant.
func isKind(e ast.Expr) bool {
	selector, ok := e.(*ast.SelectorExpr)
	return ok && selector.Sel.Name == "Kind"
}

// How long it takes to refuse what is no token does not depend on why: go test -bench Token shows
// it.
func BenchmarkToken(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "state")
	file, err := OpenFile(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	_, good, err := file.Add(b.Context(), Request{Kind: Token, Label: "a", Role: View}, start)
	if err != nil {
		b.Fatal(err)
	}
	g, err := Open(Options{Dir: dir, Now: (&clock{start}).now})
	if err != nil {
		b.Fatal(err)
	}
	defer g.Close()
	unknown, _ := newToken()
	wrong := good[:len("ftl_12345678_")] + strings.Repeat("0", secretLength)
	wrong += "_" + checksum(wrong)
	almost := good[:len(good)-len("0_12345678")] + "0"
	almost += "_" + checksum(almost)
	for name, token := range map[string]string{"unknown": unknown, "wrong": wrong, "almost": almost, "good": good} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				g.Token(token)
			}
		})
	}
}
