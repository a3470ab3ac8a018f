package sched

import (
	"fmt"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/fit"
)

// allowance is a quota with what is used of it: by the state, by plans in
// flight, and by the plan that is being made. A nil one allows everything.
type allowance struct {
	spec *api.QuotaSpec
	used api.Charge
}

// allowanceOf returns the allowance of a namespace. Of the plans in flight what
// they place counts, and what they stop does not yet: the state that shows it
// wakes who waits.
func (p *Placer) allowanceOf(st State, namespace string) *allowance {
	spec, used := st.QuotaOf(namespace)
	if spec == nil {
		return nil
	}
	for _, fl := range p.flights {
		if other, _ := st.QuotaOf(fl.namespace); other == nil || other.Name != spec.Name {
			continue
		}
		for i := range fl.deltas {
			used = used.Plus(fl.deltas[i].charge)
		}
	}
	return &allowance{spec, used}
}

func (q *allowance) take(c api.Charge) {
	if q != nil {
		q.used = q.used.Plus(c)
	}
}

// stopped gives back what an allocation counts for, before it is noted as
// stopping.
func (m *maker) stopped(id string) {
	if m.quota != nil {
		m.quota.used = m.quota.used.Minus(m.chargeOf(id))
	}
}

// chargeOf returns what an allocation counts for until it is told to stop.
func (m *maker) chargeOf(id string) api.Charge {
	if a := m.st.Alloc(id); a != nil && !a.Terminal() && !m.stopping[id] {
		return fit.Charge(a.AllocatedResources)
	}
	return api.Charge{}
}

// overQuota says what of its quota an ask would exceed, nil for nothing. What
// it replaces makes room for it.
func (m *maker) overQuota(f *field, a *ask) []string {
	if m.quota == nil {
		return nil
	}
	used := m.quota.used
	if a.stop != nil {
		used = used.Minus(m.chargeOf(a.stop.ID))
	}
	return m.quota.exceeds(used, f.need.charge())
}

// exceeds says what one more allocation would exceed, a sentence each.
func (q *allowance) exceeds(used, more api.Charge) []string {
	why := q.spec.Limit().Exceeds(used, more)
	for i := range why {
		why[i] += fmt.Sprintf(" in quota %q", q.spec.Name)
	}
	return why
}

// charge is what an allocation of the group costs a quota.
func (d *need) charge() api.Charge {
	return fit.ChargeOf(d.Usage, d.cores)
}
