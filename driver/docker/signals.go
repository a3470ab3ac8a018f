package docker

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/drover-org/drover/driver"
)

// signals are those of Linux, which is what containers run on wherever the
// agent does.
var signals = []string{
	"ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE",
	"POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU",
	"URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
}

// lastSignal is the largest number of a signal.
const lastSignal = 64

// signalName returns the name as the Engine takes it, with SIG. Images may
// say their stop signal as a number.
func signalName(name string) (string, error) {
	s := strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(name)), "SIG")
	if slices.Contains(signals, s) || isRealTime(s) {
		return "SIG" + s, nil
	}
	if n, err := strconv.Atoi(s); err == nil && n > 0 && n <= lastSignal {
		return s, nil
	}
	return "", fmt.Errorf("%w %q", driver.ErrBadSignal, name)
}

// isRealTime knows RTMIN, RTMIN+n, RTMAX and RTMAX-n.
func isRealTime(s string) bool {
	offset, ok := strings.CutPrefix(s, "RTMIN")
	sign := "+"
	if !ok {
		offset, ok = strings.CutPrefix(s, "RTMAX")
		sign = "-"
	}
	if !ok || offset == "" {
		return ok
	}
	n, err := strconv.Atoi(strings.TrimPrefix(offset, sign))
	return strings.HasPrefix(offset, sign) && err == nil && n >= 0 && n < 32
}
