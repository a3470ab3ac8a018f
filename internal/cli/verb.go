package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/drover-org/drover/api/client"
)

// verb is one command.
type verb struct {
	name    string   // one word or several
	aliases []string // other names
	args    string   // "[options] FILE", for the usage line
	short   string   // one line for the overview, no full stop
	long    string   // for "drover help VERB"; blank lines part paragraphs
	hidden  bool     // not in the overview

	flags   func(fs *flag.FlagSet) // nil: none of its own
	rawArgs bool                   // flags end at the first argument (a command follows)
	offline bool                   // talks to no agent: no connection flags
	failure int                    // exit code of failures when it is not 1
	argKind string                 // what completion offers: job, alloc, node, eval, deployment, namespace, pool, file, verb

	run func(ctx context.Context, e *env, args []string) error
}

// verbs lists every command, in the order of the overview.
func verbs() []*verb {
	return []*verb{
		agentVerb(),
		jobRunVerb(), jobPlanVerb(), jobStatusVerb(), jobStopVerb(), jobInspectVerb(), jobValidateVerb(), jobInitVerb(),
		jobAllocsVerb(), jobEvalVerb(), jobWhyVerb(), jobHistoryVerb(), jobTagApplyVerb(), jobTagUnsetVerb(), jobRevertVerb(), jobPromoteVerb(), jobScaleVerb(), jobScalingEventsVerb(), jobActionVerb(), jobRestartVerb(), jobDeploymentsVerb(),
		jobDispatchVerb(), jobPeriodicForceVerb(),
		allocListVerb(), allocStatusVerb(), allocWhyVerb(), allocChecksVerb(), allocLogsVerb(), allocExecVerb(), allocFSVerb(), allocCpVerb(), allocPortForwardVerb(),
		allocStopVerb(), allocRestartVerb(), allocSignalVerb(),
		serviceListVerb(), serviceInfoVerb(), serviceDeleteVerb(),
		eventsVerb(), agentMonitorVerb(), evalListVerb(), evalStatusVerb(), evalDeleteVerb(),
		deploymentListVerb(), deploymentStatusVerb(), deploymentPromoteVerb(), deploymentFailVerb(), deploymentPauseVerb(), deploymentResumeVerb(), deploymentUnblockVerb(),
		scalingPolicyListVerb(), scalingPolicyInfoVerb(),
		nodeStatusVerb(), nodeEligibilityVerb(), nodeDrainVerb(), nodeIdentityGetVerb(), nodeIdentityRenewVerb(), nodeIntroCreateVerb(),
		nodePoolApplyVerb(), nodePoolListVerb(), nodePoolInfoVerb(), nodePoolInitVerb(), nodePoolJobsVerb(), nodePoolNodesVerb(), nodePoolDeleteVerb(),
		namespaceApplyVerb(), namespaceListVerb(), namespaceStatusVerb(), namespaceInspectVerb(), namespaceDeleteVerb(),
		quotaApplyVerb(), quotaListVerb(), quotaStatusVerb(), quotaInspectVerb(), quotaInitVerb(), quotaDeleteVerb(),
		auditVerifyVerb(),
		statusVerb(), serverMembersVerb(), operatorAutopilotHealthVerb(), operatorDebugVerb(), serverJoinVerb(), serverForceLeaveVerb(), systemGCVerb(), operatorAPIVerb(), schedulerGetConfigVerb(), schedulerSetConfigVerb(),
		snapshotSaveVerb(), snapshotRestoreVerb(), snapshotInspectVerb(),
		loginVerb(), aclBootstrapVerb(), aclExplainVerb(),
		aclPolicyApplyVerb(), aclPolicyListVerb(), aclPolicyInfoVerb(), aclPolicyDeleteVerb(), aclPolicySelfVerb(),
		aclTokenCreateVerb(), aclTokenListVerb(), aclTokenInfoVerb(), aclTokenUpdateVerb(), aclTokenDeleteVerb(), aclTokenSelfVerb(),
		aclRoleCreateVerb(), aclRoleListVerb(), aclRoleInfoVerb(), aclRoleUpdateVerb(), aclRoleDeleteVerb(),
		aclAuthMethodCreateVerb(), aclAuthMethodListVerb(), aclAuthMethodInfoVerb(), aclAuthMethodUpdateVerb(), aclAuthMethodDeleteVerb(),
		aclBindingRuleCreateVerb(), aclBindingRuleListVerb(), aclBindingRuleInfoVerb(), aclBindingRuleUpdateVerb(), aclBindingRuleDeleteVerb(),
		tlsCACreateVerb(), tlsCAInfoVerb(), tlsCertCreateVerb(), tlsCertInfoVerb(),
		keyringListVerb(), keyringRotateVerb(), keyringRemoveVerb(),
		raftListPeersVerb(), raftRemovePeerVerb(), raftTransferVerb(),
		gossipGenerateVerb(), gossipListVerb(), gossipInstallVerb(), gossipUseVerb(), gossipRemoveVerb(),
		fmtVerb(), benchNodesVerb(), completionVerb(), versionVerb(), manVerb(),
	}
}

// env is what a running verb has.
type env struct {
	Stdio
	verb   *verb
	out    style // of standard output
	err    style // of standard error
	opened bool  // an agent was asked something

	clients []*client.Client

	conn       client.Config
	noColor    bool
	forceColor bool
}

