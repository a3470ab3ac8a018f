package cli

import (
	"context"
	"flag"

	"github.com/drover-org/drover/internal/version"
)

type versionOptions struct{ machine machine }

func versionVerb() *verb {
	var o versionOptions
	return &verb{
		name: "version", args: "[options]", offline: true,
		short: "Print the version",
		long:  "Prints the version, when it was made and from what.",
		flags: func(fs *flag.FlagSet) { o.machine.flags(fs) },
		run: func(_ context.Context, e *env, args []string) error {
			if err := none(args); err != nil {
				return err
			}
			if o.machine.wanted() {
				return o.machine.write(e.Out, map[string]string{
					"Version": version.Number(), "Revision": version.Commit(), "BuildDate": version.Date(), "Platform": version.Platform(),
				})
			}
			e.say("%s", version.String())
			if d := version.Date(); d != "" {
				e.say("BuildDate %s", d)
			}
			if c := version.Commit(); c != "" {
				e.say("Revision %s", c)
			}
			e.say("Platform %s", version.Platform())
			return nil
		},
	}
}
