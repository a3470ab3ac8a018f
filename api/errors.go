package api

import (
	"errors"
	"fmt"
)

// Code classifies an Error. The set is closed and crosses the wire as an HTTP
// status (see internal/web), so that a client can test for it as well.
type Code string

// The codes. Each comment says whose fault it is and what to do.
const (
	CodeInvalid     Code = "invalid"     // the request is wrong; change it
	CodeForbidden   Code = "forbidden"   // the token lacks the right
	CodeNotFound    Code = "not_found"   // no such object, or not visible
	CodeConflict    Code = "conflict"    // the object changed meanwhile; read again
	CodeTooLarge    Code = "too_large"   // the body exceeds its limit
	CodeMethod      Code = "method"      // the path exists, the method does not
	CodeMediaType   Code = "media_type"  // the content type is not accepted
	CodeLimited     Code = "limited"     // a bound was reached; try later
	CodeNotLeader   Code = "not_leader"  // this server does not lead; try again
	CodeNoRegion    Code = "no_region"   // no server of the region is known
	CodeUnavailable Code = "unavailable" // a part is missing or not reachable now; try again
	CodeUnsupported Code = "unsupported" // the feature does not exist here
	CodeInternal    Code = "internal"    // our fault
)

// Error is a failure with a code for programs and a message for people. The
// message names the field, the value and the remedy.
type Error struct {
	Code    Code
	Message string
	cause   error // what Errorf wrapped; its text is part of Message
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Unwrap returns what Errorf wrapped, or nil.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is an *Error with the same code and no message:
// errors.Is(err, &Error{Code: CodeNotFound}).
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Message == "" && t.Code == e.Code
}

// Errorf makes an Error with a code. A cause given with %w is part of the
// message and stays reachable for errors.Is and errors.As.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), cause: errors.Unwrap(err)}
}

// ErrorCode returns the code of the first Error in err's tree, CodeInternal
// for any other error, and "" for nil.
func ErrorCode(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

// IsNotFound reports whether err carries CodeNotFound.
func IsNotFound(err error) bool { return ErrorCode(err) == CodeNotFound }

// ErrNotLeader is returned by operations that only the leader can do.
var ErrNotLeader = &Error{Code: CodeNotLeader, Message: "No cluster leader"}
