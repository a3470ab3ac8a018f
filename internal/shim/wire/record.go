package wire

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Names in a supervisor's directory.
const (
	SocketName = "sock"
	LockName   = "lock" // held by the supervisor for its life
	recordExt  = ".task"
)

// recordName makes a file name of a task ID, whatever is in it.
func recordName(id string) string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	for i := range len(id) {
		c := id[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String() + recordExt
}

// WriteRecord replaces the record of a task in dir. A start is written without
// waiting for the disk, since no task outlives a crash of the machine; an end
// is on disk when WriteRecord returns.
func WriteRecord(dir *os.File, t *TaskState) error {
	name := recordName(t.ID)
	tmp := name + ".tmp"
	fd, err := unix.Openat(int(dir.Fd()), tmp, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	b := t.Encode()
	for len(b) > 0 && err == nil {
		var n int
		n, err = unix.Write(fd, b)
		b = b[max(n, 0):]
	}
	if err == nil && t.Ended {
		err = unix.Fdatasync(fd)
	}
	if e := unix.Close(fd); err == nil {
		err = e
	}
	if err == nil {
		err = unix.Renameat(int(dir.Fd()), tmp, int(dir.Fd()), name)
	}
	if err == nil && t.Ended {
		err = unix.Fsync(int(dir.Fd()))
	}
	return err
}

// RemoveRecord forgets a task.
func RemoveRecord(dir *os.File, id string) error {
	err := unix.Unlinkat(int(dir.Fd()), recordName(id), 0)
	if err == unix.ENOENT {
		return nil
	}
	return err
}

// ReadRecords returns the records in a directory. One that can't be read is
// left out: its supervisor died before the task was announced to anybody.
func ReadRecords(dir string) ([]*TaskState, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []*TaskState
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), recordExt) {
			continue
		}
		b, err := os.ReadFile(dir + "/" + e.Name())
		if err != nil {
			return nil, err
		}
		if t, ok := DecodeTaskState(b); ok {
			list = append(list, t)
		}
	}
	return list, nil
}

// BootID tells one start of the machine from another.
func BootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
