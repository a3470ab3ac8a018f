package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/drover-org/drover/internal/audit"
)

func auditVerifyVerb() *verb {
	var head string
	return &verb{
		name: "audit verify", args: "[options] FILE…",
		short: "Check the hash chain of audit logs",
		long: `Checks that no line of an audit log with hash_chain = true was changed, removed or put in. Give rotated files in their order, the
current one last: drover audit verify audit-*.json audit.json

It names the first line where the chain is broken. What was cut off at the very end leaves no trace in the files: keep the hash that is printed
somewhere else, and give it with -head next time; it must still occur.`,
		offline: true, argKind: "file",
		flags: func(fs *flag.FlagSet) {
			fs.StringVar(&head, "head", "", "`HASH` of an earlier check, of a line that must still be there")
		},
		run: func(_ context.Context, e *env, args []string) error { return runAuditVerify(e, head, args) },
	}
}

func runAuditVerify(e *env, head string, files []string) error {
	if len(files) == 0 {
		return usagef("FILE is missing")
	}
	v := audit.Verifier{Want: head}
	for _, name := range files {
		if err := verifyFile(&v, name); err != nil {
			return err
		}
	}
	if head != "" && !v.Found {
		return fmt.Errorf("no line has the hash %s: lines were cut off or changed since it was noted, or its file is missing", visible(head))
	}
	e.say("%s %d lines, unbroken\nhead %s", e.out.green("ok"), v.Lines, v.Head)
	return nil
}

func verifyFile(v *audit.Verifier, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	err = v.File(f)
	var broken *audit.BrokenError
	if errors.As(err, &broken) {
		return fmt.Errorf("%s:%d: %s", name, broken.Line, broken.Reason)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
