package link

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-org/drover/api"
)

func TestIdentitiesOverTheControlStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := w.node(NodeConfig{})
		if _, err := n.Identities(t.Context(), "a", "web"); api.ErrorCode(err) != api.CodeUnavailable {
			t.Errorf("without a stream: %v", err)
		}
		synctest.Wait()
		got, err := n.Identities(t.Context(), "a", "web")
		want := []*api.SignedIdentity{{Name: "default", Token: nodeID + "/a/web"}, {Name: "short", Token: "t", Expires: time.Unix(1000, 0)}}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
		if _, err := n.Identities(t.Context(), "foreign", "web"); api.ErrorCode(err) != api.CodeNotFound {
			t.Errorf("another node's allocation: %v", err)
		}

		// Answers find those who asked, in whatever order they come.
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() {
				task := fmt.Sprint("task", i)
				got, err := n.Identities(t.Context(), "a", task)
				if err != nil || got[0].Token != nodeID+"/a/"+task {
					t.Errorf("%s: %v, %v", task, got, err)
				}
			})
		}
		all.Wait()

		// Who gives up, or loses the stream, is not left waiting.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if _, err := n.Identities(ctx, "slow", "web"); err != context.DeadlineExceeded {
			t.Errorf("given up: %v", err)
		}
		cancel()
		done := make(chan error, 1)
		go func() {
			_, err := n.Identities(t.Context(), "slow", "web")
			done <- err
		}()
		synctest.Wait()
		w.cut()
		if err := <-done; api.ErrorCode(err) != api.CodeUnavailable {
			t.Errorf("the stream broke: %v", err)
		}
	})
}
