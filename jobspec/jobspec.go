package jobspec

import (
	"bytes"

	"github.com/drover-org/drover/api"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// MaxSource is the largest job or variable file, in bytes.
const MaxSource = api.MaxSubmissionSize

// Options are what a job file may use besides its text. Where a variable has
// several values, Vars wins over VarFiles, those over Env, and that over the
// default in the file.
type Options struct {
	// Vars are values by name, as on a command line: text for variables of a
	// plain type, an expression for others. Each must be declared.
	Vars map[string]string
	// VarFiles are files of name = value lines (or JSON objects); a later one
	// wins. Names that the job does not declare are ignored, so that jobs can
	// share a file.
	VarFiles []File
	// Env is an environment ("NAME=value"); NOMAD_VAR_x gives variable x.
	Env []string
	// AllowFS lets the file functions read below BaseDir, or anywhere by
	// absolute path. Servers leave it off.
	AllowFS bool
	BaseDir string
}

// File is a named text.
type File struct {
	Name string
	Src  []byte
}

// Parse reads a job file; name appears in messages. A file that begins with
// "{" is JSON, the job itself or {"Job": …}; any other is HCL2. Errors are
// *api.Error of CodeInvalid (CodeTooLarge beyond MaxSource) and give
// file:line:column, what is wrong, and the nearest known name for a mistyped
// one; up to 20 are listed.
func Parse(name string, src []byte, opts Options) (*api.Job, error) {
	if err := checkSize(name, src); err != nil {
		return nil, err
	}
	if isJSON(src) {
		return parseJSON(name, src)
	}
	return parseHCL(name, src, opts)
}

// Format returns the HCL source in canonical layout.
func Format(name string, src []byte) ([]byte, error) {
	if err := checkSize(name, src); err != nil {
		return nil, err
	}
	if _, err := parseSyntax(name, src); err != nil {
		return nil, err
	}
	return hclwrite.Format(src), nil
}

func isJSON(src []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(src), []byte("{")) }

func checkSize(name string, src []byte) error {
	if len(src) > MaxSource {
		return api.Errorf(api.CodeTooLarge, "%s: %d bytes exceed the limit of %d for a job or variable file", name, len(src), MaxSource)
	}
	return nil
}

// parseSyntax parses HCL text after checking that its structure is bounded.
func parseSyntax(name string, src []byte) (*hclsyntax.Body, error) {
	if diags := checkStructure(name, src); diags.HasErrors() {
		return nil, asError(diags)
	}
	file, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	if diags.HasErrors() {
		return nil, asError(diags)
	}
	return file.Body.(*hclsyntax.Body), nil
}

func parseHCL(name string, src []byte, opts Options) (job *api.Job, err error) {
	body, err := parseSyntax(name, src)
	if err != nil {
		return nil, err
	}
	m := newMeter()
	defer m.catch(name, &err)
	p := &parser{src: src, meter: m, opts: opts, needs: localNeeds(body)}
	diags := rewriteBody(body, &rewriter{src: src, meter: m})
	if diags.HasErrors() {
		return nil, asError(diags)
	}
	job = p.file(body)
	if p.diags.HasErrors() {
		return nil, asError(p.diags)
	}
	return job, nil
}

// parser holds what reading one file needs.
type parser struct {
	src    []byte
	meter  *meter
	opts   Options
	diags  hcl.Diagnostics
	needs  map[string][]string // by local, the locals that its value needs
	shared api.Task            // what the job says for all its tasks: Vault, Secrets
}

// file reads the top level: variables, locals and exactly one job.
func (p *parser) file(body *hclsyntax.Body) *api.Job {
	for _, a := range sortedAttrs(body) {
		p.errorf(a.NameRange, "Unexpected argument", "%q must be inside a job block.", a.Name)
	}
	var job *hclsyntax.Block
	var vars, shorthands, locals []*hclsyntax.Block
	for _, b := range body.Blocks {
		switch b.Type {
		case "job":
			if job != nil {
				p.errorf(b.DefRange(), "Second job", "A file holds exactly one job; the first is at line %d.", job.DefRange().Start.Line)
			}
			job = b
		case "variable":
			vars = append(vars, b)
		case "variables":
			shorthands = append(shorthands, b)
		case "locals":
			locals = append(locals, b)
		default:
			p.unknown(b.TypeRange, "block", b.Type, []string{"job", "variable", "variables", "locals"})
		}
	}
	if job == nil {
		p.errorf(body.SrcRange, "No job", "The file holds no job block: write job \"name\" { … }.")
	}
	if p.diags.HasErrors() {
		return nil
	}
	ctx := &hcl.EvalContext{Functions: p.functions()}
	p.variables(ctx, vars, shorthands)
	if !p.diags.HasErrors() {
		p.locals(ctx, locals)
	}
	if p.diags.HasErrors() {
		return nil
	}
	return p.job(ctx, job)
}
