//go:build linux

package agent

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// TestWatchHub lets two followers watch one directory; when one leaves, the
// other is still told, and when both did, the kernel's watch is gone.
func TestWatchHub(t *testing.T) {
	hub, err := newWatchHub()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(hub.run)
	t.Cleanup(func() { hub.close(); wg.Wait() })
	path := t.TempDir()
	dir, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	a, err := hub.add(dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := hub.add(dir)
	if err != nil {
		t.Fatal(err)
	}
	_ = dir.Close()
	told := func(w *fileWatch, what string) {
		t.Helper()
		select {
		case <-w.c:
		case <-time.After(10 * time.Second):
			t.Errorf("not told of %s", what)
		}
	}
	name := filepath.Join(path, "file")
	if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	told(a, "a new file")
	told(b, "a new file")
	a.close()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	told(b, "a removed file")
	b.close()
	hub.mu.Lock()
	defer hub.mu.Unlock()
	if len(hub.watches) != 0 {
		t.Errorf("%d watches are left", len(hub.watches))
	}
}
