package gossip

import (
	"bytes"
	"context"
	"log"
	"log/slog"
)

// libraryLog makes the libraries' messages ours, a level lower: what matters
// of them is told as a change of membership.
func libraryLog(to *slog.Logger) *log.Logger {
	return log.New(lines{to.With("part", "gossip")}, "", 0)
}

type lines struct{ log *slog.Logger }

// Write takes one line, which names its level in brackets.
func (l lines) Write(p []byte) (int, error) {
	level, text := slog.LevelDebug, bytes.TrimSpace(p)
	if name, rest, ok := bytes.Cut(text, []byte("] ")); ok && bytes.HasPrefix(name, []byte("[")) {
		switch string(name[1:]) {
		case "ERR", "ERROR":
			level = slog.LevelWarn
		case "WARN":
			level = slog.LevelInfo
		}
		text = rest
	}
	l.log.Log(context.Background(), level, string(text))
	return len(p), nil
}
