package diag

import (
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/config"
	"github.com/drover-org/drover/internal/web"
)

const (
	heartbeatInterval = 10 * time.Second // proxies cut what is silent for longer
	writeTimeout      = 40 * time.Second // for one write: then the reader is gone, or as good as
	maxFrameData      = 64 << 10
)

// Monitor serves the log from now on, until the caller has gone or the
// request's context ends: JSON frames one after the other, or with plain the
// lines as they are. Nothing is missed after the head of the answer has been
// sent.
func (t *Tee) Monitor(w http.ResponseWriter, r *http.Request) {
	q := web.ParamsOf(r)
	plain := q.Bool("plain", false)
	o, err := options(q)
	if err != nil {
		web.WriteError(w, err)
		return
	}
	reader := t.Listen(o)
	if reader == nil {
		web.WriteError(w, api.Errorf(api.CodeLimited, "too many read this agent's log (%d); end one or try again later", maxReaders))
		return
	}
	defer reader.Close()
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if plain {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache")
	out := &frames{w: w, control: http.NewResponseController(w), plain: plain}
	w.WriteHeader(http.StatusOK)
	if out.control.Flush() != nil {
		return
	}
	beat := time.NewTicker(heartbeatInterval)
	defer beat.Stop()
	var text []byte
	for {
		select {
		case <-r.Context().Done():
			return
		case <-reader.News():
			if text = reader.Take(text); out.text(text) != nil {
				return
			}
		case <-beat.C:
			if !plain && out.send([]byte("{}")) != nil {
				return
			}
		}
	}
}

// options reads what a caller wants to see.
func options(q *web.Params) (Options, error) {
	o := Options{Level: slog.LevelInfo, JSON: q.Bool("log_json", false), Source: q.Bool("log_include_location", false)}
	if err := q.Err(); err != nil {
		return o, err
	}
	if level := q.String("log_level"); level != "" {
		var err error
		if o.Level, err = config.ParseLevel(level); err != nil {
			return o, api.Errorf(api.CodeInvalid, "query parameter \"log_level\": Unknown log level: %w", err)
		}
	}
	return o, nil
}

// frames writes the answer.
type frames struct {
	w       http.ResponseWriter
	control *http.ResponseController
	plain   bool
	buf     []byte
}

func (f *frames) text(text []byte) error {
	if f.plain {
		return f.send(text)
	}
	for piece := range slices.Chunk(text, maxFrameData) {
		f.buf = append(f.buf[:0], `{"Data":"`...)
		f.buf = base64.StdEncoding.AppendEncode(f.buf, piece)
		f.buf = append(f.buf, `"}`...)
		if err := f.send(f.buf); err != nil {
			return err
		}
	}
	return nil
}

func (f *frames) send(b []byte) error {
	if err := f.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := f.w.Write(b); err != nil {
		return err
	}
	return f.control.Flush()
}
