package cli

import (
	"context"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/api/client"
)

const (
	minPrefix   = 2  // characters of an ID that identify enough to search
	maxShown    = 20 // matches of an ambiguous prefix that are listed
	hyphenation = "-"
)

// prefixOf turns what a user typed of an ID into a prefix that servers take:
// an even number of digits.
func prefixOf(typed, noun string) (string, error) {
	if len(strings.ReplaceAll(typed, hyphenation, "")) < minPrefix {
		return "", usagef("%s %q is too short: type at least %d characters of its ID", noun, typed, minPrefix)
	}
	if len(strings.ReplaceAll(typed, hyphenation, ""))%2 == 1 {
		typed = typed[:len(typed)-1]
	}
	return strings.TrimRight(typed, hyphenation), nil
}

// matches keeps the items whose ID starts with what the user typed, which may
// be one digit longer than the prefix that was sent.
func matches[T any](items []T, typed string, id func(T) string) []T {
	var out []T
	for _, it := range items {
		if strings.HasPrefix(id(it), strings.ToLower(typed)) {
			out = append(out, it)
		}
	}
	return out
}

// ambiguous prints what a prefix may mean and returns the failure.
func (e *env) ambiguous(noun, typed string, n int, list *table) error {
	if len(list.rows) > maxShown {
		list.rows = list.rows[:maxShown]
	}
	list.write(e.Err, e.err)
	if n > maxShown {
		e.note("… and %d more", n-maxShown)
	}
	return api.Errorf(api.CodeInvalid, "%q fits %d %ss: type more of it", typed, n, noun)
}

// named makes a client and finds the one object that the arguments name.
func named[T any](ctx context.Context, e *env, args []string, noun string, find func(context.Context, *client.Client, string) (T, error)) (*client.Client, T, error) {
	var none T
	typed, err := one(args, noun)
	if err != nil {
		return nil, none, err
	}
	c, err := e.client()
	if err != nil {
		return nil, none, err
	}
	found, err := find(ctx, c, typed)
	return c, found, err
}

// findAlloc returns the one allocation whose ID starts with typed.
func (e *env) findAlloc(ctx context.Context, c *client.Client, typed string) (*api.AllocListStub, error) {
	prefix, err := prefixOf(typed, "allocation")
	if err != nil {
		return nil, err
	}
	list, _, err := c.Allocs().List(ctx, client.AllocListOptions{}, api.ListOptions{Prefix: prefix})
	if err != nil {
		return nil, err
	}
	list = matches(list, typed, func(a *api.AllocListStub) string { return a.ID })
	switch len(list) {
	case 0:
		return nil, api.Errorf(api.CodeNotFound, "no allocation has an ID that starts with %q", typed)
	case 1:
		return list[0], nil
	}
	return nil, e.ambiguous("allocation", typed, len(list), e.allocTable(list, true))
}

// allocOfJob returns one allocation of a job that still runs, the newest of
// them, or the newest that has ended.
func (e *env) allocOfJob(ctx context.Context, c *client.Client, typed, group string) (*api.AllocListStub, error) {
	job, err := e.findJob(ctx, c, typed)
	if err != nil {
		return nil, err
	}
	list, _, err := c.Jobs().Allocations(ctx, job.ID, false, api.ListOptions{Namespace: job.Namespace})
	if err != nil {
		return nil, err
	}
	var best *api.AllocListStub
	for _, a := range list {
		if group != "" && a.TaskGroup != group {
			continue
		}
		running := a.ClientStatus == api.AllocClientRunning
		switch {
		case best == nil, running && best.ClientStatus != api.AllocClientRunning,
			running == (best.ClientStatus == api.AllocClientRunning) && a.CreateIndex > best.CreateIndex:
			best = a
		}
	}
	if best == nil {
		return nil, api.Errorf(api.CodeNotFound, "job %q has no allocation%s", job.ID, ofGroup(group))
	}
	return best, nil
}

func ofGroup(group string) string {
	if group == "" {
		return ""
	}
	return " of group \"" + group + "\""
}

// findJob returns the job of that ID, or the one whose ID starts with it.
func (e *env) findJob(ctx context.Context, c *client.Client, typed string) (*api.JobListStub, error) {
	list, _, err := c.Jobs().List(ctx, api.ListOptions{Prefix: typed})
	if err != nil {
		return nil, err
	}
	exact := 0
	var job *api.JobListStub
	for _, j := range list {
		if j.ID == typed {
			exact++
			job = j
		}
	}
	switch {
	case exact == 1:
		return job, nil
	case len(list) == 0:
		return nil, api.Errorf(api.CodeNotFound, "there is no job %q in namespace %q", typed, c.Namespace())
	case len(list) == 1:
		return list[0], nil
	case exact > 1:
		e.jobTable(list).write(e.Err, e.err)
		return nil, api.Errorf(api.CodeInvalid, "%d namespaces have a job %q: choose one with -namespace", exact, typed)
	}
	return nil, e.ambiguous("job", typed, len(list), e.jobTable(list))
}

