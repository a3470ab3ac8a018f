package config

import (
	"fmt"
	"strings"
)

// Markdown returns the page that docs/configuration.md holds.
func Markdown() string {
	var b strings.Builder
	b.WriteString(`# Configuration of the agent

` + "`drover agent -config FILE|DIR`" + ` reads HCL or JSON; of a directory the files ending in .hcl and .json in lexical order. What comes later
replaces single values and lists and adds to maps; flags come last. ` + "`drover agent -dev`" + ` needs none of it.

A key that is not in this table is a typo and the agent does not start. *Warns*: the key is known and has no effect here; the agent says so
and starts. *Refused*: somebody relies on the effect, so the agent does not start as long as the key asks for something.

A ` + "`*`" + ` stands for a name of your choice, ` + "`**`" + ` for anything below.

Whoever reaches the agent's ports unknown may run commands on its machine. The agent therefore listens on 127.0.0.1 unless ` + "`bind_addr`" + `
says otherwise, and then only if callers must show tokens (` + "`acl.enabled`" + `, for the API; see [security/acl.md](security/acl.md)) or
certificates (` + "`tls.http`" + ` with ` + "`tls.verify_https_client`, `tls.rpc`" + `; see
[security/tls.md](security/tls.md)), or with ` + "`allow_insecure_bind = true`" + `.

The limits of a caller count for the owner of a valid token, else for the address. Requests without a token from this machine itself are
not counted, and a dev agent bounds no caller. Not to be configured: a request's headers are at most 64 KiB, its body 10 MiB in 64 levels
of JSON, a websocket message 4 MiB. ` + "`/v1/metrics`" + ` counts what was refused (` + "`drover_limit_refused_total`" + `) and what is in use (` + "`drover_limit_open`" + `).

SIGHUP reads the files again and takes over ` + "`log_level`" + ` and the certificates, without touching a connection that stands; anything
else needs a restart, over which tasks live on.

| key | effect | note |
|---|---|---|
`)
	names := map[Effect]string{Works: "works", Warns: "warns", Refused: "refused"}
	for _, k := range Keys() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.Path, names[k.Effect], k.Note)
	}
	b.WriteString("\n## Flags\n\n| flag | key | meaning |\n|---|---|---|\n| `-dev` | | server and node in memory, on the loopback interface, with raw_exec |\n| `-config` | | file or directory; may be given several times |\n")
	for _, f := range Flags() {
		fmt.Fprintf(&b, "| `-%s` | `%s` | %s |\n", f.Name, f.Key, f.Help)
	}
	return b.String()
}
