package httpapi

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/drover-org/drover/internal/web"
)

var update = flag.Bool("update", false, "write the table of rights into docs/api/README.md")

const docFile = "../../docs/api/README.md"

func tableOfAll() []web.Route {
	a := &routes{Config: Config{Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Server: struct{ Server }{}}}
	return a.table()
}

// Every route has its place in the documentation.
func TestRoutesAreDocumented(t *testing.T) {
	doc, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	before, _, _ := strings.Cut(string(doc), rightsHead)
	for _, r := range tableOfAll() {
		path := strings.TrimSuffix(documented(r.Pattern), "/:id")
		last := path[strings.LastIndex(path, "/"):]
		if !strings.Contains(before, path) && !strings.Contains(before, "…"+last) {
			t.Errorf("docs/api/README.md does not mention %s", path)
		}
	}
}

func documented(pattern string) string {
	return strings.NewReplacer("{id}", ":id", "{tag}", ":tag", "{registration}", ":registration", "/{verb}", "", "/{rest...}", "", "/{$}", "").Replace(pattern)
}

const rightsHead = "## Rights\n"

// The documentation says what each route asks of its caller.
func TestRightsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	before, _, found := strings.Cut(string(doc), rightsHead)
	if !found {
		before = strings.TrimRight(before, "\n") + "\n\n"
	}
	var b strings.Builder
	b.WriteString(before + rightsHead + `
What a route asks of the caller's token where access control is on. Any one of the capabilities is enough; "and" asks for both. *Filtered*:
whoever lacks them is answered without what he may not see.

| method | path | right |
|---|---|---|
`)
	for _, r := range web.Leaves(tableOfAll()) {
		if strings.Contains(r.Pattern, "{rest") || strings.Contains(r.Pattern, "{$}") {
			continue
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s |\n", r.Methods, documented(r.Pattern), r.Needs)
	}
	if b.String() == string(doc) {
		return
	}
	if !*update {
		t.Fatal("the table of rights is not that of the routes: go test ./internal/httpapi -run TestRightsAreDocumented -update")
	}
	if err := os.WriteFile(docFile, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
