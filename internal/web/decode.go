package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"

	"github.com/drover-org/drover/api"
)

// MaxBody is the size from which on a request body is refused.
const MaxBody = 10 << 20

// MaxDepth is how deep a request body may nest arrays and objects. A job needs
// about ten, and what users nest in a driver's configuration.
const MaxDepth = 64

// deeper reports whether JSON opens more than max arrays and objects inside of
// each other. Of what is no JSON it is right often enough.
func deeper(data []byte, max int) bool {
	depth, text := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{', c == '[':
			if depth++; depth > max {
				return true
			}
		case c == '}', c == ']':
			depth--
		}
	}
	return false
}

// Decode reads the JSON body of r into v, a pointer to a zero value. A body
// that is empty, too large, not JSON or of the wrong shape is the caller's
// fault and the error says where. unknown lists, as paths like
// Job.TaskGroups[0].Cuont, the members that v has no place for and that are
// not null, false, 0, "", [] or {}; the caller of the API is warned about
// them.
func Decode(r *http.Request, v any) (unknown []string, err error) {
	data, err := ReadBody(r)
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, &api.Error{Code: api.CodeInvalid, Message: "Request body is empty"}
	}
	return DecodeBytes(data, v)
}

// DecodeOptional is Decode for requests that may come without a body, which
// leaves v as it is.
func DecodeOptional(r *http.Request, v any) (unknown []string, err error) {
	data, err := ReadBody(r)
	if err != nil || len(bytes.TrimSpace(data)) == 0 {
		return nil, err
	}
	return DecodeBytes(data, v)
}

// ReadBody reads the whole body of r, which must be smaller than MaxBody.
func ReadBody(r *http.Request) ([]byte, error) {
	tooLarge := api.Errorf(api.CodeTooLarge, "the request body is too large: it must be smaller than %d MiB", MaxBody>>20)
	if r.ContentLength >= MaxBody {
		return nil, tooLarge
	}
	if r.Body == nil {
		return nil, nil
	}
	var buf bytes.Buffer
	if r.ContentLength > 0 {
		buf.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(r.Body, MaxBody))
	var limit *http.MaxBytesError
	switch {
	case errors.As(err, &limit), n >= MaxBody:
		return nil, tooLarge
	case err != nil:
		return nil, api.Errorf(api.CodeInvalid, "the request body ended early: %w", err)
	}
	return buf.Bytes(), nil
}

// DecodeBytes is Decode of a body that has been read already.
func DecodeBytes(data []byte, v any) (unknown []string, err error) {
	if deeper(data, MaxDepth) {
		return nil, api.Errorf(api.CodeTooLarge, "the request body nests arrays and objects more than %d deep", MaxDepth)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if dec.Decode(v) == nil && onlySpaceAfter(dec, data) {
		return nil, nil
	}
	// Something is wrong or unknown. Decode again without that check, which
	// tells the two apart, and look for the place.
	target := reflect.ValueOf(v).Elem()
	target.SetZero()
	if err := json.Unmarshal(data, v); err != nil {
		return nil, decodeError(data, target.Type(), err)
	}
	s := newScan(data)
	s.value(target.Type(), "")
	return s.unknown, nil
}

func onlySpaceAfter(dec *json.Decoder, data []byte) bool {
	return len(bytes.TrimSpace(data[dec.InputOffset():])) == 0
}

// decodeError says where in data err happened.
func decodeError(data []byte, t reflect.Type, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return api.Errorf(api.CodeInvalid, "the request body is not valid JSON: %s: %w", position(data, syntax.Offset), err)
	}
	s := newScan(data)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		s.target = wrong.Offset
		s.value(t, "")
		field := s.found
		if field == "" {
			field = wrong.Field
		}
		return api.Errorf(api.CodeInvalid, "%s (%s): expected %s, not %s", named(field), position(data, wrong.Offset), kindName(wrong.Type), wrong.Value)
	}
	s.refusals = true
	s.value(t, "")
	if s.refused != nil {
		err = s.refused
	}
	return api.Errorf(api.CodeInvalid, "%s (%s): %w", named(s.found), position(data, s.foundAt), err)
}

func named(field string) string {
	if field == "" {
		return "the request body"
	}
	return "field " + field
}

// position turns a byte offset into words for people.
func position(data []byte, offset int64) string {
	offset = min(max(offset, 0), int64(len(data)))
	line := 1 + bytes.Count(data[:offset], []byte("\n"))
	return fmt.Sprintf("line %d, byte %d", line, offset)
}

// kindName says in JSON's words what a Go type takes.
func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return fmt.Sprintf("a whole number of at most %d bits", t.Bits())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return fmt.Sprintf("a whole number, 0 or more, of at most %d bits", t.Bits())
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Map, reflect.Struct:
		return "an object"
	}
	return "another type"
}
