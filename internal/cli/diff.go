package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/drover-org/drover/api"
)

// diffText draws the difference of two versions of a job.
func diffText(st style, d *api.JobDiff, notes *api.PlanAnnotations, verbose bool) string {
	p := &diffPrinter{st: st, verbose: verbose}
	p.line(0, d.Type, "Job: "+strconv.Quote(d.ID))
	p.fields(1, d.Fields)
	p.objects(1, d.Objects)
	for _, g := range d.TaskGroups {
		if g.Type == api.DiffNone && !verbose && len(g.Updates) == 0 {
			continue
		}
		p.line(0, g.Type, "Task Group: "+strconv.Quote(g.Name), p.updates(g, notes))
		p.fields(1, g.Fields)
		p.objects(1, g.Objects)
		for _, t := range g.Tasks {
			p.task(t)
		}
	}
	return p.b.String()
}

type diffPrinter struct {
	st      style
	verbose bool
	b       strings.Builder
}

// line writes a marked line at a depth; what follows text has its own colours.
func (p *diffPrinter) line(depth int, kind, text string, more ...string) {
	text = visible(text)
	var mark string
	switch kind {
	case api.DiffAdded:
		mark, text = p.st.green("+"), p.st.green(text)
	case api.DiffDeleted:
		mark, text = p.st.red("-"), p.st.red(text)
	case api.DiffEdited:
		mark = p.st.yellow("±")
		if depth == 0 {
			text = p.st.bold(text)
		}
	default:
		mark = " "
	}
	fmt.Fprintf(&p.b, "%s%s %s%s\n", strings.Repeat("  ", depth), mark, text, strings.Join(more, ""))
}

// updates tells what would happen to the group's allocations.
func (p *diffPrinter) updates(g *api.TaskGroupDiff, notes *api.PlanAnnotations) string {
	counts := map[string]uint64{}
	for k, n := range g.Updates {
		counts[k] = n
	}
	if len(counts) == 0 && notes != nil && notes.DesiredTGUpdates[g.Name] != nil {
		u := notes.DesiredTGUpdates[g.Name]
		counts = map[string]uint64{
			"create": u.Place, "destroy": u.Stop, "migrate": u.Migrate, "canary": u.Canary, "in-place update": u.InPlaceUpdate,
			"create/destroy update": u.DestructiveUpdate, "ignore": u.Ignore, "preemptions": u.Preemptions,
		}
	}
	var parts []string
	for _, k := range keys(counts) {
		if counts[k] == 0 {
			continue
		}
		text := fmt.Sprintf("%d %s", counts[k], k)
		switch k {
		case "create", "in-place update":
			text = p.st.green(text)
		case "destroy", "create/destroy update":
			text = p.st.red(text)
		case "ignore":
		default:
			text = p.st.cyan(text)
		}
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

func (p *diffPrinter) task(t *api.TaskDiff) {
	if t.Type == api.DiffNone && !p.verbose {
		return
	}
	text := "Task: " + strconv.Quote(t.Name)
	if len(t.Annotations) > 0 {
		text += " (" + strings.Join(t.Annotations, ", ") + ")"
	}
	p.line(1, t.Type, text)
	p.fields(2, t.Fields)
	p.objects(2, t.Objects)
}

func (p *diffPrinter) fields(depth int, fields []*api.FieldDiff) {
	widest := 0
	for _, f := range fields {
		if p.verbose || f.Type != api.DiffNone {
			widest = max(widest, width(f.Name))
		}
	}
	for _, f := range fields {
		if f.Type == api.DiffNone && !p.verbose {
			continue
		}
		var value string
		switch f.Type {
		case api.DiffAdded:
			value = strconv.Quote(f.New)
		case api.DiffDeleted:
			value = strconv.Quote(f.Old)
		case api.DiffNone:
			value = strconv.Quote(f.New)
		default:
			value = strconv.Quote(f.Old) + " => " + strconv.Quote(f.New)
		}
		text := f.Name + ": " + strings.Repeat(" ", widest-width(f.Name)) + value
		if len(f.Annotations) > 0 {
			text += " (" + strings.Join(f.Annotations, ", ") + ")"
		}
		p.line(depth, f.Type, text)
	}
}

func (p *diffPrinter) objects(depth int, objects []*api.ObjectDiff) {
	for _, o := range objects {
		if o.Type == api.DiffNone && !p.verbose {
			continue
		}
		p.line(depth, o.Type, o.Name+" {")
		p.fields(depth+1, o.Fields)
		p.objects(depth+1, o.Objects)
		p.line(depth, api.DiffNone, "}")
	}
}