// findEval returns the full ID of an evaluation.
func (e *env) findEval(ctx context.Context, c *client.Client, typed string) (string, error) {
	prefix, err := prefixOf(typed, "evaluation")
	if err != nil {
		return "", err
	}
	list, _, err := c.Evals().List(ctx, "", "", api.ListOptions{Prefix: prefix})
	if err != nil {
		return "", err
	}
	list = matches(list, typed, func(v *api.Evaluation) string { return v.ID })
	switch len(list) {
	case 0:
		return "", api.Errorf(api.CodeNotFound, "no evaluation has an ID that starts with %q", typed)
	case 1:
		return list[0].ID, nil
	}
	return "", e.ambiguous("evaluation", typed, len(list), e.evalTable(list, true))
}

// findDeployment returns the full ID of a deployment.
func (e *env) findDeployment(ctx context.Context, c *client.Client, typed string) (string, error) {
	prefix, err := prefixOf(typed, "deployment")
	if err != nil {
		return "", err
	}
	list, _, err := c.Deployments().List(ctx, api.ListOptions{Prefix: prefix})
	if err != nil {
		return "", err
	}
	list = matches(list, typed, func(d *api.Deployment) string { return d.ID })
	switch len(list) {
	case 0:
		return "", api.Errorf(api.CodeNotFound, "no deployment has an ID that starts with %q", typed)
	case 1:
		return list[0].ID, nil
	}
	return "", e.ambiguous("deployment", typed, len(list), e.deploymentTable(list, true))
}

// findNode returns the node whose ID starts with typed or whose name is it.
func (e *env) findNode(ctx context.Context, c *client.Client, typed string) (*api.NodeListStub, error) {
	list, _, err := c.Nodes().List(ctx, false, api.ListOptions{})
	if err != nil {
		return nil, err
	}
	var named, found []*api.NodeListStub
	for _, n := range list {
		if n.Name == typed {
			named = append(named, n)
		}
		if len(typed) >= minPrefix && strings.HasPrefix(n.ID, strings.ToLower(typed)) {
			found = append(found, n)
		}
	}
	if len(found) == 0 {
		found = named
	}
	switch len(found) {
	case 0:
		return nil, api.Errorf(api.CodeNotFound, "no node has the name %q or an ID that starts with it", typed)
	case 1:
		return found[0], nil
	}
	return nil, e.ambiguous("node", typed, len(found), e.nodeTable(found, true))
}

// taskOf picks the task of an allocation: the named one, the only one, or the
// main one beside sidecars.
func taskOf(a *api.Allocation, name string) (string, error) {
	g := a.Group()
	var all []string
	var plain []string
	if g != nil {
		for _, t := range g.Tasks {
			all = append(all, t.Name)
			if t.Lifecycle == nil {
				plain = append(plain, t.Name)
			}
		}
	}
	if name != "" {
		for _, t := range all {
			if t == name {
				return name, nil
			}
		}
		return "", api.Errorf(api.CodeInvalid, "allocation %s has no task %q: it has %s", short(a.ID), name, strings.Join(all, ", "))
	}
	if len(all) == 1 {
		return all[0], nil
	}
	if len(plain) == 1 {
		return plain[0], nil
	}
	return "", usagef("allocation %s has several tasks: choose one with -task: %s", short(a.ID), strings.Join(all, ", "))
}

// chooseAlloc finds the allocation that -job or the first argument names, and
// returns it in full with the remaining arguments.
func (e *env) chooseAlloc(ctx context.Context, c *client.Client, job bool, group string, args []string) (*api.Allocation, []string, error) {
	if len(args) == 0 {
		if job {
			return nil, nil, usagef("the job is missing")
		}
		return nil, nil, usagef("the allocation is missing")
	}
	var stub *api.AllocListStub
	var err error
	if job {
		stub, err = e.allocOfJob(ctx, c, args[0], group)
	} else {
		stub, err = e.findAlloc(ctx, c, args[0])
	}
	if err != nil {
		return nil, nil, err
	}
	a, _, err := c.Allocs().Info(ctx, stub.ID, api.ListOptions{Namespace: stub.Namespace})
	return a, args[1:], err
}
