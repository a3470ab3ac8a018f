package api

import "net/http"

// statuses gives each code its HTTP status. Servers read it forwards and
// clients backwards; where two codes share a status the first is what a client
// gets back.
var statuses = [...]struct {
	code   Code
	status int
}{
	{CodeInvalid, http.StatusBadRequest},
	{CodeForbidden, http.StatusForbidden},
	{CodeNotFound, http.StatusNotFound},
	{CodeMethod, http.StatusMethodNotAllowed},
	{CodeConflict, http.StatusConflict},
	{CodeTooLarge, http.StatusRequestEntityTooLarge},
	{CodeMediaType, http.StatusUnsupportedMediaType},
	{CodeLimited, http.StatusTooManyRequests},
	{CodeInternal, http.StatusInternalServerError},
	{CodeUnsupported, http.StatusNotImplemented},
	{CodeUnavailable, http.StatusServiceUnavailable},
	{CodeNotLeader, http.StatusInternalServerError}, // as clients of this API expect
	{CodeNoRegion, http.StatusInternalServerError},
}

// Status returns the HTTP status of c; 500 for a code it does not know.
func (c Code) Status() int {
	for _, s := range statuses {
		if s.code == c {
			return s.status
		}
	}
	return http.StatusInternalServerError
}

// CodeOfStatus returns the code an HTTP status stands for: "" below 400,
// CodeInvalid for other 4xx and CodeInternal for other 5xx.
func CodeOfStatus(status int) Code {
	if status < 400 {
		return ""
	}
	for _, s := range statuses {
		if s.status == status {
			return s.code
		}
	}
	if status < 500 {
		return CodeInvalid
	}
	return CodeInternal
}
