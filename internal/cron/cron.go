package cron

import (
	"fmt"
	"time"
	_ "time/tzdata" // a server may run where there are no zone files

	"github.com/drover-org/drover/api"
	"github.com/hashicorp/cronexpr"
)

// Next returns the first time after from, in the job's time zone, at which p
// is due, or zero when there is none.
func Next(p *api.PeriodicConfig, from time.Time) (time.Time, error) {
	zone, err := time.LoadLocation(p.TimeZone) // UTC when empty
	if err != nil {
		return time.Time{}, api.Errorf(api.CodeInvalid, "Periodic > TimeZone: %q is no time zone: use a name such as Europe/Berlin", p.TimeZone)
	}
	if p.Spec != "" {
		return next("Spec", p.Spec, from.In(zone))
	}
	var first time.Time
	for i, spec := range p.Specs {
		t, err := next(fmt.Sprintf("Specs[%d]", i), spec, from.In(zone))
		if err != nil {
			return time.Time{}, err
		}
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first, nil
}

// next is Next for one expression.
func next(field, spec string, from time.Time) (t time.Time, err error) {
	bad := func(why any) error {
		return api.Errorf(api.CodeInvalid, "Periodic > %s: %q is no cron expression: %v", field, spec, why)
	}
	defer func() {
		if r := recover(); r != nil { // the parser panics at some mistakes
			t, err = time.Time{}, bad(r)
		}
	}()
	if len(spec) > maxSpec {
		return time.Time{}, api.Errorf(api.CodeInvalid, "Periodic > %s: it has %d bytes, at most %d are possible", field, len(spec), maxSpec)
	}
	expr, err := cronexpr.Parse(spec)
	if err != nil {
		return time.Time{}, bad(err)
	}
	if t = expr.Next(from); !t.IsZero() && !t.After(from) {
		return time.Time{}, bad("it does not go on")
	}
	return t, nil
}

const maxSpec = 1024 // bytes of an expression

// Check reports what is wrong with a periodic block that is to be registered
// at a time.
func Check(p *api.PeriodicConfig, now time.Time) error {
	first, err := Next(p, now)
	if err != nil {
		return err
	}
	if first.IsZero() {
		return api.Errorf(api.CodeInvalid, "Periodic: it is never due: change the day, month or year")
	}
	for i, spec := range p.Specs { // each by itself, too
		t, err := Next(&api.PeriodicConfig{Spec: spec, TimeZone: p.TimeZone}, now)
		if err == nil && t.IsZero() {
			return api.Errorf(api.CodeInvalid, "Periodic > Specs[%d]: %q is never due: remove it or change the day, month or year", i, spec)
		}
	}
	return nil
}
