package store

import (
	"fmt"
	"iter"
	"reflect"
	"strings"

	"github.com/drover-org/drover/api"
)

// defaultNamespace is there from the beginning. It may be changed, not
// deleted.
var defaultNamespace = &api.Namespace{
	Name: api.DefaultNamespace, Description: "Default shared namespace", CreateIndex: 1, ModifyIndex: 1,
}

// MaxNamespaces bounds the namespaces of a region: each is looked at by every
// read of all of them.
const MaxNamespaces = 100_000

// Namespace returns a namespace, or nil.
func (s *Snapshot) Namespace(name string) *api.Namespace { return s.namespace(name) }

func (t *tables) namespace(name string) *api.Namespace {
	n, _ := t.namespaces.Get(&api.Namespace{Name: name})
	return n
}

// Namespaces yields the namespaces from a name on, inclusive, by name; with
// reverse backwards, and from the last one if name is empty.
func (s *Snapshot) Namespaces(name string, reverse bool) iter.Seq[*api.Namespace] {
	return scanNames(s.namespaces, &api.Namespace{Name: name}, name == "", reverse)
}

// checkNamespace refuses what would begin in a namespace that does not exist.
func (t *tables) checkNamespace(name string) error {
	if t.namespace(name) != nil {
		return nil
	}
	return NoNamespace(name)
}

// NoNamespace is the refusal of what is to be in a namespace that does not
// exist.
func NoNamespace(name string) error {
	return invalid("namespace %q does not exist: create it with \"namespace apply\" or name another", name)
}

// UpsertNamespaces creates namespaces or replaces their settings. Those that
// say nothing new keep their index.
type UpsertNamespaces struct {
	Namespaces []*api.Namespace
}

func (c *UpsertNamespaces) apply(t *tx) (any, error) {
	for _, given := range c.Namespaces {
		if !api.ValidNamespace(given.Name) {
			return nil, invalid("invalid name %q", given.Name)
		}
		n, old := given.Copy(), t.namespace(given.Name)
		n.CreateIndex, n.ModifyIndex = t.index, t.index
		if old != nil {
			n.CreateIndex, n.ModifyIndex = old.CreateIndex, old.ModifyIndex
			if reflect.DeepEqual(n, old) {
				continue
			}
			n.ModifyIndex = t.index
		} else if t.namespaces.Len() >= MaxNamespaces {
			return nil, api.Errorf(api.CodeLimited, "there are %d namespaces, which is the most: delete one first", MaxNamespaces)
		}
		if err := t.changeQuota(n.Name, old, n.Quota); err != nil {
			return nil, err
		}
		t.namespaces.Set(n)
		t.touchNamespace(n.Name)
		t.changed(api.TopicNamespace, n)
	}
	return nil, nil
}

// DeleteNamespaces deletes namespaces, all of them or none. One in which
// something runs, or is about to, is not deleted. What is over stays until it
// is collected.
type DeleteNamespaces struct {
	Names []string
}

func (c *DeleteNamespaces) apply(t *tx) (any, error) {
	for _, name := range c.Names {
		n := t.namespace(name)
		switch {
		case n == nil:
			return nil, notFound("namespace", name)
		case name == api.DefaultNamespace:
			return nil, invalid("namespace %q is built in and can't be deleted", name)
		}
		if err := t.checkIdle(name); err != nil {
			return nil, err
		}
		t.namespaces.Delete(n)
		t.touchNamespace(name)
		t.deleted(api.TopicNamespace, "NamespaceDeleted", n)
	}
	return nil, nil
}

// maxNamed is how many objects a refusal names.
const maxNamed = 5

// checkIdle refuses to go on while a namespace has jobs that are not dead, or
// allocations that are not over on their node.
func (t *tx) checkIdle(ns string) error {
	var jobs, allocs named
	t.jobs.Ascend(jobItem{ns: ns}, func(i jobItem) bool {
		if i.ns == ns && i.row.job().Status != api.JobStatusDead {
			jobs.add(i.id)
		}
		return i.ns == ns
	})
	t.allocsJob.Ascend(&allocKey{allocOrigin: &allocOrigin{ns: ns}}, func(k *allocKey) bool {
		if k.ns != ns {
			return false
		}
		if item, ok := t.allocItem(k.id); ok && !item.a.ClientTerminal() {
			allocs.add(item.a.ID)
		}
		return true
	})
	switch {
	case jobs.n > 0:
		return api.Errorf(api.CodeConflict, "namespace %q has non-terminal jobs: %s: stop them first", ns, jobs.String())
	case allocs.n > 0:
		return api.Errorf(api.CodeConflict, "namespace %q has non-terminal allocations: %s: wait until they have ended", ns, allocs.String())
	}
	return nil
}

// named counts objects and remembers the first ones.
type named struct {
	n     int
	first []string
}

func (l *named) add(name string) {
	if l.n++; len(l.first) < maxNamed {
		l.first = append(l.first, name)
	}
}

func (l *named) String() string {
	s := strings.Join(l.first, ", ")
	if more := l.n - len(l.first); more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}

func (t *tx) touchNamespace(name string) {
	t.bump(TableNamespaces)
	t.touch(KeyNamespaces(), KeyNamespace(name))
}
