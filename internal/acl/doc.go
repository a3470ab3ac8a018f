// Package acl reads policies and decides by them. It is pure: whose policies
// count is for others to find out (see internal/auth).
//
// # Policies
//
// [Parse] reads the rules of one policy, HCL or JSON, strictly: an unknown
// name or value is an error with its line. A rule is about the namespaces,
// node pools or host volumes that a glob names, about the variables under a
// path of a namespace, or about agents, nodes, the operator's view, quotas or
// plugins as such. A coarse policy ("read", "write", …) is short for a list
// of capabilities.
//
// # Decisions
//
// [Compile] merges policies into an [ACL]:
//
//   - of the globs that match a name the most specific one decides alone: a
//     name in full before any glob, then the glob that leaves the fewest
//     characters to its wildcards;
//   - rules with that same glob, in any policy, are added up;
//   - deny among them wins over everything they allow;
//   - what no rule allows is forbidden.
//
// Some capabilities contain others (see api.Capability.Broader): who may
// submit-job may also purge-job. [ACL.Explain] tells which rule of which
// policy decided.
package acl
