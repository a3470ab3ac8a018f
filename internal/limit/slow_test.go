package limit

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// soon is a Stall that passes while a test runs. No test asks how long
// anything took: what must happen is waited for, and what must not happen has
// its chance while something else of the same Stall does.
const soon = 50 * time.Millisecond

// slowServer serves next as the agent does, on a socket whose buffers are
// small.
type slowServer struct {
	t       *testing.T
	addr    string
	limiter *Limiter
	refused *Refusals
	stalled chan string
}

func newSlowServer(t *testing.T, next http.HandlerFunc) *slowServer {
	s := &slowServer{t: t, refused: quiet(), stalled: make(chan string, 100)}
	s.limiter = New(Config{Now: time.Now, Stall: soon, Refusals: s.refused})
	base, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = base.Addr().String()
	l := Conns(base, ConnsConfig{Stall: soon, Refused: func(string) {}, Stalled: func(remote string) { s.stalled <- remote }})
	srv := &http.Server{Handler: s.limiter.Handler(next), ConnState: func(c net.Conn, state http.ConnState) {
		if l := Of(c); l != nil && state == http.StateActive {
			l.Began()
		}
	}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l)
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	return s
}

// send opens a connection and sends a request, or the beginning of one.
func (s *slowServer) send(text string) *net.TCPConn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	conn := c.(*net.TCPConn)
	if _, err := io.WriteString(conn, text); err != nil {
		s.t.Fatal(err)
	}
	return conn
}

func (s *slowServer) answer(conn net.Conn) (status int, body []byte, err error) {
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

const get = "GET %s HTTP/1.1\r\nHost: x\r\n\r\n"

// large does not fit into what the system keeps for a connection.
var large = bytes.Repeat([]byte("0123456789abcdef"), 1<<20)

func TestReadersThatTakeNothingAreCutAndOthersAnswered(t *testing.T) {
	var begun atomic.Int32
	s := newSlowServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/status/leader" {
			_, _ = io.WriteString(w, "small")
			return
		}
		begun.Add(1)
		_, _ = w.Write(large)
	})
	// A stream whose reader takes a break, before the others come.
	stream := s.send(fmt.Sprintf(get, "/v1/client/fs/logs/x?follow=true"))
	for begun.Load() == 0 {
		if t.Context().Err() != nil {
			t.Fatal("the stream did not begin")
		}
	}
	var slow []net.Conn
	for range 5 {
		slow = append(slow, s.send(fmt.Sprintf(get, "/v1/allocations")))
	}
	// Others are answered meanwhile.
	if status, body, err := s.answer(s.send(fmt.Sprintf(get, "/v1/status/leader"))); status != 200 || string(body) != "small" || err != nil {
		t.Fatal(status, len(body), err)
	}
	cut := map[string]bool{}
	for range slow {
		cut[<-s.stalled] = true
	}
	for _, c := range slow {
		if !cut[c.LocalAddr().String()] {
			t.Error("a reader that took nothing was not cut")
		}
		if _, body, err := s.answer(c); err == nil {
			t.Errorf("an answer that was cut looks whole, %d bytes", len(body))
		}
	}
	if status, body, err := s.answer(stream); status != 200 || len(body) != len(large) || err != nil {
		t.Errorf("the stream was cut: %d, %d bytes, %v", status, len(body), err)
	}
}

// Answers that fit are not waited for, but a caller who sends requests and
// reads none of the answers fills the connection all the same.
func TestPipelinedRequestsOfAReaderThatTakesNothing(t *testing.T) {
	s := newSlowServer(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(large[:32<<10]) })
	conn := s.send("")
	go func() { // until it is cut
		for {
			if _, err := io.WriteString(conn, fmt.Sprintf(get, "/v1/jobs")); err != nil {
				return
			}
		}
	}()
	<-s.stalled
}

func TestBodiesThatDoNotComeAreGivenUpAndOthersServed(t *testing.T) {
	proceed := make(chan struct{})
	s := newSlowServer(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if strings.HasPrefix(r.URL.Path, "/wait") {
			<-proceed
			if err := r.Context().Err(); err != nil {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}
	})
	// A request that came in whole and takes its time with the answer.
	waiting := s.send("PUT /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
	chunked := s.send("PUT /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n")
	late := s.send("PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
	for _, c := range []net.Conn{late, chunked} {
		if status, _, err := s.answer(c); status != http.StatusBadRequest || err != nil {
			t.Errorf("a body that never came: %d, %v", status, err)
		}
	}
	if n := s.refused.Count(SlowBody); n != 2 {
		t.Errorf("%d are counted", n)
	}
	if status, _, err := s.answer(s.send("PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")); status != 200 || err != nil {
		t.Errorf("another was not served: %d, %v", status, err)
	}
	close(proceed)
	if status, _, err := s.answer(waiting); status != 200 || err != nil {
		t.Errorf("a request that had come in whole was given up: %d, %v", status, err)
	}
}

// A handler that does not want the body does not wait for it either.
func TestBodiesThatNobodyReadsAreNotWaitedFor(t *testing.T) {
	s := newSlowServer(t, func(http.ResponseWriter, *http.Request) {})
	conn := s.send("PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
	if _, err := io.ReadAll(conn); err != nil { // until the server hangs up
		t.Log(err)
	}
}
