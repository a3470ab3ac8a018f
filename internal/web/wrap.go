package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"

	"github.com/drover-org/drover/api"
)

// Handler answers a request with a value or an error; see the package comment
// for what the value may be. When both are returned, only the headers of a
// *Reply are used beside the error.
type Handler func(r *http.Request) (any, error)

// Reply is a value with what goes around it.
type Reply struct {
	Value       any         // nil: empty body
	Status      int         // 0: 200
	Meta        *api.Meta   // query headers; nil: none
	Index       uint64      // index header of a write, when Meta is nil and this is not 0
	ContentType string      // "": application/json
	Header      http.Header // further headers
}

// Names of the headers that carry api.Meta.
const (
	HeaderIndex       = "X-Nomad-Index"
	HeaderKnownLeader = "X-Nomad-KnownLeader"
	HeaderLastContact = "X-Nomad-LastContact"
	HeaderNextToken   = "X-Nomad-NextToken"
)

// The same as keys of a header.
var (
	canonicalIndex       = http.CanonicalHeaderKey(HeaderIndex)
	canonicalKnownLeader = http.CanonicalHeaderKey(HeaderKnownLeader)
	canonicalLastContact = http.CanonicalHeaderKey(HeaderLastContact)
)

// Values that every answer shares. Nobody appends to them in place: there is
// no room.
var (
	varyEncoding = []string{"Accept-Encoding"}
	typeJSON     = []string{jsonType}
)

const jsonType = "application/json"

// Wrap turns a Handler into an http.Handler. log gets the errors that the
// caller is not told.
func Wrap(log *slog.Logger, h Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		value, err := h(r)
		reply, ok := value.(*Reply)
		if !ok || reply == nil {
			reply = &Reply{Value: value}
			if ok {
				reply.Value = nil
			}
		}
		reply.writeHeaders(w.Header())
		if err != nil {
			logInternal(log, r, err)
			WriteError(w, err)
			return
		}
		if err := reply.write(w, r); err != nil {
			logInternal(log, r, err)
			WriteError(w, err)
		}
	})
}

func logInternal(log *slog.Logger, r *http.Request, err error) {
	if api.ErrorCode(err) == api.CodeInternal && r.Context().Err() == nil {
		log.Error("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
}

func (p *Reply) writeHeaders(h http.Header) {
	for name, values := range p.Header {
		h[name] = values
	}
	switch {
	case p.Meta != nil:
		// One slice for the values of three headers; each has its own end.
		values := [...]string{strconv.FormatUint(p.Meta.Index, 10), strconv.FormatBool(p.Meta.KnownLeader), strconv.FormatInt(p.Meta.LastContact.Milliseconds(), 10)}
		h[canonicalIndex], h[canonicalKnownLeader], h[canonicalLastContact] = values[0:1:1], values[1:2:2], values[2:3:3]
		if p.Meta.NextToken != "" {
			h.Set(HeaderNextToken, p.Meta.NextToken)
		}
	case p.Index != 0:
		h.Set(HeaderIndex, strconv.FormatUint(p.Index, 10))
	}
}

// write writes status and body. An error means that nothing was written; a
// failure later on ends the connection, so that half an answer never looks
// like a whole one.
func (p *Reply) write(w http.ResponseWriter, r *http.Request) error {
	status := p.Status
	if status == 0 {
		status = http.StatusOK
	}
	if p.Value == nil {
		w.WriteHeader(status)
		return nil
	}
	if p.ContentType == "" {
		p.ContentType = jsonType
		w.Header()["Content-Type"] = typeJSON
	} else {
		w.Header().Set("Content-Type", p.ContentType)
	}

	if s, ok := p.Value.(*shared); ok {
		if p.Value = s.value; p.ContentType == jsonType && !pretty(r) {
			return s.write(w, r, status)
		}
	}
	if a, ok := p.Value.(Array); ok && p.ContentType == jsonType && !pretty(r) {
		return a.serve(w, r, status)
	}
	out := newBody(w, r, status)
	defer out.release()
	if stream, ok := p.Value.(io.WriterTo); ok {
		if _, err := stream.WriteTo(indented(out, r, p.ContentType)); err != nil {
			panic(http.ErrAbortHandler)
		}
	} else {
		buf := bufPool.Get().(*bytes.Buffer)
		defer putBuf(buf)
		buf.Reset()
		if err := EncodeJSON(buf, p.Value); err != nil {
			w.Header().Del("Content-Type")
			return err
		}
		_, _ = indented(out, r, p.ContentType).Write(buf.Bytes())
	}
	if pretty(r) && p.ContentType == jsonType {
		_, _ = io.WriteString(out, "\n")
	}
	if err := out.close(); err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

// EncodeJSON appends v as JSON to buf as every answer does: HTML characters
// as they are and no newline at the end.
func EncodeJSON(buf *bytes.Buffer, v any) error {
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	buf.Truncate(buf.Len() - 1)
	return nil
}

// bufPool keeps encoding buffers. Those that grew past maxPooled are dropped,
// so that one big answer does not stay in memory.
var bufPool = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const maxPooled = 256 << 10

func putBuf(b *bytes.Buffer) {
	if b.Cap() <= maxPooled {
		bufPool.Put(b)
	}
}

// WriteError answers with an error: the code's status and the bare message.
// What carries no code is told in general terms only.
func WriteError(w http.ResponseWriter, err error) {
	status, text := ErrorText(err)
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Del("Content-Encoding")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// ErrorText returns the status and text that a caller is given for err.
func ErrorText(err error) (status int, text string) {
	var coded *api.Error
	switch {
	case errors.As(err, &coded):
		return coded.Code.Status(), err.Error()
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return api.CodeUnavailable.Status(), "the request was given up before it was answered; try again"
	}
	return http.StatusInternalServerError, "internal error; the agent's log at the time of this request tells the cause"
}
