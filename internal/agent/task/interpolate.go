package task

import (
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/agent/allocdir"
)

// Expander returns what replaces the ${…} references in texts of the task that
// are not the driver's: it knows the task's environment without its tokens.
func (t *Task) Expander() func(string) string {
	t.mu.Lock()
	alloc, spec := t.alloc, t.spec
	t.mu.Unlock()
	remaps := t.cfg.Driver != nil && t.cfg.Driver.Capabilities().RemapsPorts
	return newScope(envSource{alloc: alloc, task: spec, node: t.cfg.Node(), region: t.cfg.Region, dir: t.cfg.Dir, remaps: remaps}).expand
}

// GroupExpander is Expander for texts of the group, which belong to no task.
func GroupExpander(alloc *api.Allocation, node *api.Node, region string, dir *allocdir.Dir) func(string) string {
	return newScope(envSource{alloc: alloc, task: &api.Task{}, node: node, region: region, dir: dir}).expand
}

// lookup resolves one reference: node.*, attr.*, meta.*, env.*, or the name of
// a variable of the task's environment.
func (s *scope) lookup(ref string) (string, bool) {
	if v, ok := s.node[ref]; ok {
		return v, true
	}
	if v, ok := s.env[strings.TrimPrefix(ref, "env.")]; ok {
		return v, true
	}
	if name, ok := strings.CutPrefix(ref, `env["`); ok {
		v, ok := s.env[strings.TrimSuffix(name, `"]`)]
		return v, ok
	}
	return "", false
}

// expand replaces the ${…} references in a text. What can't be resolved stays
// as it is: it may be meant for a shell.
func (s *scope) expand(text string) string {
	if !strings.Contains(text, "${") {
		return text
	}
	var b strings.Builder
	for {
		start := strings.Index(text, "${")
		if start < 0 {
			break
		}
		length := strings.IndexByte(text[start:], '}')
		if length < 0 {
			break
		}
		b.WriteString(text[:start])
		ref := text[start : start+length+1]
		if v, ok := s.lookup(ref[2 : len(ref)-1]); ok {
			b.WriteString(v)
			text = text[start+length+1:]
		} else {
			b.WriteString("${")
			text = text[start+2:]
		}
	}
	b.WriteString(text)
	return b.String()
}

// expandValue expands every text in a task's config, also in keys of maps.
func (s *scope) expandValue(v any) any {
	switch v := v.(type) {
	case string:
		return s.expand(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = s.expandValue(e)
		}
		return out
	case []string:
		out := make([]string, len(v))
		for i, e := range v {
			out[i] = s.expand(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[s.expand(k)] = s.expandValue(e)
		}
		return out
	}
	return v
}
