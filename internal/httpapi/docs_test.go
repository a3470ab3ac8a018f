package httpapi

import (
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Every route has its place in the documentation.
func TestRoutesAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/api/README.md")
	if err != nil {
		t.Fatal(err)
	}
	a := &routes{Config: Config{Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Server: struct{ Server }{}}}
	for _, r := range a.table() {
		path := strings.NewReplacer("{id}", ":id", "/{verb}", "", "/{rest...}", "", "/{$}", "").Replace(r.Pattern)
		path = strings.TrimSuffix(path, "/:id")
		last := path[strings.LastIndex(path, "/"):]
		if !strings.Contains(string(doc), path) && !strings.Contains(string(doc), "…"+last) {
			t.Errorf("docs/api/README.md does not mention %s", path)
		}
	}
}
