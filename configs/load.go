package configs

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"
)

// envPrefix starts the names of all environment variables of ours.
const envPrefix = "IZINLI_"

// Variables that are no field: the configuration file's own name, the store key itself, and what tests and tools read.
const (
	EnvConfig   = "IZINLI_CONFIG"
	EnvStoreKey = "IZINLI_STORE_KEY"
)

var foreignEnv = []string{EnvConfig, EnvStoreKey, "IZINLI_TEXTS", "IZINLI_BENCH_", "IZINLI_TEST_"}

// Load returns the defaults, changed by the file at path (none when path is empty) and by the environment (os.Environ form), once
// Validate agrees. Errors name file, line and field, or the variable.
func Load(path string, environ []string) (Config, error) {
	c := Default()
	if path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return c, fmt.Errorf("configs: %w", err)
		}
		if err := c.decode(b); err != nil {
			return c, fmt.Errorf("configs: %s: %w", path, err)
		}
	}
	if err := c.override(environ); err != nil {
		return c, fmt.Errorf("configs: %w", err)
	}
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("configs: %w", err)
	}
	return c, nil
}

// decode reads one YAML document over c. Keys nobody knows are errors.
func (c *Config) decode(b []byte) error {
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	switch err := d.Decode(c); {
	case errors.Is(err, io.EOF): // nothing but comments
		return nil
	case err != nil:
		return tidyError(err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return errors.New("only one YAML document is read; remove what follows ---")
	}
	return nil
}

var unknownField = regexp.MustCompile(`^(line \d+): field (\S+) not found in type configs\.\S+$`)

// tidyError says what yaml.v3 says in the words of whoever wrote the file.
func tidyError(err error) error {
	var te *yaml.TypeError
	if !errors.As(err, &te) {
		return errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	var out []string
	for _, e := range te.Errors {
		if m := unknownField.FindStringSubmatch(e); m != nil {
			e = fmt.Sprintf("%s: unknown key %q%s", m[1], m[2], didYouMean(m[2], keys(reflect.TypeFor[Config]())))
		}
		out = append(out, e)
	}
	return errors.New(strings.Join(out, "; "))
}

// Field is one setting: its path in the file, its variable and where it lives in a Config.
type Field struct {
	Path  string
	Env   string
	index []int
}

// Fields lists every setting of a process, sections not counted, in the order of the file; bootstrap is one.
func Fields() []Field { return fields(reflect.TypeFor[Config](), "", nil) }

func fields(t reflect.Type, path string, index []int) (out []Field) {
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("yaml")
		if name == "-" {
			continue
		}
		if path != "" {
			name = path + "." + name
		}
		at := append(slices.Clone(index), i)
		if f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[Bootstrap]() {
			out = append(out, fields(f.Type, name, at)...)
			continue
		}
		out = append(out, Field{Path: name, Env: envName(name), index: at})
	}
	return out
}

// envName turns store.keyFile into IZINLI_STORE_KEY_FILE.
func envName(path string) string {
	var b strings.Builder
	b.WriteString(envPrefix)
	for _, r := range path {
		switch {
		case r == '.':
			b.WriteByte('_')
			continue
		case unicode.IsUpper(r):
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String()
}

// override applies the environment.
func (c *Config) override(environ []string) error {
	known := map[string]Field{}
	names := []string{}
	for _, f := range Fields() {
		known[f.Env] = f
		names = append(names, f.Env)
	}
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if name == EnvStoreKey {
			c.Store.Key = value
		}
		if !strings.HasPrefix(name, envPrefix) || slices.ContainsFunc(foreignEnv, func(p string) bool { return name == p || strings.HasSuffix(p, "_") && strings.HasPrefix(name, p) }) {
			continue
		}
		f, ok := known[name]
		if !ok {
			return fmt.Errorf("environment: %s is no setting%s", name, didYouMean(name, names))
		}
		if err := set(reflect.ValueOf(c).Elem().FieldByIndex(f.index), value); err != nil {
			return fmt.Errorf("environment: %s: %w", name, err) // the value may be a secret
		}
	}
	return nil
}

// set reads a value given as text.
func set(v reflect.Value, s string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(s))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Bool:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return errors.New("write true or false")
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return errors.New("write a whole number")
		}
		v.SetInt(n)
	case reflect.Slice:
		return setList(v, s)
	default: // bootstrap: YAML
		d := yaml.NewDecoder(strings.NewReader(s))
		d.KnownFields(true)
		if err := d.Decode(v.Addr().Interface()); err != nil && !errors.Is(err, io.EOF) {
			return tidyError(err)
		}
	}
	return nil
}

// setList reads a list separated by commas; empty text is the empty list.
func setList(v reflect.Value, s string) error {
	list := reflect.MakeSlice(v.Type(), 0, 0)
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		x := reflect.New(v.Type().Elem()).Elem()
		if err := set(x, item); err != nil {
			return err
		}
		list = reflect.Append(list, x)
	}
	v.Set(list)
	return nil
}

// keys lists every key that exists anywhere in the file.
func keys(t reflect.Type) (out []string) {
	switch t.Kind() {
	case reflect.Slice:
		return keys(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if name := t.Field(i).Tag.Get("yaml"); name != "" && name != "-" {
				out = append(append(out, name), keys(t.Field(i).Type)...)
			}
		}
	}
	return out
}

// didYouMean names the known word that is nearest, when one is near.
func didYouMean(word string, known []string) string {
	best, at := "", 1+len(word)/4
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d <= at {
			best, at = k, d-1
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// distance is the number of letters to insert, drop or change (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost = min(last, row[j], row[j+1]) + 1
			}
			last, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
