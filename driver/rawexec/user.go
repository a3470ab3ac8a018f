package rawexec

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"

	"github.com/drover-org/drover/internal/shim"
)

// identity returns who a task runs as, nil for the agent's own user. name is a
// user's name or number, with a group after a colon if it isn't the user's own.
func (d *Driver) identity(name string) (*shim.User, error) {
	if name == "" {
		return nil, d.allowed(uint32(os.Geteuid()), []uint32{uint32(os.Getegid())})
	}
	userName, groupName, hasGroup := strings.Cut(name, ":")
	u, err := findUser(userName)
	if err != nil {
		return nil, fmt.Errorf("user %q: %w", name, err)
	}
	if hasGroup {
		if u.GID, err = findGroup(groupName); err != nil {
			return nil, fmt.Errorf("user %q: %w", name, err)
		}
	}
	if err := d.allowed(u.UID, append([]uint32{u.GID}, u.Groups...)); err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 {
		if u.UID != uint32(os.Geteuid()) || hasGroup && u.GID != uint32(os.Getegid()) {
			return nil, fmt.Errorf("user %q: the agent does not run as root, so its tasks can only run as its own user", name)
		}
		return nil, nil
	}
	return u, nil
}

func (d *Driver) allowed(uid uint32, gids []uint32) error {
	if contains(d.deniedUIDs, uid) {
		return fmt.Errorf("user ID %d is denied by denied_host_uids", uid)
	}
	for _, gid := range gids {
		if contains(d.deniedGIDs, gid) {
			return fmt.Errorf("group ID %d is denied by denied_host_gids", gid)
		}
	}
	return nil
}

func findUser(name string) (*shim.User, error) {
	u, err := user.Lookup(name)
	if err != nil {
		id, numErr := strconv.ParseUint(name, 10, 32)
		if numErr != nil {
			return nil, err
		}
		if u, err = user.LookupId(name); err != nil { // a number needs no entry
			return &shim.User{UID: uint32(id), GID: uint32(id)}, nil
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	found := &shim.User{UID: uint32(uid), GID: uint32(gid)}
	groups, err := u.GroupIds()
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		if id, err := strconv.ParseUint(g, 10, 32); err == nil {
			found.Groups = append(found.Groups, uint32(id))
		}
	}
	return found, nil
}

func findGroup(name string) (uint32, error) {
	if g, err := user.LookupGroup(name); err == nil {
		name = g.Gid
	}
	id, err := strconv.ParseUint(name, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("unknown group %s", name)
	}
	return uint32(id), nil
}
