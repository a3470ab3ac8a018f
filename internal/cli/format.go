package cli

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// shortLen is how much of an ID is shown unless -verbose asks for all.
const shortLen = 8

// short is the first part of an ID.
func short(id string) string {
	if len(id) > shortLen {
		return id[:shortLen]
	}
	return id
}

// idText is an ID as -verbose asks.
func idText(id string, verbose bool) string {
	if verbose {
		return id
	}
	return short(id)
}

// ago says how long before now a time in Unix nanoseconds is; with verbose it
// is the time itself.
func ago(ns int64, now time.Time, verbose bool) string {
	if ns <= 0 {
		return "-"
	}
	t := time.Unix(0, ns)
	if verbose {
		return t.Format(time.RFC3339)
	}
	d := now.Sub(t)
	if d < 0 {
		return "in " + brief(-d)
	}
	return brief(d) + " ago"
}

// when is a time of day with a date.
func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02T15:04:05Z07:00")
}

// brief writes a duration in its two largest units: 3d4h, 5m10s, 0s.
func brief(d time.Duration) string {
	d = d.Truncate(time.Second)
	day := 24 * time.Hour
	two := func(a time.Duration, ua string, b time.Duration, ub string) string {
		s := strconv.FormatInt(int64(d/a), 10) + ua
		if rest := (d % a) / b; rest > 0 {
			s += strconv.FormatInt(int64(rest), 10) + ub
		}
		return s
	}
	switch {
	case d >= day:
		return two(day, "d", time.Hour, "h")
	case d >= time.Hour:
		return two(time.Hour, "h", time.Minute, "m")
	case d >= time.Minute:
		return two(time.Minute, "m", time.Second, "s")
	}
	return strconv.FormatInt(int64(d/time.Second), 10) + "s"
}

// bytesText writes a size in binary units.
func bytesText(n uint64) string {
	const unit = 1024
	if n < unit {
		return strconv.FormatUint(n, 10) + " B"
	}
	f := float64(n)
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
		f /= unit
		if f < unit {
			return strconv.FormatFloat(f, 'f', 1, 64) + " " + u
		}
	}
	return strconv.FormatFloat(f/unit, 'f', 1, 64) + " PiB"
}

// plural is "1 node", "3 nodes".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// orDash is s, or a dash where a column would be empty.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// keys returns a map's keys in order.
func keys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// machine is the pair of flags that replace text by data.
type machine struct {
	json bool
	tmpl string
}

func (m *machine) flags(fs *flag.FlagSet) {
	fs.BoolVar(&m.json, "json", false, "print the answer as JSON")
	fs.StringVar(&m.tmpl, "t", "", "print the answer with a Go `TEMPLATE`, such as '{{.ID}}'")
}

// wanted reports whether data was asked for instead of text.
func (m *machine) wanted() bool { return m.json || m.tmpl != "" }

// write prints v as asked.
func (m *machine) write(w io.Writer, v any) error {
	if m.tmpl != "" {
		t, err := template.New("answer").Funcs(template.FuncMap{"json": jsonText}).Parse(m.tmpl)
		if err != nil {
			return usagef("-t: %v", err)
		}
		var b strings.Builder
		if err := t.Execute(&b, v); err != nil {
			return fmt.Errorf("-t: %w", err)
		}
		_, err = fmt.Fprintln(w, b.String())
		return err
	}
	return writeJSON(w, v)
}

func jsonText(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "    ")
	return enc.Encode(v)
}
