package jobspec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/drover-org/drover/api"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Bounds of the problems that are collected and listed, and of the text of one.
const (
	maxDiags    = 20
	maxDiagText = 600
)

// asError writes diagnostics as one error, a line each:
//
//	job.hcl:3:5: Unsupported argument: …
func asError(diags hcl.Diagnostics) error {
	var lines []string
	for _, d := range diags {
		if d.Severity != hcl.DiagError {
			continue
		}
		if len(lines) == maxDiags {
			lines = append(lines, "and more")
			break
		}
		text := d.Summary
		if d.Detail != "" {
			text += ": " + d.Detail
		}
		if text = strings.Join(strings.Fields(text), " "); len(text) > maxDiagText {
			text = strings.ToValidUTF8(text[:maxDiagText], "") + "…"
		}
		if r := d.Subject; r != nil {
			text = fmt.Sprintf("%s:%d:%d: %s", r.Filename, r.Start.Line, r.Start.Column, text)
		}
		if !slices.Contains(lines, text) { // a block that is expanded often fails as often
			lines = append(lines, text)
		}
	}
	return api.Errorf(api.CodeInvalid, "%s", strings.Join(lines, "\n"))
}

// errorf notes a problem, up to the bound.
func (p *parser) errorf(at hcl.Range, summary, format string, args ...any) {
	p.add(hcl.Diagnostics{{Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(format, args...), Subject: &at}})
}

func (p *parser) add(diags hcl.Diagnostics) {
	for _, d := range diags {
		if len(p.diags) <= maxDiags {
			p.diags = append(p.diags, d)
		}
	}
}

// unknown notes a name that does not exist, with the nearest that does.
func (p *parser) unknown(at hcl.Range, kind, name string, known []string) {
	if len(p.diags) > maxDiags {
		return
	}
	p.errorf(at, "Unsupported "+kind, "There is no %s %q here.%s", kind, name, nearest(name, known))
}

// nearest returns a sentence that proposes the known name most like name, or
// lists the known ones where they are few, or nothing.
func nearest(name string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if len(name) > 2*len(k)+3 {
			continue
		}
		if d := levenshtein.Distance(name, k, nil); d < distance {
			best, distance = k, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf(" Did you mean %q?", best)
	case len(known) > 0 && len(known) <= 12:
		known = slices.Clone(known)
		slices.Sort(known)
		return " Known: " + strings.Join(known, ", ") + "."
	}
	return ""
}

// sortedAttrs returns a body's attributes in the order of the text.
func sortedAttrs(body *hclsyntax.Body) []*hclsyntax.Attribute {
	out := make([]*hclsyntax.Attribute, 0, len(body.Attributes))
	for _, a := range body.Attributes {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b *hclsyntax.Attribute) int { return a.NameRange.Start.Byte - b.NameRange.Start.Byte })
	return out
}
