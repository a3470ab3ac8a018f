package cli

import (
	"context"
	"flag"
	"time"

	"github.com/drover-org/drover/internal/certs"
)

type caCreateOptions struct {
	name  string
	days  int
	force bool
}

func tlsCACreateVerb() *verb {
	var o caCreateOptions
	return &verb{
		name: "tls ca create", args: "[options]", offline: true,
		short: "Make a certificate authority for a cluster",
		long: `
Writes ` + caCertFile + ` and ` + caKeyFile + ` into the current folder. The first goes to
every agent and to everybody who uses the API. The second signs certificates:
who has it can join the cluster as a server. Keep it away from the machines of
the cluster.`,
		flags: func(fs *flag.FlagSet) {
			fs.StringVar(&o.name, "common-name", "Drover Agent CA", "`NAME` of the authority")
			fs.IntVar(&o.days, "days", 5*365, "`NUMBER` of days it is valid for")
			fs.BoolVar(&o.force, "force", false, "replace files that exist")
		},
		run: func(_ context.Context, e *env, args []string) error { return runCACreate(e, &o, args) },
	}
}

func runCACreate(e *env, o *caCreateOptions, args []string) error {
	if err := none(args); err != nil {
		return err
	}
	if err := checkDays(o.days); err != nil {
		return err
	}
	pair, err := certs.NewAuthority(o.name, time.Now(), o.days)
	if err != nil {
		return err
	}
	if err := writePair(pair, caCertFile, caKeyFile, o.force); err != nil {
		return err
	}
	e.say("%s %s written, for everybody", e.out.green("✓"), caCertFile)
	e.say("%s %s written: keep it secret and offline", e.out.green("✓"), caKeyFile)
	e.say("Next: \"drover tls cert create -server\", and -client for nodes")
	return nil
}

func tlsCAInfoVerb() *verb {
	file := caCertFile
	return &verb{
		name: "tls ca info", args: "[FILE]", offline: true, argKind: "file",
		short: "Show a certificate authority",
		long:  "\nShows the certificate of an authority, by default that in " + caCertFile + ".",
		run: func(_ context.Context, e *env, args []string) error {
			given, err := optional(args, "file")
			if err != nil {
				return err
			}
			if given != "" {
				file = given
			}
			return e.certFacts(file, time.Now())
		},
	}
}
