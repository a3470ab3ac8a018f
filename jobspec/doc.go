// Package jobspec turns a job file, HCL2 or JSON, into an [api.Job].
//
// [Parse] is the whole interface. What it returns is what the file says, not
// yet canonical and not yet checked: call Canonicalize and Validate on it.
//
// The way of an HCL file: its size and nesting are bounded (limits.go), it is
// parsed by the hcl library, expressions are rewritten so that ${attr.x} and
// the like stay text for the node and evaluation is metered (rewrite.go),
// variables and locals get their values (variables.go), and the job block is
// decoded into the api types (decode.go). Which block and attribute belongs to
// which field follows from the field's name and type; schema.go lists the
// exceptions, special.go the few blocks with a shape of their own.
//
// Evaluation has a budget, so that a hostile file can't hold a server up, and
// reads no file unless the caller allows it.
package jobspec
