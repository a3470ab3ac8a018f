package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

func quotaListVerb() *verb {
	return listVerb("quota list", "List quotas", "Lists the quotas of the region.", func(ctx context.Context, e *env, m *machine) error {
		c, err := e.client()
		if err != nil {
			return err
		}
		list, _, err := c.Quotas().List(ctx, api.ListOptions{})
		return give(e, m, list, err, func(list []*api.QuotaSpec) {
			if len(list) == 0 {
				e.say("No quotas.")
				return
			}
			t := newTable("Name", "Description")
			for _, q := range list {
				t.row(q.Name, orDash(visible(q.Description)))
			}
			e.show(t)
		})
	})
}

func quotaInspectVerb() *verb {
	return infoVerb("quota inspect", "name", "Show a quota as JSON", "Shows a quota as the HTTP API does; \"quota apply -json\" takes it back.",
		func(ctx context.Context, e *env, m *machine, name string) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			q, _, err := c.Quotas().Info(ctx, name, api.ListOptions{})
			if err != nil {
				return err
			}
			return m.write(e.Out, q)
		})
}

// quotaStatus is a quota with what is used of it.
type quotaStatus struct {
	Quota      *api.QuotaSpec
	Usage      *api.QuotaUsage
	Namespaces []string
}

func quotaStatusVerb() *verb {
	return infoVerb("quota status", "name", "Show what a quota allows and what is used of it", "Shows what a quota allows, what is used of it, and by which namespaces.",
		func(ctx context.Context, e *env, m *machine, name string) error {
			c, err := e.client()
			if err != nil {
				return err
			}
			s, err := readQuotaStatus(ctx, c, name)
			return give(e, m, s, err, e.showQuota)
		})
}

func readQuotaStatus(ctx context.Context, c *client.Client, name string) (*quotaStatus, error) {
	s := &quotaStatus{}
	var err error
	if s.Quota, _, err = c.Quotas().Info(ctx, name, api.ListOptions{}); err != nil {
		return nil, err
	}
	if s.Usage, _, err = c.Quotas().Usage(ctx, name, api.ListOptions{}); err != nil {
		return nil, err
	}
	users, _, err := c.Namespaces().List(ctx, api.ListOptions{Filter: fmt.Sprintf("Quota == %q", name)})
	for _, n := range users {
		s.Namespaces = append(s.Namespaces, n.Name)
	}
	return s, err
}

func (e *env) showQuota(s *quotaStatus) {
	f := &facts{}
	f.add("Name", s.Quota.Name)
	f.add("Description", orDash(visible(s.Quota.Description)))
	for i, n := range s.Namespaces {
		if i == 0 {
			f.add("Namespaces", n)
		} else {
			f.add("", n)
		}
	}
	e.show(f)
	limit, used := s.Quota.Limit(), &api.QuotaResources{}
	for _, u := range s.Usage.Used {
		if u.RegionLimit != nil {
			used = u.RegionLimit
		}
	}
	if limit == nil {
		e.say("\nIt bounds nothing.")
		return
	}
	e.heading("Used")
	t := newTable("What", "Used", "Allowed")
	for _, d := range []struct {
		what        string
		used, limit *int
	}{
		{"CPU (MHz)", used.CPU, limit.CPU}, {"Cores", used.Cores, limit.Cores}, {"Memory (MiB)", used.MemoryMB, limit.MemoryMB},
		{"Memory at most (MiB)", used.MemoryMaxMB, limit.MemoryMaxMB}, {"Allocations", used.Allocations, limit.Allocations}, {"Jobs", used.Jobs, limit.Jobs},
	} {
		t.row(d.what, numberText(d.used), limitText(d.limit))
	}
	e.show(t)
}

func numberText(n *int) string {
	if n == nil {
		return "-"
	}
	return strconv.Itoa(*n)
}

func limitText(n *int) string {
	switch {
	case n == nil || *n == 0:
		return "any"
	case *n < 0:
		return "none"
	}
	return strconv.Itoa(*n)
}

func quotaDeleteVerb() *verb {
	return removeVerb("quota delete", "name", "Delete a quota that no namespace names", func(ctx context.Context, e *env, name string) error {
		c, err := e.client()
		if err != nil {
			return err
		}
		if err := c.Quotas().Delete(ctx, name); err != nil {
			return err
		}
		e.say("Quota %q is deleted.", name)
		return nil
	})
}
