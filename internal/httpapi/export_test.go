package httpapi

import "github.com/drover-org/drover/internal/web"

// Rows returns every row that serves a request, for tests that walk them.
func Rows(cfg Config) []web.Route {
	a := &routes{Config: cfg}
	return web.Leaves(a.table())
}
