// Package rotate writes the output of a task into files of bounded number and
// size, without splitting a line or following a link. The supervisor links it:
// neither fmt nor net.
package rotate

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Writer writes one stream of a task to files <prefix><n> in a directory. A
// line is never split over two files, unless it is longer than a file may be;
// so a file may exceed its size by the rest of one line. What can't be
// written is counted and dropped, so that a full disk never stops the task;
// when writing works again, a line in the log says how much is missing.
//
// It is used by one goroutine.
type Writer struct {
	dir    *os.File // the directory, held open: its path may be under the task's control
	prefix string
	files  int
	size   int64 // of a file

	fd      int   // current file, -1 before the first
	n       int   // its number
	written int64 // its length
	line    int64 // bytes of the unfinished line at its end
	dropped int64 // bytes lost since the last notice
	reason  error // of the loss

	write func(fd int, b []byte) (int, error) // unix.Write, or a test's full disk
}

// Open continues the stream in dir with its newest file, or makes the first,
// and removes files that are too many. Files are named prefix and a number; at
// most files of them are kept, and the next one is due after size bytes. The
// directory is the Writer's from now on, also when Open fails.
func Open(dir *os.File, prefix string, files int, size int64) (*Writer, error) {
	r := newWriter(dir, prefix, files, size)
	if err := r.open(); err != nil {
		_ = dir.Close()
		return nil, err
	}
	return r, nil
}

// Handover returns what Resume needs to go on in another process: the
// directory's descriptor and the length of the unfinished line. ok is false
// while output is missing that the log does not tell of yet.
func (r *Writer) Handover() (dir int, line int64, ok bool) {
	if r.dropped > 0 {
		r.notice()
	}
	return int(r.dir.Fd()), r.line, r.dropped == 0
}

// Resume is told of the unfinished line, after Open.
func (r *Writer) Resume(line int64) { r.line = line }

// Close closes the current file and the directory, after a last try to say
// what is missing.
func (r *Writer) Close() {
	if r.dropped > 0 {
		r.notice()
	}
	r.close()
	_ = r.dir.Close()
}

func newWriter(dir *os.File, prefix string, files int, size int64) *Writer {
	return &Writer{dir: dir, prefix: prefix, files: max(files, 1), size: max(size, 1), fd: -1, write: unix.Write}
}

// open continues with the newest file, or makes the first.
func (r *Writer) open() error {
	numbers, err := r.list()
	if err != nil {
		return err
	}
	last := 0
	for _, n := range numbers {
		last = max(last, n)
	}
	if err := r.use(last, false); err != nil {
		if errors.Is(err, unix.ENOSPC) {
			return nil // tried again with the first output
		}
		// Something that is no file of ours has the name: go past it.
		if err := r.use(last+1, true); err != nil {
			return err
		}
	}
	for _, n := range numbers {
		r.remove(n)
	}
	return nil
}

