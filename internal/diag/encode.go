package diag

import (
	"bytes"
	"context"
	"log/slog"
	"strconv"
	"strings"
	"unicode"
)

// Options say what a reader is shown, and how.
type Options struct {
	Level  slog.Level // and above
	JSON   bool       // an object per line instead of text
	Source bool       // where in the program each line comes from
}

// encoder makes a line of a record, with its end.
type encoder func(ctx context.Context, with []func(slog.Handler) slog.Handler, rec slog.Record) []byte

func (o Options) encoder() encoder {
	opts := &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: o.Source}
	if o.JSON {
		return func(ctx context.Context, with []func(slog.Handler) slog.Handler, rec slog.Record) []byte {
			var line bytes.Buffer
			handle(ctx, slog.NewJSONHandler(&line, opts), with, rec)
			return line.Bytes()
		}
	}
	// Text is in the form that readers of this stream know: a time, the level
	// in brackets and the message stand before the attributes.
	opts.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
			return slog.Attr{}
		}
		return a
	}
	return func(ctx context.Context, with []func(slog.Handler) slog.Handler, rec slog.Record) []byte {
		var line bytes.Buffer
		line.WriteString(rec.Time.UTC().Format("2006-01-02T15:04:05.000Z") + " [" + rec.Level.String() + "] " + oneLine(rec.Message))
		head := line.Len()
		line.WriteString(": ")
		handle(ctx, slog.NewTextHandler(&line, opts), with, rec)
		text := line.Bytes()
		if len(text) == head+len(": \n") { // no attributes
			text = append(text[:head], '\n')
		}
		return text
	}
}

func handle(ctx context.Context, h slog.Handler, with []func(slog.Handler) slog.Handler, rec slog.Record) {
	for _, w := range with {
		h = w(h)
	}
	_ = h.Handle(ctx, rec) // a buffer takes all
}

// oneLine quotes a message that would not stay on its line or acts on a
// terminal.
func oneLine(s string) string {
	if strings.ContainsFunc(s, unicode.IsControl) {
		return strconv.Quote(s)
	}
	return s
}
