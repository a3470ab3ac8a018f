// Package web is the one HTTP wrapper of Drover: a [Handler] decodes, calls
// and returns a value or an error; the wrapper writes status, headers, JSON,
// compression and logs. It knows no route and no noun beyond package api.
//
// A server is built in two layers:
//
//	mux := web.NewMux(log, routes)              // routes → handlers, 404 and 405
//	srv.Handler = web.Serve(web.Config{…}, mux) // panics, guard, log
//
// # Answers
//
// A handler returns nil (200, empty body), a [*Reply] (status, headers, query
// meta), an io.WriterTo (streamed as it is, for instance a [List]), or any
// other value, which becomes JSON. JSON is written without HTML escapes;
// ?pretty indents by four spaces.
//
// # Errors
//
// An error with an api.Code becomes the code's status and its bare message as
// text. Any other error is ours: it is logged, and the caller gets a 500 that
// says so without the details, which may hold secrets.
//
// # Requests
//
// [Params] reads query parameters and reports the first bad one by name.
// [Decode] reads a JSON body strictly: a mistake is answered with the field,
// line and byte; members that nobody knows are returned as paths, so that the
// answer can warn about them.
//
// # Browsers
//
// [Guard] keeps web pages from driving an agent: it checks Origin, Host and
// the content types that a page can send without asking.
package web