// list returns the numbers of the stream's files.
func (r *Writer) list() ([]int, error) {
	fd, err := unix.Openat(int(r.dir.Fd()), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	d := os.NewFile(uintptr(fd), ".")
	defer d.Close()
	names, err := d.Readdirnames(-1)
	var numbers []int
	for _, name := range names {
		if rest, ok := strings.CutPrefix(name, r.prefix); ok {
			if n, err := strconv.Atoi(rest); err == nil && n >= 0 && strconv.Itoa(n) == rest {
				numbers = append(numbers, n)
			}
		}
	}
	return numbers, err
}

// use makes file n the current one. It must be a regular file of one name, so
// that a task can't make its supervisor write elsewhere.
func (r *Writer) use(n int, create bool) error {
	flags := unix.O_WRONLY | unix.O_APPEND | unix.O_CREAT | unix.O_CLOEXEC | unix.O_NOFOLLOW | unix.O_NONBLOCK
	if create {
		flags |= unix.O_EXCL
	}
	fd, err := unix.Openat(int(r.dir.Fd()), r.prefix+strconv.Itoa(n), flags, 0o644)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && (st.Mode&unix.S_IFMT != unix.S_IFREG || st.Nlink != 1) {
		err = unix.EINVAL
	}
	if err != nil {
		_ = unix.Close(fd)
		return err
	}
	r.close()
	r.fd, r.n, r.written, r.line = fd, n, st.Size, 0
	return nil
}

// remove deletes file n if it is too old to keep.
func (r *Writer) remove(n int) {
	if n <= r.n-r.files {
		_ = unix.Unlinkat(int(r.dir.Fd()), r.prefix+strconv.Itoa(n), 0)
	}
}

func (r *Writer) rotate() error {
	next := r.n + 1
	err := r.use(next, true)
	if err == unix.EEXIST { // left by somebody else
		_ = unix.Unlinkat(int(r.dir.Fd()), r.prefix+strconv.Itoa(next), 0)
		err = r.use(next, true)
	}
	if err == nil {
		r.remove(r.n - r.files)
	}
	return err
}

func (r *Writer) close() {
	if r.fd >= 0 {
		_ = unix.Close(r.fd)
		r.fd = -1
	}
}

// Put writes b, all of which is consumed in any case.
func (r *Writer) Put(b []byte) {
	if r.dropped > 0 && !r.notice() {
		r.drop(b, r.reason)
		return
	}
	for len(b) > 0 {
		n := r.fits(b)
		if n == 0 || r.fd < 0 {
			if err := r.advance(); err != nil {
				r.drop(b, err)
				return
			}
			continue
		}
		if err := r.append(b[:n]); err != nil {
			r.drop(b[n:], err)
			return
		}
		b = b[n:]
	}
}

// fits returns how much of b goes to the current file; 0 means that the next
// file is due.
func (r *Writer) fits(b []byte) int {
	room := r.size - r.written
	if int64(len(b)) <= room {
		return len(b)
	}
	if room > 0 {
		if i := bytes.LastIndexByte(b[:room], '\n'); i >= 0 {
			return i + 1
		}
	}
	if r.line == 0 && r.written > 0 {
		return 0 // at the start of a line
	}
	// In the middle of a line: finish it here, unless it is too long for any
	// file.
	limit := r.size - r.line
	if i := bytes.IndexByte(b, '\n'); i >= 0 && int64(i) < limit {
		return i + 1
	}
	return int(min(max(limit, 0), int64(len(b))))
}

func (r *Writer) advance() error {
	if r.fd < 0 {
		return r.open()
	}
	return r.rotate()
}

// append writes b to the current file and counts as dropped what the disk did
// not take.
func (r *Writer) append(b []byte) error {
	for len(b) > 0 {
		n, err := r.write(r.fd, b)
		n = max(n, 0)
		r.written += int64(n)
		if i := bytes.LastIndexByte(b[:n], '\n'); i >= 0 {
			r.line = int64(n - i - 1)
		} else {
			r.line += int64(n)
		}
		b = b[n:]
		if err != nil && err != unix.EINTR {
			r.drop(b, err)
			return err
		}
	}
	return nil
}

func (r *Writer) drop(b []byte, err error) {
	r.dropped += int64(len(b))
	r.reason = err
}

// notice writes how much was lost, and reports whether it could.
func (r *Writer) notice() bool {
	if r.fd < 0 {
		if err := r.open(); err != nil || r.fd < 0 {
			return false
		}
	}
	text := "[drover: " + strconv.FormatInt(r.dropped, 10) + " bytes of output lost: " + r.reason.Error() + "]\n"
	if r.line > 0 {
		text = "\n" + text
	}
	lost := r.dropped
	n, err := r.write(r.fd, []byte(text))
	if err != nil || n < len(text) {
		if n > 0 { // a torn notice: end it with the next
			r.written += int64(n)
			r.line += int64(n)
		}
		return false
	}
	r.written += int64(n)
	r.line, r.dropped = 0, r.dropped-lost
	return true
}
