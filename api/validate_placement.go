package api

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// operands are the canonical operands of a constraint; an affinity has the
// same without the distinct ones.
var operands = []string{
	OperandEqual, OperandNotEqual, OperandLess, OperandLessEqual, OperandGreater, OperandGreaterEqual,
	OperandRegexp, OperandVersion, OperandSemver, OperandSetContains, OperandSetContainsAny,
	OperandIsSet, OperandIsNotSet, OperandDistinctHosts, OperandDistinctProperty,
}

// maxPattern bounds a regular expression, which every node's attribute is held against.
const maxPattern = 4096

func validatePlacement(at spot, j *Job, constraints []*Constraint, affinities []*Affinity, spreads []*Spread) {
	at.elements("Constraints", len(constraints))
	at.elements("Affinities", len(affinities))
	at.elements("Spreads", len(spreads))
	everywhere := j.Type == JobTypeSystem || j.Type == JobTypeSysBatch
	if everywhere && len(affinities) > 0 {
		at.bad("Affinities", "a %s job runs on every node and can't prefer some: use Constraints", j.Type)
	}
	if everywhere && len(spreads) > 0 {
		at.bad("Spreads", "a %s job runs on every node and can't be spread: remove them", j.Type)
	}
	for i, c := range constraints {
		if c == nil {
			at.bad(fmt.Sprintf("Constraints[%d]", i), "is null: remove it")
			continue
		}
		validateTarget(at.in("Constraints[%d]", i), c.LTarget, c.RTarget, c.Operand, operands)
	}
	preferences := operands[:slices.Index(operands, OperandDistinctHosts)]
	for i, a := range affinities {
		if a == nil {
			at.bad(fmt.Sprintf("Affinities[%d]", i), "is null: remove it")
			continue
		}
		in := at.in("Affinities[%d]", i)
		validateTarget(in, a.LTarget, a.RTarget, a.Operand, preferences)
		if a.Weight != nil {
			in.within("Weight", int(*a.Weight), -100, 100)
			if *a.Weight == 0 {
				in.bad("Weight", "0 has no effect: use -100 to -1 or 1 to 100")
			}
		}
	}
	for i, s := range spreads {
		if s == nil {
			at.bad(fmt.Sprintf("Spreads[%d]", i), "is null: remove it")
			continue
		}
		s.validate(at.in("Spreads[%d]", i))
	}
}

// validateTarget checks one comparison of an attribute with a value.
func validateTarget(at spot, left, right, operand string, allowed []string) {
	if !slices.Contains(allowed, operand) {
		at.bad("Operand", "%q is unknown here: use %s", clip(operand), orList(allowed))
		return
	}
	needsLeft, needsRight := true, true
	switch operand {
	case OperandDistinctHosts:
		needsLeft, needsRight = false, false
		if _, err := strconv.ParseBool(right); right != "" && err != nil {
			at.bad("RTarget", "%q is not a truth value: use true or false", clip(right))
		}
	case OperandDistinctProperty:
		needsRight = false
		if n, err := strconv.Atoi(right); right != "" && (err != nil || n < 1) {
			at.bad("RTarget", "%q is not a number of allocations: use 1 or more", clip(right))
		}
	case OperandIsSet, OperandIsNotSet:
		needsRight = false
	case OperandRegexp:
		validatePattern(at, right)
	case OperandVersion, OperandSemver:
		if !isDynamic(right) && right != "" && !versionConstraint.MatchString(right) {
			at.bad("RTarget", "%q is not a version constraint: write it like \">= 1.2, < 2.0\"", clip(right))
		}
	}
	if needsLeft && left == "" {
		at.bad("LTarget", "is missing: name an attribute like ${attr.kernel.name}")
	}
	if needsRight && right == "" {
		at.bad("RTarget", "is missing: give the value to compare with, or use the operand is_set")
	}
}

// versionConstraint is one or more comparisons with a version.
var versionConstraint = func() *regexp.Regexp {
	one := `\s*(?:=|!=|>|<|>=|<=|~>)?\s*v?\d+(?:\.\d+)*(?:-[0-9A-Za-z.~-]+)?(?:\+[0-9A-Za-z.~-]+)?\s*`
	return regexp.MustCompile(`^` + one + `(?:,` + one + `)*$`)
}()

func validatePattern(at spot, pattern string) {
	if isDynamic(pattern) {
		return
	}
	if len(pattern) > maxPattern {
		at.bad("RTarget", "the pattern is %d bytes long: %d is the most", len(pattern), maxPattern)
		return
	}
	if _, err := regexp.Compile(pattern); err != nil {
		at.bad("RTarget", "%q is not a regular expression: %s", clip(pattern), strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
}

func (s *Spread) validate(at spot) {
	if s.Attribute == "" {
		at.bad("Attribute", "is missing: name an attribute like ${node.datacenter}")
	}
	if s.Weight != nil {
		at.within("Weight", int(*s.Weight), 0, 100)
	}
	at.elements("SpreadTarget", len(s.SpreadTarget))
	sum, seen := 0, make(map[string]bool)
	for i, t := range s.SpreadTarget {
		if t == nil {
			at.bad(fmt.Sprintf("SpreadTarget[%d]", i), "is null: remove it")
			continue
		}
		if seen[t.Value] {
			at.bad("SpreadTarget", "has %q twice: remove one", clip(t.Value))
		}
		seen[t.Value] = true
		at.in("target %q", clip(t.Value)).within("Percent", int(t.Percent), 0, 100)
		sum += int(t.Percent)
	}
	if sum > 100 {
		at.bad("SpreadTarget", "the percentages add up to %d: 100 is the most", sum)
	}
}
