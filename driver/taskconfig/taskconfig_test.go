package taskconfig

import (
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/google/go-cmp/cmp"
)

func TestReader(t *testing.T) {
	r := New("x", map[string]any{
		"s": "text", "n": 3.0, "sn": "4", "b": true, "list": []any{"a", 1.0}, "map": map[string]any{"k": "v"},
		"blocks": []any{map[string]any{"a": "1"}, map[string]any{"b": 2.0}}, "later": "${NOMAD_PORT_x}",
	})
	got := []any{
		r.String("s"), r.Int("n"), r.Int("sn"), r.Bool("b"), r.Strings("list"), r.Map("map"), r.Map("blocks"),
		r.Int("later"), r.String("absent"), r.Has("s"), r.Has("absent"),
	}
	want := []any{
		"text", int64(3), int64(4), true, []string{"a", "1"}, map[string]string{"k": "v"},
		map[string]string{"a": "1", "b": "2"}, int64(0), "", true, false,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := r.Err(); err != nil {
		t.Error(err)
	}
}

func TestProblems(t *testing.T) {
	for _, c := range []struct {
		block map[string]any
		want  string
	}{
		{map[string]any{"comand": "x"}, `config: driver x has no field "comand"; did you mean "command"?`},
		{map[string]any{"command": []any{}}, `config: command of driver x must be a string (it is [])`},
		{map[string]any{"n": 1.5}, `config: n of driver x must be a whole number (it is 1.5)`},
		{map[string]any{"b": "maybe"}, `config: b of driver x must be true or false (it is "maybe")`},
		{map[string]any{"d": 5.0}, `config: d of driver x must be a duration such as "30s" (it is 5)`},
		{map[string]any{"d": "-1s"}, `config: d of driver x must be a duration such as "30s" (it is "-1s")`},
		{map[string]any{"args": "x"}, `config: args of driver x must be a list of strings (it is "x")`},
		{map[string]any{"args": []any{[]any{}}}, `config: args of driver x must be a list of strings; element 0 is not one (it is [[]])`},
		{map[string]any{"need": ""}, `config: need of driver x is missing; it must not be empty`},
	} {
		r := New("x", c.block)
		r.String("command")
		r.Int("n")
		r.Bool("b")
		r.Duration("d")
		r.Strings("args")
		if r.Has("need") {
			r.Require("need")
		}
		err := r.Err()
		if err == nil || err.Error() != c.want {
			t.Errorf("%v: %v, want %s", c.block, err, c.want)
		}
		if api.ErrorCode(err) != api.CodeInvalid {
			t.Errorf("%v: code %s", c.block, api.ErrorCode(err))
		}
	}
}
