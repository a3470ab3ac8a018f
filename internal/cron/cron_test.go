package cron

import (
	"strings"
	"testing"
	"time"

	"github.com/drover-org/drover/api"
)

func TestNext(t *testing.T) {
	for _, c := range []struct {
		name       string
		p          api.PeriodicConfig
		from, want string
	}{
		{"five fields", api.PeriodicConfig{Spec: "*/15 * * * *"}, "2026-11-25T10:07:30Z", "2026-11-25T10:15:00Z"},
		{"seven fields", api.PeriodicConfig{Spec: "*/10 * * * * * *"}, "2026-11-25T10:07:31Z", "2026-11-25T10:07:40Z"},
		{"six fields", api.PeriodicConfig{Spec: "0 0 1 1 * 2030"}, "2026-11-25T10:07:31Z", "2030-01-01T00:00:00Z"},
		{"by name", api.PeriodicConfig{Spec: "@daily"}, "2026-11-25T10:07:31Z", "2026-11-26T00:00:00Z"},
		{"last day", api.PeriodicConfig{Spec: "0 0 L * *"}, "2028-02-01T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"exactly due is not after", api.PeriodicConfig{Spec: "0 12 * * *"}, "2026-11-25T12:00:00Z", "2026-11-26T12:00:00Z"},
		{"first of several", api.PeriodicConfig{Specs: []string{"0 12 * * *", "30 11 * * *"}}, "2026-11-25T11:00:00Z", "2026-11-25T11:30:00Z"},
		{"in a zone", api.PeriodicConfig{Spec: "0 12 * * *", TimeZone: "America/New_York"}, "2026-11-25T10:00:00Z", "2026-11-25T17:00:00Z"},
		{"never again", api.PeriodicConfig{Spec: "0 0 0 1 1 * 2020"}, "2026-11-25T10:00:00Z", ""},
		{"clocks go back", api.PeriodicConfig{Spec: "0 4 * * *", TimeZone: "Europe/Berlin"}, "2026-10-25T00:00:00Z", "2026-10-25T03:00:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			from, err := time.Parse(time.RFC3339, c.from)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Next(&c.p, from)
			if err != nil {
				t.Fatal(err)
			}
			text := ""
			if !got.IsZero() {
				text = got.UTC().Format(time.RFC3339)
			}
			if text != c.want {
				t.Errorf("due at %q, want %q", text, c.want)
			}
		})
	}
}

// Whatever the clocks do, a time is due after the one before, and no hour is
// left out but the one that does not exist.
func TestNextWhenClocksChange(t *testing.T) {
	for _, c := range []struct{ zone, day string }{
		{"Europe/Berlin", "2026-03-28"}, {"Europe/Berlin", "2026-10-24"}, {"America/New_York", "2026-03-07"}, {"America/New_York", "2026-10-31"},
		{"Australia/Lord_Howe", "2026-04-04"}, {"Australia/Lord_Howe", "2026-10-03"}, // by half an hour
	} {
		at, err := time.Parse(time.DateOnly, c.day)
		if err != nil {
			t.Fatal(err)
		}
		for end := at.AddDate(0, 0, 3); at.Before(end); {
			next, err := Next(&api.PeriodicConfig{Spec: "0 * * * *", TimeZone: c.zone}, at)
			if err != nil {
				t.Fatal(err)
			}
			if d := next.Sub(at); d <= 0 || d > 2*time.Hour {
				t.Fatalf("%s: %s after %s", c.zone, next, at)
			}
			at = next
		}
	}
}

func TestCheck(t *testing.T) {
	now := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		p    api.PeriodicConfig
		want string
	}{
		{api.PeriodicConfig{Spec: "* * * * *", TimeZone: "UTC"}, ""},
		{api.PeriodicConfig{Spec: "every day"}, `Periodic > Spec: "every day" is no cron expression`},
		{api.PeriodicConfig{Spec: "61 * * * *"}, `Periodic > Spec: "61 * * * *" is no cron expression`},
		{api.PeriodicConfig{Specs: []string{"* * * * *", "nonsense"}}, `Periodic > Specs[1]: "nonsense"`},
		{api.PeriodicConfig{Specs: []string{"* * * * *", "0 0 30 2 *"}}, `Periodic > Specs[1]: "0 0 30 2 *" is never due`},
		{api.PeriodicConfig{Spec: "0 0 30 2 *"}, "Periodic: it is never due"},
		{api.PeriodicConfig{Spec: "* * * * *", TimeZone: "Mars/Olympus"}, `Periodic > TimeZone: "Mars/Olympus"`},
		{api.PeriodicConfig{Spec: strings.Repeat("1,", 1000) + "1 * * * *"}, "Periodic > Spec: it has 2009 bytes"},
	} {
		err := Check(&c.p, now)
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || api.ErrorCode(err) != api.CodeInvalid) {
			t.Errorf("%+v: %v, want %q", c.p, err, c.want)
		}
	}
}

// Whatever is asked, the answer is an error or a later time, soon.
func FuzzNext(f *testing.F) {
	for _, s := range []string{"* * * * *", "0 0 L * *", "0 0 29W 2 *", "*/7 1-5,9 * JAN-MAR MON#2", "0 0 0 1 1 * 2020-2030/3", "@yearly", "*/0 * * * *", "5-1 * * * *"} {
		f.Add(s)
	}
	from := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, spec string) {
		next, err := Next(&api.PeriodicConfig{Spec: spec}, from)
		if err == nil && !next.IsZero() && !next.After(from) {
			t.Errorf("%q: %s is not after %s", spec, next, from)
		}
	})
}
