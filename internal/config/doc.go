// Package config is the agent's configuration: one struct, [Config], its
// defaults ([Default], [Dev]), reading of files and flags ([Load]) and
// [Config.Validate].
//
// # Strict
//
// Every key that the ecosystem knows has a row in the table of keys.go, which
// says whether it works here, is known and has no effect (a warning), or is
// refused because somebody relies on an effect that isn't there. A key without
// a row is a typo and fails with file, line and the nearest known key. The
// table is also the documentation: docs/configuration.md is written from it.
//
// Files are HCL or JSON; a directory's files are read in lexical order. A
// later file, and finally the flags, replace single values, add to maps and
// replace lists.
package config
