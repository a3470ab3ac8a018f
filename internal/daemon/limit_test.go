package daemon

import (
	"io"
	"net"
	"strings"
	"testing"
)

func TestConnectionsPerClientAreBounded(t *testing.T) {
	base, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := limitConns(base, 2)
	taken := make(chan net.Conn)
	go func() {
		defer close(taken)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			taken <- c
		}
	}()
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", base.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	dial()
	first := <-taken
	dial()
	<-taken
	answer, err := io.ReadAll(dial())
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 429") {
		t.Fatalf("the third got %q, %v", answer, err)
	}
	_ = first.Close()
	_ = first.Close() // gives one place back, not two
	dial()
	<-taken
	if answer, _ := io.ReadAll(dial()); !strings.HasPrefix(string(answer), "HTTP/1.1 429") {
		t.Fatalf("a place was given twice: %q", answer)
	}
	_ = l.Close()
	<-taken
}
