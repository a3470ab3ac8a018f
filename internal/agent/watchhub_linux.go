package agent

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// watchHub tells followers of changes in directories. All of an agent share
// one inotify instance, of which the kernel grants a user few.
type watchHub struct {
	file *os.File
	fd   int

	mu      sync.Mutex // guards watches
	watches map[int32]map[*fileWatch]bool
}

// fileWatch is one follower's watch of a directory.
type fileWatch struct {
	hub *watchHub
	wd  int32
	c   chan struct{} // of size 1
}

const watchedEvents = unix.IN_MODIFY | unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_DELETE_SELF | unix.IN_ONLYDIR

func newWatchHub() (*watchHub, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("inotify: %w", err)
	}
	return &watchHub{file: os.NewFile(uintptr(fd), "inotify"), fd: fd, watches: map[int32]map[*fileWatch]bool{}}, nil
}

// run reads events until close.
func (h *watchHub) run() {
	buf := make([]byte, 16<<10)
	for {
		n, err := h.file.Read(buf)
		if err != nil {
			return
		}
		for b := buf[:n]; len(b) >= unix.SizeofInotifyEvent; {
			wd, mask := int32(binary.NativeEndian.Uint32(b)), binary.NativeEndian.Uint32(b[4:])
			h.tell(wd, mask)
			b = b[min(len(b), unix.SizeofInotifyEvent+int(binary.NativeEndian.Uint32(b[12:]))):]
		}
	}
}

func (h *watchHub) tell(wd int32, mask uint32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if mask&unix.IN_Q_OVERFLOW != 0 { // events were lost: everybody looks
		for _, set := range h.watches {
			for w := range set {
				w.ring()
			}
		}
		return
	}
	for w := range h.watches[wd] {
		w.ring()
	}
	if mask&unix.IN_IGNORED != 0 {
		delete(h.watches, wd)
	}
}

func (w *fileWatch) ring() {
	select {
	case w.c <- struct{}{}:
	default:
	}
}

func (h *watchHub) close() { _ = h.file.Close() }

// add watches an open directory. The path behind it is not looked up again.
func (h *watchHub) add(dir *os.File) (*fileWatch, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	wd, err := unix.InotifyAddWatch(h.fd, fmt.Sprintf("/proc/self/fd/%d", dir.Fd()), watchedEvents)
	if err != nil {
		return nil, fmt.Errorf("inotify: %w", err)
	}
	w := &fileWatch{hub: h, wd: int32(wd), c: make(chan struct{}, 1)}
	if h.watches[w.wd] == nil {
		h.watches[w.wd] = map[*fileWatch]bool{}
	}
	h.watches[w.wd][w] = true
	return w, nil
}

// close ends the watch.
func (w *fileWatch) close() {
	h := w.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	set := h.watches[w.wd]
	delete(set, w)
	if set != nil && len(set) == 0 {
		delete(h.watches, w.wd)
		_, _ = unix.InotifyRmWatch(h.fd, uint32(w.wd))
	}
}
