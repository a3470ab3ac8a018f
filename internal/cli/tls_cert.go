package cli

import (
	"context"
	"flag"
	"os"
	"time"

	"github.com/drover-org/drover/internal/certs"
	"github.com/drover-org/drover/internal/config"
)

type certCreateOptions struct {
	server, client, cli bool
	region              string
	names               listFlag
	ips                 ipFlag
	days                int
	ca, key             string
	out                 string
	force               bool
}

func tlsCertCreateVerb() *verb {
	var o certCreateOptions
	return &verb{
		name: "tls cert create", args: "-server|-client|-cli [options]", offline: true,
		short: "Make a certificate for an agent or a user",
		long: `
Writes REGION-ROLE.pem and REGION-ROLE-key.pem, signed by the authority that
"drover tls ca create" made. What the role is decides what its owner may do:

  -server   an agent that keeps the state, and may be a node as well
  -client   an agent that is only a node: it can't act as a server
  -cli      who uses the API, where tls.verify_https_client is set

Agents are reached as localhost, 127.0.0.1 and ::1; name the rest with
-additional-dnsname and -additional-ipaddress. Servers and nodes find out by
the role, not by the address, whether they talk to the right one.`,
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&o.server, "server", false, "for a server")
			fs.BoolVar(&o.client, "client", false, "for a node")
			fs.BoolVar(&o.cli, "cli", false, "for who uses the API")
			fs.StringVar(&o.region, "region", config.Default().Region, "`NAME` of the region")
			fs.Var(&o.names, "additional-dnsname", "`NAME` the agent is also reached by (may be repeated)")
			fs.Var(&o.ips, "additional-ipaddress", "`ADDRESS` the agent is also reached by (may be repeated)")
			fs.IntVar(&o.days, "days", 365, "`NUMBER` of days it is valid for")
			fs.StringVar(&o.ca, "ca", caCertFile, "`FILE` with the authority's certificate")
			fs.StringVar(&o.key, "key", caKeyFile, "`FILE` with the authority's key")
			fs.StringVar(&o.out, "out", "", "beginning of the names of the `FILES` that are written")
			fs.BoolVar(&o.force, "force", false, "replace files that exist")
		},
		run: func(_ context.Context, e *env, args []string) error { return runCertCreate(e, &o, args) },
	}
}

func (o *certCreateOptions) role() (certs.Role, error) {
	var roles []certs.Role
	for _, r := range []struct {
		set  bool
		role certs.Role
	}{{o.server, certs.Server}, {o.client, certs.Client}, {o.cli, certs.CLI}} {
		if r.set {
			roles = append(roles, r.role)
		}
	}
	if len(roles) != 1 {
		return "", usagef("exactly one of -server, -client and -cli says what the certificate is for")
	}
	return roles[0], nil
}

func runCertCreate(e *env, o *certCreateOptions, args []string) error {
	if err := none(args); err != nil {
		return err
	}
	role, err := o.role()
	if err != nil {
		return err
	}
	if err := checkDays(o.days); err != nil {
		return err
	}
	if err := config.CheckName(o.region); err != nil {
		return usagef("-region %v", err)
	}
	pair, err := readPair(o.ca, o.key)
	if err != nil {
		return err
	}
	ca, err := certs.ParseAuthority(pair)
	if err != nil {
		return err
	}
	made, err := ca.Issue(certs.Request{Role: role, Region: o.region, Names: o.names, IPs: o.ips, Days: o.days}, time.Now())
	if err != nil {
		return err
	}
	out := o.out
	if out == "" {
		out = o.region + "-" + string(role)
	}
	certFile, keyFile := out+".pem", out+"-key.pem"
	if err := writePair(made, certFile, keyFile, o.force); err != nil {
		return err
	}
	e.say("%s %s and %s written", e.out.green("✓"), certFile, keyFile)
	return nil
}

func readPair(certFile, keyFile string) (*certs.Pair, error) {
	var p certs.Pair
	var err error
	if p.Cert, err = os.ReadFile(certFile); err != nil {
		return nil, err
	}
	p.Key, err = os.ReadFile(keyFile)
	return &p, err
}

func tlsCertInfoVerb() *verb {
	return &verb{
		name: "tls cert info", args: "FILE", offline: true, argKind: "file",
		short: "Show a certificate",
		long:  "\nShows what a certificate is for and how long it is valid.",
		run: func(_ context.Context, e *env, args []string) error {
			file, err := one(args, "file")
			if err != nil {
				return err
			}
			return e.certFacts(file, time.Now())
		},
	}
}
