package client

import (
	"context"
	"errors"
	"io"
	"net/url"
	"sync"

	"github.com/coder/websocket"

	"github.com/drover-org/drover/api"
)

const (
	forwardChunk      = 32 << 10 // bytes of a frame
	forwardFrameLimit = 1 << 20  // of one frame from the agent
)

// Forward connects conn to a port of an allocation, given by its label or
// number, and moves bytes until both directions have ended. A conn with a
// CloseWrite method learns of each direction's end by itself. Forward does not
// close conn.
func (a Allocs) Forward(ctx context.Context, alloc, port string, conn io.ReadWriter) error {
	ws, err := a.c.dial(ctx, nodeAllocPath(alloc, "port-forward"), url.Values{"port": {port}})
	if err != nil {
		return err
	}
	defer func() { _ = ws.CloseNow() }()
	ws.SetReadLimit(forwardFrameLimit)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var out sync.WaitGroup
	defer out.Wait()
	out.Go(func() {
		if err := forwardOut(ctx, ws, conn); err != nil {
			cancel()
		}
	})
	err = forwardIn(ctx, ws, conn)
	if c, ok := conn.(io.Closer); ok && err != nil {
		_ = c.Close() // the other direction may be blocked in it
	}
	return err
}

// forwardOut sends what conn says, and its end.
func forwardOut(ctx context.Context, ws *websocket.Conn, conn io.Reader) error {
	buf := make([]byte, forwardChunk)
	for {
		n, err := conn.Read(buf)
		if n > 0 {
			if err := ws.Write(ctx, websocket.MessageBinary, buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return ws.Write(ctx, websocket.MessageBinary, nil)
		}
		if err != nil {
			return err
		}
	}
}

// forwardIn writes what comes to conn. The agent closes normally when both
// directions have ended.
func forwardIn(ctx context.Context, ws *websocket.Conn, conn io.Writer) error {
	for {
		_, data, err := ws.Read(ctx)
		if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
			return nil
		}
		if err != nil {
			return closeError(ctx, err)
		}
		if len(data) > 0 {
			if _, err := conn.Write(data); err != nil {
				return api.Errorf(api.CodeUnavailable, "this end of the connection broke off: %w", err)
			}
			continue
		}
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite() // the reader may have gone already
		}
	}
}
