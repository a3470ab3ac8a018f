package jobspec

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// maxFileSet bounds the files that fileset looks at.
const maxFileSet = 100_000

var errNoFiles = errors.New("file functions work only in the command line, where the file is; give the content as a variable")

// fileFunctions read files where the options allow it; elsewhere each says so.
func (p *parser) fileFunctions() map[string]function.Function {
	guard := func(f func([]string) (string, error)) func([]string) (string, error) {
		return func(a []string) (string, error) {
			if !p.opts.AllowFS {
				return "", errNoFiles
			}
			return f(a)
		}
	}
	out := map[string]function.Function{
		"abspath":    textFunc(guard(func(a []string) (string, error) { return filepath.Abs(p.path(a[0])) }), "path"),
		"basename":   textFunc(guard(func(a []string) (string, error) { return filepath.Base(a[0]), nil }), "path"),
		"dirname":    textFunc(guard(func(a []string) (string, error) { return filepath.Dir(a[0]), nil }), "path"),
		"pathexpand": textFunc(guard(func(a []string) (string, error) { return expandHome(a[0]) }), "path"),
		"filebase64": textFunc(guard(func(a []string) (string, error) {
			b, err := p.read(a[0])
			return base64.StdEncoding.EncodeToString(b), err
		}), "path"),
		"file": textFunc(guard(func(a []string) (string, error) {
			b, err := p.read(a[0])
			if err == nil && !utf8.Valid(b) {
				err = fmt.Errorf("%s is not UTF-8 text: use filebase64", a[0])
			}
			return string(b), err
		}), "path"),
	}
	out["fileexists"] = function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}}, Type: function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if !p.opts.AllowFS {
				return cty.UnknownVal(cty.Bool), errNoFiles
			}
			info, err := os.Stat(p.path(args[0].AsString()))
			return cty.BoolVal(err == nil && info.Mode().IsRegular()), nil
		},
	})
	out["fileset"] = function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}, {Name: "pattern", Type: cty.String}},
		Type:   function.StaticReturnType(cty.Set(cty.String)),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if !p.opts.AllowFS {
				return cty.UnknownVal(cty.Set(cty.String)), errNoFiles
			}
			return fileSet(p.path(args[0].AsString()), args[1].AsString())
		},
	})
	return out
}

// path resolves a path of the job file.
func (p *parser) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(p.opts.BaseDir, name)
}

// read returns a regular file of at most MaxSource bytes.
func (p *parser) read(name string) ([]byte, error) {
	f, err := os.Open(p.path(name))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	b, err := io.ReadAll(io.LimitReader(f, MaxSource+1))
	if err == nil && len(b) > MaxSource {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, MaxSource)
	}
	return b, err
}

func expandHome(name string) (string, error) {
	rest, ok := strings.CutPrefix(name, "~")
	if !ok || rest != "" && rest[0] != '/' {
		return name, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return home + rest, nil
}

// fileSet returns the regular files below dir whose relative path matches the
// pattern; ** stands for any number of directories.
func fileSet(dir, pattern string) (cty.Value, error) {
	var found []cty.Value
	seen := 0
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if seen++; seen > maxFileSet {
			return fmt.Errorf("more than %d files below %s", maxFileSet, dir)
		}
		if !e.Type().IsRegular() {
			return nil
		}
		ok, err := matchPath(strings.Split(pattern, "/"), strings.Split(name, "/"))
		if ok {
			found = append(found, cty.StringVal(name))
		}
		return err
	})
	if err != nil {
		return cty.UnknownVal(cty.Set(cty.String)), err
	}
	if len(found) == 0 {
		return cty.SetValEmpty(cty.String), nil
	}
	return cty.SetVal(found), nil
}

// matchPath matches path elements with a pattern's.
func matchPath(pattern, name []string) (bool, error) {
	for len(pattern) > 0 {
		if pattern[0] == "**" {
			for i := range len(name) + 1 {
				if ok, err := matchPath(pattern[1:], name[i:]); ok || err != nil {
					return ok, err
				}
			}
			return false, nil
		}
		if len(name) == 0 {
			return false, nil
		}
		if ok, err := path.Match(pattern[0], name[0]); !ok || err != nil {
			return false, err
		}
		pattern, name = pattern[1:], name[1:]
	}
	return len(name) == 0, nil
}
