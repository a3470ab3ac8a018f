package agent

import (
	"errors"
	"io"
	"math"
	"mime"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/web"
)

func (a *Agent) listFiles(r *http.Request) (any, error) {
	run, err := a.find(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	name := web.ParamsOf(r).String("path")
	if name == "" {
		name = "/"
	}
	return run.dir.List(name)
}

func (a *Agent) statFile(r *http.Request) (any, error) {
	run, err := a.find(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	name, err := pathParam(r)
	if err != nil {
		return nil, err
	}
	info, err := run.dir.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir {
		info.ContentType = contentType(name, nil)
		if f, err := run.dir.Open(name); err == nil {
			info.ContentType = sniff(name, f)
			_ = f.Close()
		}
	}
	return info, nil
}

func pathParam(r *http.Request) (string, error) {
	name := web.ParamsOf(r).String("path")
	if name == "" {
		return "", api.Errorf(api.CodeInvalid, `must provide a file name: query parameter "path"`)
	}
	return name, nil
}

// contentType goes by the name, and if that tells nothing by the first bytes.
func contentType(name string, head []byte) string {
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return http.DetectContentType(head)
}

func sniff(name string, f io.ReaderAt) string {
	var head [512]byte
	n, _ := f.ReadAt(head[:], 0)
	return contentType(name, head[:n])
}

func (a *Agent) catFile(w http.ResponseWriter, r *http.Request) { a.sendFile(w, r, 0, math.MaxInt64) }

func (a *Agent) readFile(w http.ResponseWriter, r *http.Request) {
	q := web.ParamsOf(r)
	q.Required("offset")
	offset := q.Int("offset", 0, 0, math.MaxInt64)
	limit := q.Int("limit", 0, 0, math.MaxInt64)
	if err := q.Err(); err != nil {
		web.WriteError(w, err)
		return
	}
	if limit == 0 {
		limit = math.MaxInt64
	}
	a.sendFile(w, r, offset, limit)
}

// sendFile answers with a part of a file as it is now. What a task wrote must
// not run in a browser in our name, so pages are shown as text.
func (a *Agent) sendFile(w http.ResponseWriter, r *http.Request, offset, limit int64) {
	f, name, err := a.openFile(r)
	if err != nil {
		web.WriteError(w, err)
		return
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err == nil {
		offset = min(offset, info.Size())
		_, err = f.Seek(offset, io.SeekStart)
	}
	if err != nil {
		web.WriteError(w, err)
		return
	}
	kind := inert(sniff(name, f))
	n := min(limit, info.Size()-offset)
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Security-Policy", "sandbox")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.FormatInt(n, 10))
	if _, err := io.CopyN(w, f, n); err != nil {
		panic(http.ErrAbortHandler) // half a file must not look like a whole one
	}
}

// inert returns a content type that no browser runs: the file's own where that
// is known to be harmless, else that of plain text or of bytes.
func inert(kind string) string {
	whole, _, _ := strings.Cut(kind, ";")
	class, _, _ := strings.Cut(whole, "/")
	switch {
	case whole == "text/plain", whole == "application/json", class == "audio", class == "video", class == "image" && !strings.Contains(whole, "xml"):
		return kind
	case class == "text", strings.Contains(whole, "xml"), strings.Contains(whole, "javascript"):
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}

// openFile opens the file that a request names.
func (a *Agent) openFile(r *http.Request) (*os.File, string, error) {
	run, err := a.find(r.PathValue("id"))
	if err != nil {
		return nil, "", err
	}
	name, err := pathParam(r)
	if err != nil {
		return nil, "", err
	}
	f, err := run.dir.Open(name)
	return f, name, err
}

// span is what a request for a stream says about where to begin and end.
type span struct {
	follow  bool
	offset  int64
	fromEnd bool
	from    *place // only of logs: instead of an offset
}

// place is a place in a log that stays the same when old files are removed.
type place struct {
	index int // of the file
	pos   int64
}

func (s *span) parse(q *web.Params, follow bool) error {
	s.follow = q.Bool("follow", follow)
	s.offset = q.Int("offset", 0, 0, math.MaxInt64)
	switch origin := q.String("origin"); origin {
	case "", "start":
	case "end":
		s.fromEnd = true
	default:
		return api.Errorf(api.CodeInvalid, "origin must be start or end, not %q", origin)
	}
	return q.Err()
}

// parseFrom reads the place from which a log is read on.
func (s *span) parseFrom(q *web.Params) error {
	from := q.String("from")
	if from == "" {
		return nil
	}
	if s.offset != 0 || s.fromEnd {
		return api.Errorf(api.CodeInvalid, "from goes without offset and origin: it is a place of its own")
	}
	file, pos, _ := strings.Cut(from, ":")
	index, err1 := strconv.ParseUint(file, 10, 31)
	at, err2 := strconv.ParseUint(pos, 10, 63)
	if err1 != nil || err2 != nil {
		return api.Errorf(api.CodeInvalid, "from must be <number of the file>:<byte in it>, as %s was, not %q", api.HeaderLogStart, from)
	}
	s.from = &place{int(index), int64(at)}
	return nil
}

// begin returns where in size bytes the stream begins.
func (s *span) begin(size int64) int64 {
	if s.fromEnd {
		return max(0, size-s.offset)
	}
	return s.offset
}

// streamFile streams a file in frames.
func (a *Agent) streamFile(w http.ResponseWriter, r *http.Request) {
	var where span
	err := where.parse(web.ParamsOf(r), true)
	var f *os.File
	var name string
	if err == nil {
		f, name, err = a.openFile(r)
	}
	if err != nil {
		web.WriteError(w, err)
		return
	}
	defer func() { _ = f.Close() }()
	run, err := a.find(r.PathValue("id"))
	if err != nil {
		web.WriteError(w, err)
		return
	}
	st, err := a.newStream(w, r, run, path.Dir("/"+name), where.follow, false)
	if err != nil {
		web.WriteError(w, err)
		return
	}
	defer st.close()
	info, err := f.Stat()
	if err != nil {
		web.WriteError(w, err)
		return
	}
	st.file(f, name, where.begin(info.Size()))
}

// file sends f from pos on, and follows it until it is deleted, the
// allocation has ended, or the caller leaves.
func (st *stream) file(f *os.File, name string, pos int64) {
	for st.start(); ; {
		changed, last := st.run.watch(), st.run.terminal()
		n, err := f.ReadAt(st.buf[:], pos)
		if n > 0 {
			if !st.data(pos, name, st.buf[:n]) {
				return
			}
			pos += int64(n)
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) || !st.follow {
			return
		}
		switch info, err := f.Stat(); {
		case err != nil:
			return
		case info.Size() < pos:
			pos = 0
			if !st.event(name, api.FileTruncated) {
				return
			}
			continue
		case !st.sameFile(name, info):
			st.event(name, api.FileDeleted)
			return
		}
		if last || !st.wait(changed) {
			return
		}
	}
}

// sameFile reports whether the name still leads to the open file.
func (st *stream) sameFile(name string, open os.FileInfo) bool {
	f, err := st.run.dir.Open(name)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	return err == nil && os.SameFile(info, open)
}
