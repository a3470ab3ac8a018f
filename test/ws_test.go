package test

import (
	"context"
	"fmt"
	"strings"

	"github.com/coder/websocket"
	"github.com/rogpeppe/go-internal/testscript"
)

const maxFrame = 4 << 20 // bytes

// cmdWS speaks the exec protocol frame by frame, as the API describes it.
func cmdWS(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, len(args) == 2, "[!] ws PATH FILE")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, ts.Getenv("NOMAD_ADDR")+args[0], nil)
	ts.Check(err)
	defer conn.CloseNow()
	conn.SetReadLimit(maxFrame)
	for _, line := range strings.Split(strings.TrimSpace(ts.ReadFile(args[1])), "\n") {
		if err := conn.Write(ctx, websocket.MessageText, []byte(line)); err != nil {
			break // what was sent back tells why
		}
	}
	for {
		_, text, err := conn.Read(ctx)
		if err != nil {
			code := websocket.CloseStatus(err)
			_, _ = fmt.Fprintf(ts.Stderr(), "closed with %d: %v\n", code, err)
			refused := code == websocket.StatusPolicyViolation || code == websocket.StatusInternalError || code == websocket.StatusInvalidFramePayloadData
			if refused != neg {
				ts.Fatalf("the websocket was closed with %d: %v", code, err)
			}
			return
		}
		_, _ = fmt.Fprintf(ts.Stdout(), "%s\n", text)
	}
}
