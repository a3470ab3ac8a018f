package jobspec

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/drover-org/drover/api"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// special are the arguments and blocks of a noun that are not simply fields.
type special struct {
	attrs  map[string]attrFunc
	blocks map[string]blockFunc
}

type (
	attrFunc  func(p *parser, ctx *hcl.EvalContext, a *hclsyntax.Attribute, v reflect.Value)
	blockFunc func(p *parser, b scoped, v reflect.Value)
)

// specials are those of the api types. A function, since its entries decode
// blocks, which leads here again.
func specials(t reflect.Type) special {
	switch t {
	case reflect.TypeFor[api.Constraint]():
		return special{attrs: shortForms("distinct_hosts", "distinct_property", "regexp", "version", "semver", "set_contains", "set_contains_all", "set_contains_any", "is_set", "is_not_set")}
	case reflect.TypeFor[api.Affinity]():
		return special{attrs: shortForms("regexp", "version", "semver", "set_contains", "set_contains_all", "set_contains_any")}
	case reflect.TypeFor[api.NetworkResource]():
		return special{blocks: map[string]blockFunc{"port": port}}
	case reflect.TypeFor[api.Task](), reflect.TypeFor[api.SidecarTask]():
		return special{blocks: map[string]blockFunc{"identity": identity}}
	case reflect.TypeFor[api.Job]():
		return special{blocks: map[string]blockFunc{"task": jobTask, "vault": jobVault, "secret": jobSecret}}
	}
	return special{}
}

func specialNames(t reflect.Type) []string {
	s := specials(t)
	return append(slices.Collect(maps.Keys(s.attrs)), slices.Collect(maps.Keys(s.blocks))...)
}

// shortForms are arguments that stand for operator and value: version =
// ">= 1" for operator = "version", value = ">= 1".
func shortForms(operands ...string) map[string]attrFunc {
	out := make(map[string]attrFunc)
	for _, op := range operands {
		out[op] = func(p *parser, ctx *hcl.EvalContext, a *hclsyntax.Attribute, v reflect.Value) {
			shortForm(p, ctx, a, v, op)
		}
	}
	return out
}

func shortForm(p *parser, ctx *hcl.EvalContext, a *hclsyntax.Attribute, v reflect.Value, op string) {
	operand := v.FieldByName("Operand")
	if operand.Len() > 0 && operand.String() != op {
		p.errorf(a.NameRange, "Second operator", "The block compares by %q already.", operand.String())
		return
	}
	value := p.eval(ctx, a.Expr)
	switch op {
	case api.OperandDistinctProperty: // names the attribute; value is how many may share it
		p.set(v.FieldByName("LTarget"), value, a.Expr.Range(), a.Name)
	case api.OperandDistinctHosts, api.OperandIsSet, api.OperandIsNotSet:
		var yes bool
		if !p.set(reflect.ValueOf(&yes).Elem(), value, a.Expr.Range(), a.Name) {
			return
		}
		if !yes && op != api.OperandDistinctHosts {
			p.errorf(a.Expr.Range(), "Wrong value", "%s: only true has a meaning.", op)
			return
		}
		if op == api.OperandDistinctHosts {
			v.FieldByName("RTarget").SetString(fmt.Sprint(yes))
		}
	default:
		p.set(v.FieldByName("RTarget"), value, a.Expr.Range(), a.Name)
	}
	operand.SetString(op)
}

// portBlock is how HCL writes an api.Port.
type portBlock struct {
	Static          *int
	To              int
	HostNetwork     string
	IgnoreCollision bool
}

// port adds a port to a network: static ones are reserved, others dynamic.
func port(p *parser, b scoped, v reflect.Value) {
	network := v.Addr().Interface().(*api.NetworkResource)
	if len(b.labels) != 1 {
		p.errorf(b.at, "Missing name", "Write port \"name\" { … }.")
		return
	}
	var in portBlock
	p.decode(scoped{kind: b.kind, body: b.body, at: b.at, ctx: b.ctx}, reflect.ValueOf(&in).Elem())
	out := api.Port{Label: b.labels[0], To: in.To, HostNetwork: in.HostNetwork, IgnoreCollision: in.IgnoreCollision}
	if in.Static != nil {
		out.Value = *in.Static
		network.ReservedPorts = append(network.ReservedPorts, out)
	} else {
		network.DynamicPorts = append(network.DynamicPorts, out)
	}
}

// identity adds an identity to a task: the nameless or "default" one has a
// field of its own.
func identity(p *parser, b scoped, v reflect.Value) {
	id := new(api.WorkloadIdentity)
	p.decode(b, reflect.ValueOf(id).Elem())
	task, ok := v.Addr().Interface().(*api.Task)
	switch {
	case !ok:
		sidecar := v.Addr().Interface().(*api.SidecarTask)
		sidecar.Identities = append(sidecar.Identities, id)
	case id.Name != "" && id.Name != "default":
		task.Identities = append(task.Identities, id)
	case task.Identity != nil:
		p.errorf(b.at, "Second block", "The default identity is given already: name this one.")
	default:
		task.Identity = id
	}
}

// jobTask makes a task of a job a group of its own.
func jobTask(p *parser, b scoped, v reflect.Value) {
	job := v.Addr().Interface().(*api.Job)
	t := new(api.Task)
	p.decode(b, reflect.ValueOf(t).Elem())
	job.TaskGroups = append(job.TaskGroups, &api.TaskGroup{Name: t.Name, Tasks: []*api.Task{t}})
}

// jobVault keeps a job's vault block for the tasks without one.
func jobVault(p *parser, b scoped, _ reflect.Value) {
	if p.shared.Vault != nil {
		p.errorf(b.at, "Second block", "\"vault\" is given already.")
		return
	}
	p.shared.Vault = new(api.Vault)
	p.decode(b, reflect.ValueOf(p.shared.Vault).Elem())
}

// jobSecret keeps a job's secret block for all tasks.
func jobSecret(p *parser, b scoped, _ reflect.Value) {
	s := new(api.Secret)
	p.decode(b, reflect.ValueOf(s).Elem())
	p.shared.Secrets = append(p.shared.Secrets, s)
}

// job decodes the job block and hands what it says for all tasks to them.
func (p *parser) job(ctx *hcl.EvalContext, b *hclsyntax.Block) *api.Job {
	job := new(api.Job)
	p.decode(scoped{kind: b.Type, labels: b.Labels, body: b.Body, at: b.DefRange(), ctx: ctx}, reflect.ValueOf(job).Elem())
	if job.Name == "" && len(b.Labels) == 1 {
		job.Name = b.Labels[0]
	}
	for _, g := range job.TaskGroups {
		for _, t := range g.Tasks {
			shared := p.shared.Copy()
			if t.Vault == nil {
				t.Vault = shared.Vault
			}
			for _, s := range shared.Secrets {
				named := func(o *api.Secret) bool { return o.Name == s.Name }
				if !slices.ContainsFunc(t.Secrets, named) {
					t.Secrets = append(t.Secrets, s)
				}
			}
		}
	}
	return job
}
