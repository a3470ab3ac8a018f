package agent

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/internal/agent/allocdir"
	"github.com/drover-org/drover/internal/agent/task"
	"github.com/drover-org/drover/internal/web"
)

// logsDir is where log files are within an allocation.
const logsDir = allocdir.SharedName + "/" + allocdir.LogsName

// streamLogs streams one output of a task over all of its files.
func (a *Agent) streamLogs(w http.ResponseWriter, r *http.Request) {
	if err := a.logs(w, r); err != nil {
		web.WriteError(w, err)
	}
}

// logs returns an error only before anything was written.
func (a *Agent) logs(w http.ResponseWriter, r *http.Request) error {
	run, missing := a.find(r.PathValue("id"))
	kept, keptDir := a.retained.find(r.PathValue("id"))
	if missing != nil && kept == nil {
		return missing
	}
	q := web.ParamsOf(r)
	name, kind, plain := q.String("task"), q.String("type"), q.Bool("plain", false)
	var where span
	if err := where.parse(q, false); err != nil {
		return err
	}
	if err := where.parseFrom(q); err != nil {
		return err
	}
	switch {
	case name == "":
		return api.Errorf(api.CodeInvalid, `must provide task name: query parameter "task"`)
	case kind != "stdout" && kind != "stderr":
		return api.Errorf(api.CodeInvalid, `must provide log type (stdout/stderr): query parameter "type" is %q`, kind)
	}
	if missing != nil {
		return a.keptLogs(w, r, kept, &logSet{dir: keptDir, prefix: name + "." + kind + "."}, where, plain)
	}
	t, err := run.lookUp(name)
	if err != nil {
		return err
	}
	set := &logSet{dir: run.dir, prefix: name + "." + kind + "."}
	files, err := set.list()
	if err != nil {
		return err
	}
	if len(files) == 0 && !(where.follow && t.State().State != api.TaskStateDead) {
		if s := t.State(); s.StartedAt.IsZero() && s.State != api.TaskStateDead {
			return api.Errorf(api.CodeNotFound, "task %q not started yet. No logs available", name)
		}
		return api.Errorf(api.CodeNotFound, "log entry for task %q and log type %q not found", name, kind)
	}
	st, err := a.newStream(w, r, run, logsDir, where.follow, plain)
	if err != nil {
		return err
	}
	defer st.close()
	defer set.close()
	// Listed again, since files may have come before the watch began.
	if files, err = set.list(); err != nil {
		return err
	}
	set.seek(files, where)
	st.startLogs(set)
	st.logs(set, t)
	return nil
}

// keptLogs streams logs that outlived their allocation's directory.
func (a *Agent) keptLogs(w http.ResponseWriter, r *http.Request, kept *retainedLogs, set *logSet, where span, plain bool) error {
	task := web.ParamsOf(r).String("task")
	if !slices.Contains(kept.Tasks, task) {
		return api.Errorf(api.CodeInvalid, "unknown task name %q: allocation %s had %s", task, kept.ID, strings.Join(kept.Tasks, ", "))
	}
	files, err := set.list()
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return api.Errorf(api.CodeNotFound, "log entry for task %q and log type %q not found", task, web.ParamsOf(r).String("type"))
	}
	st, err := a.newStream(w, r, nil, logsDir, false, plain)
	if err != nil {
		return err
	}
	defer st.close()
	defer set.close()
	set.seek(files, where)
	for st.startLogs(set); ; {
		if n, err := set.read(st.buf[:]); n == 0 || err != nil || !st.piece(set, n) {
			return nil
		}
	}
}

// startLogs sends the head of the answer with the place where it begins.
func (st *stream) startLogs(set *logSet) {
	st.w.Header().Set(api.HeaderLogStart, fmt.Sprintf("%d:%d", set.index, set.pos))
	st.start()
}

// piece sends the n bytes that the set has just read, and before them that
// something is missing if it is.
func (st *stream) piece(set *logSet, n int) bool {
	if set.missing != "" && !st.event(set.missing, api.FileDeleted) {
		return false
	}
	set.missing = ""
	return st.data(set.offset-int64(n), set.name(), st.buf[:n])
}