// client makes the client that the flags and the environment describe.
func (e *env) client() (*client.Client, error) {
	e.opened = true
	c, err := client.New(e.conn)
	if err == nil {
		e.clients = append(e.clients, c)
	}
	return c, err
}

// close lets go of the agent's connections.
func (e *env) close() {
	for _, c := range e.clients {
		c.CloseIdle()
	}
}

// flagSet makes the verb's flags and the ones all verbs share.
func (v *verb) flagSet(e *env) *flag.FlagSet {
	fs := flag.NewFlagSet(v.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	if v.flags != nil {
		v.flags(fs)
	}
	e.shared(fs)
	return fs
}

// shared declares the flags that every verb has. Their defaults come from the
// environment.
func (e *env) shared(fs *flag.FlagSet) {
	fs.BoolVar(&e.noColor, "no-color", false, "no colour (also NO_COLOR)")
	fs.BoolVar(&e.forceColor, "force-color", false, "colour, even if the output is no terminal")
	if e.verb.offline {
		return
	}
	c := client.FromEnv(e.Getenv)
	e.conn = c
	fs.StringVar(&e.conn.Address, "address", c.Address, "`URL` of the agent: http://, https:// or unix:// (NOMAD_ADDR; default "+client.DefaultAddress+")")
	fs.StringVar(&e.conn.Region, "region", c.Region, "`NAME` of the region to ask (NOMAD_REGION)")
	fs.StringVar(&e.conn.Namespace, "namespace", c.Namespace, "`NAME` of the namespace, * for all (NOMAD_NAMESPACE)")
	fs.StringVar(&e.conn.Token, "token", c.Token, "`SECRET` of an ACL token (NOMAD_TOKEN)")
	fs.StringVar(&e.conn.TLS.CACert, "ca-cert", c.TLS.CACert, "`FILE` of the certificate authority (NOMAD_CACERT)")
	fs.StringVar(&e.conn.TLS.CAPath, "ca-path", c.TLS.CAPath, "`DIR` of certificate authorities (NOMAD_CAPATH)")
	fs.StringVar(&e.conn.TLS.ClientCert, "client-cert", c.TLS.ClientCert, "`FILE` of the client certificate (NOMAD_CLIENT_CERT)")
	fs.StringVar(&e.conn.TLS.ClientKey, "client-key", c.TLS.ClientKey, "`FILE` of its key (NOMAD_CLIENT_KEY)")
	fs.StringVar(&e.conn.TLS.ServerName, "tls-server-name", c.TLS.ServerName, "`NAME` expected in the server's certificate (NOMAD_TLS_SERVER_NAME)")
	fs.BoolVar(&e.conn.TLS.SkipVerify, "tls-skip-verify", c.TLS.SkipVerify, "accept any certificate (NOMAD_SKIP_VERIFY)")
}

// sharedFlags are named in a verb's help by one line instead of one by one.
func sharedFlags(name string) bool {
	switch name {
	case "no-color", "force-color", "address", "region", "namespace", "token", "ca-cert", "ca-path",
		"client-cert", "client-key", "tls-server-name", "tls-skip-verify":
		return true
	}
	return false
}

// parseFlags reads flags wherever they stand and returns the other words.
// With raw set, everything from the first such word on is returned as it is.
func parseFlags(fs *flag.FlagSet, args []string, raw bool) ([]string, error) {
	var words []string
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		rest := fs.Args()
		ended := len(rest) < len(args) && args[len(args)-len(rest)-1] == "--"
		if len(rest) == 0 || raw || ended {
			return append(words, rest...), nil
		}
		words = append(words, rest[0])
		args = rest[1:]
	}
}

// listFlag is a flag that may be given several times.
type listFlag []string

// String joins the values.
func (l *listFlag) String() string { return strings.Join(*l, ",") }

// Set adds a value.
func (l *listFlag) Set(s string) error {
	*l = append(*l, s)
	return nil
}

// say prints a line to standard output. That it can't be written is found out
// by the next reader of the stream, not here.
func (e *env) say(format string, args ...any) { _, _ = fmt.Fprintf(e.Out, format+"\n", args...) }

// note prints a line to standard error.
func (e *env) note(format string, args ...any) { _, _ = fmt.Fprintf(e.Err, format+"\n", args...) }

// warn prints the warnings an answer came with.
func (e *env) warn(text string) {
	if text = strings.TrimSpace(text); text != "" {
		e.note("%s %s", e.err.yellow("Warning:"), visible(text))
	}
}

// one expects exactly one argument.
func one(args []string, what string) (string, error) {
	switch len(args) {
	case 0:
		return "", usagef("%s is missing", what)
	case 1:
		return args[0], nil
	}
	return "", usagef("one %s is expected, %q is too many", what, args[1])
}

// none expects no argument.
func none(args []string) error {
	if len(args) > 0 {
		return usagef("no argument is expected, %q is too many", args[0])
	}
	return nil
}

// with gives a verb more flags.
func (v *verb) with(more func(fs *flag.FlagSet)) *verb {
	before := v.flags
	v.flags = func(fs *flag.FlagSet) { before(fs); more(fs) }
	return v
}

// clientAlone is client for a verb that expects no argument.
func (e *env) clientAlone(args []string) (*client.Client, error) {
	if err := none(args); err != nil {
		return nil, err
	}
	return e.client()
}

// optional expects at most one argument.
func optional(args []string, what string) (string, error) {
	if len(args) == 0 {
		return "", nil
	}
	return one(args, what)
}
