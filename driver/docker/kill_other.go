//go:build !linux

package docker

import "errors"

// killTree needs the Engine's processes, which are in a virtual machine here.
func killTree(int, string) error {
	return errors.New("the agent does not see the Engine's processes")
}