// logs sends the set from its position on. Following ends when the task is
// dead and everything was sent.
func (st *stream) logs(set *logSet, t *task.Task) {
	for {
		changed := st.run.watch() // before the look at the task and the files
		last := t.State().State == api.TaskStateDead || st.run.terminal()
		n, err := set.read(st.buf[:])
		if n > 0 {
			if !st.piece(set, n) {
				return
			}
			continue
		}
		if err != nil || !st.follow || last || !st.wait(changed) {
			return
		}
	}
}

// logSet reads the files <task>.<type>.<n> of one output as one. Writers end a
// file before they begin the next, and remove the oldest ones.
type logSet struct {
	dir    *allocdir.Dir
	prefix string
	index  int      // of the open file, or of the first to come
	file   *os.File // nil: none is open
	pos    int64    // in the file
	offset int64    // over all files there were at the begin
	final  bool     // a later file exists: nothing is added to this one any more

	missing string // the file that was removed before it was read to its end; empty: none, or it is told
}

type logFile struct {
	index int
	size  int64
}

// list returns the files there are, by index.
func (s *logSet) list() ([]logFile, error) {
	infos, err := s.dir.List(logsDir)
	if err != nil && !api.IsNotFound(err) {
		return nil, err
	}
	var files []logFile
	for _, info := range infos {
		suffix, ok := strings.CutPrefix(info.Name, s.prefix)
		if !ok || info.IsDir {
			continue
		}
		if n, err := strconv.Atoi(suffix); err == nil && n >= 0 && strconv.Itoa(n) == suffix {
			files = append(files, logFile{n, info.Size})
		}
	}
	slices.SortFunc(files, func(a, b logFile) int { return a.index - b.index })
	return files, nil
}

// seek goes to where a request wants to begin.
func (s *logSet) seek(files []logFile, where span) {
	var size int64
	if where.from != nil {
		s.index, s.pos = where.from.index, where.from.pos
		for _, f := range files {
			if f.index < s.index {
				s.offset += f.size
			}
		}
		s.offset += s.pos
		return
	}
	for _, f := range files {
		size += f.size
	}
	s.offset = where.begin(size)
	s.pos = s.offset
	for i, f := range files {
		s.index = f.index
		if s.pos <= f.size || i == len(files)-1 {
			break
		}
		s.pos -= f.size
	}
}

func (s *logSet) name() string { return logsDir + "/" + s.prefix + strconv.Itoa(s.index) }

func (s *logSet) close() {
	if s.file != nil {
		_ = s.file.Close()
		s.file = nil
	}
}

// read reads what comes next, over the ends of files. It returns 0 when there
// is nothing more for now.
func (s *logSet) read(p []byte) (int, error) {
	for {
		if s.file == nil {
			found, err := s.open()
			if err != nil || !found {
				return 0, err
			}
		}
		n, err := s.file.ReadAt(p, s.pos)
		if n > 0 {
			s.pos += int64(n)
			s.offset += int64(n)
			return n, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if s.final {
			s.close()
			s.index, s.pos, s.final = s.index+1, 0, false
			continue
		}
		files, err := s.list()
		if err != nil {
			return 0, err
		}
		// A later file means that this one is complete. It was perhaps not yet
		// when it was read above: once more.
		if s.final = len(files) > 0 && files[len(files)-1].index > s.index; !s.final {
			return 0, nil
		}
	}
}

// open opens the file at the index or, where that was removed, the next.
func (s *logSet) open() (bool, error) {
	for {
		files, err := s.list()
		if err != nil {
			return false, err
		}
		i := slices.IndexFunc(files, func(f logFile) bool { return f.index >= s.index })
		if i < 0 {
			return false, nil
		}
		if files[i].index != s.index {
			s.missing = s.name()
			s.index, s.pos = files[i].index, 0
		}
		f, err := s.dir.Open(s.name())
		if api.IsNotFound(err) {
			continue // removed since
		}
		if err != nil {
			return false, err
		}
		s.file = f
		return true, nil
	}
}
