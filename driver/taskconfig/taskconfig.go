// Package taskconfig reads the config block of a task, which each driver
// defines for itself: a map from a job file. A [Reader] checks keys and types,
// and its error names the field, the value and what would be right.
//
//	r := taskconfig.New("raw_exec", block)
//	command := r.String("command")
//	r.Require("command")
//	args := r.Strings("args")
//	err := r.Err() // also names a key that nobody asked for
package taskconfig

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drover-org/drover/api"
)

// Reader reads one block. The getters return zero for an absent or wrong
// value; the first problem is what Err returns.
type Reader struct {
	driver string
	block  map[string]any
	asked  map[string]bool
	err    error
}

// New reads the block of a task of the named driver.
func New(driver string, block map[string]any) *Reader {
	return &Reader{driver: driver, block: block, asked: map[string]bool{}}
}

// Err returns the first problem. A key that no getter asked for is one.
func (r *Reader) Err() error {
	if r.err != nil {
		return r.err
	}
	for _, key := range slices.Sorted(maps.Keys(r.block)) {
		if !r.asked[key] {
			known := slices.Sorted(maps.Keys(r.asked))
			return api.Errorf(api.CodeInvalid, "config: driver %s has no field %q; did you mean %q?", r.driver, key, nearest(key, known))
		}
	}
	return nil
}

// Fail notes a problem with a field that is of the right type.
func (r *Reader) Fail(key, problem string) {
	if r.err == nil {
		r.err = api.Errorf(api.CodeInvalid, "config: %s of driver %s %s (it is %s)", key, r.driver, problem, show(r.block[key]))
	}
}

// Require notes a problem if a field is missing or empty.
func (r *Reader) Require(key string) {
	v, ok := r.block[key]
	if s, isString := v.(string); r.err == nil && (!ok || v == nil || isString && s == "") {
		r.err = api.Errorf(api.CodeInvalid, "config: %s of driver %s is missing; it must not be empty", key, r.driver)
	}
}

// Has reports whether the field is given.
func (r *Reader) Has(key string) bool {
	_, ok := r.value(key)
	return ok
}

func (r *Reader) value(key string) (any, bool) {
	r.asked[key] = true
	v, ok := r.block[key]
	return v, ok && v != nil
}

// open reports a value that still holds a ${…} reference: its type is not known
// before the task starts.
func open(v any) bool {
	s, ok := v.(string)
	return ok && strings.Contains(s, "${")
}

// String reads a text; numbers and bools are taken as written.
func (r *Reader) String(key string) string {
	v, ok := r.value(key)
	if !ok {
		return ""
	}
	s, ok := text(v)
	if !ok {
		r.Fail(key, "must be a string")
	}
	return s
}

func text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case int:
		return strconv.Itoa(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case json.Number:
		return v.String(), true
	}
	return "", false
}

// Int reads a whole number, which may be written as a string.
func (r *Reader) Int(key string) int64 {
	v, ok := r.value(key)
	if !ok || open(v) {
		return 0
	}
	switch v := v.(type) {
	case int:
		return int64(v)
	case int64:
		return v
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v)
		}
	default:
		if s, ok := text(v); ok {
			if n, err := strconv.ParseInt(s, 10, 64); err == nil {
				return n
			}
		}
	}
	r.Fail(key, "must be a whole number")
	return 0
}

// Duration reads a time such as "30s"; it must not be negative.
func (r *Reader) Duration(key string) time.Duration {
	v, ok := r.value(key)
	if !ok || open(v) {
		return 0
	}
	if s, ok := v.(string); ok {
		if d, err := time.ParseDuration(s); err == nil && d >= 0 {
			return d
		}
	}
	r.Fail(key, `must be a duration such as "30s"`)
	return 0
}

// Bool reads a bool, which may be written as a string.
func (r *Reader) Bool(key string) bool {
	v, ok := r.value(key)
	if !ok || open(v) {
		return false
	}
	switch v := v.(type) {
	case bool:
		return v
	case string:
		if b, err := strconv.ParseBool(v); err == nil {
			return b
		}
	}
	r.Fail(key, "must be true or false")
	return false
}

// Strings reads a list of texts.
func (r *Reader) Strings(key string) []string {
	v, ok := r.value(key)
	if !ok {
		return nil
	}
	switch v := v.(type) {
	case []string:
		return slices.Clone(v)
	case []any:
		list := make([]string, len(v))
		for i, e := range v {
			s, ok := text(e)
			if !ok {
				r.Fail(key, fmt.Sprintf("must be a list of strings; element %d is not one", i))
				return nil
			}
			list[i] = s
		}
		return list
	}
	r.Fail(key, "must be a list of strings")
	return nil
}

// Map reads a map of texts, written as an object or as blocks.
func (r *Reader) Map(key string) map[string]string {
	v, ok := r.value(key)
	if !ok {
		return nil
	}
	var parts []any
	switch v := v.(type) {
	case []any:
		parts = v
	case []map[string]any:
		for _, m := range v {
			parts = append(parts, m)
		}
	case map[string]string:
		return maps.Clone(v)
	default:
		parts = []any{v}
	}
	out := map[string]string{}
	for _, p := range parts {
		m, ok := p.(map[string]any)
		if !ok {
			r.Fail(key, "must be a map of strings")
			return nil
		}
		for k, e := range m {
			s, ok := text(e)
			if !ok {
				r.Fail(key, fmt.Sprintf("must be a map of strings; %q is not one", k))
				return nil
			}
			out[k] = s
		}
	}
	return out
}

// showLimit bounds how much of a value an error repeats.
const showLimit = 80

func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%T", v)
	}
	if len(b) > showLimit {
		return string(b[:showLimit]) + "…"
	}
	return string(b)
}

// nearest returns the known key that takes the fewest edits.
func nearest(key string, known []string) string {
	best, least := "", math.MaxInt
	for _, k := range known {
		if d := distance(key, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
