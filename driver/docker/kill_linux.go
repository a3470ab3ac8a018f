package docker

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// killTree kills the process of an exec, its children, and whoever else is in
// its session. The Engine has no call for this; pid is as the Engine's host
// sees it, so this works where the agent sees the same processes.
func killTree(pid int, container string) error {
	cgroup, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if errors.Is(err, os.ErrNotExist) {
		return errors.New("the agent does not see the Engine's processes")
	}
	if err != nil {
		return err
	}
	if !strings.Contains(string(cgroup), container) {
		return fmt.Errorf("process %d is not one of the container", pid)
	}
	for {
		family, err := processFamily(pid)
		if err != nil {
			return err
		}
		killed := 0
		for _, member := range family {
			if syscall.Kill(member, syscall.SIGKILL) == nil {
				killed++
			}
		}
		if killed == 0 {
			return nil
		}
	}
}

// processFamily returns pid, its descendants and its session, without those
// that are dead already.
func processFamily(pid int) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	type process struct{ pid, parent, session int }
	var all []process
	for _, entry := range entries {
		id, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + entry.Name() + "/stat")
		if err != nil {
			continue
		}
		// pid (name) state parent group session …; the name may hold anything
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(fields) < 4 || fields[0] == "Z" || fields[0] == "X" {
			continue
		}
		parent, _ := strconv.Atoi(fields[1])
		session, _ := strconv.Atoi(fields[3])
		all = append(all, process{id, parent, session})
	}
	member := map[int]bool{pid: true}
	for grown := true; grown; {
		grown = false
		for _, p := range all {
			if !member[p.pid] && (member[p.parent] || p.session == pid) {
				member[p.pid], grown = true, true
			}
		}
	}
	var family []int
	for _, p := range all {
		if member[p.pid] {
			family = append(family, p.pid)
		}
	}
	return family, nil
}
