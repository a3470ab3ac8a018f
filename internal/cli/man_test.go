package cli

import (
	"strings"
	"testing"
)

func TestManPageHoldsEveryVerb(t *testing.T) {
	page := manPage()
	for _, v := range verbs() {
		if !v.hidden && !strings.Contains(page, ".SS drover "+roff(v.name)+" ") {
			t.Errorf("%s is missing", v.name)
		}
	}
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, ".") && !strings.Contains(" .TH .SH .SS .TP .PP .B .I ", " "+strings.Fields(line)[0]+" ") {
			t.Errorf("text is taken for a request: %q", line)
		}
	}
}
