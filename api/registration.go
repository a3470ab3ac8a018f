package api

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ServiceRegistration is one running instance of a service, as the catalogue
// shows it.
type ServiceRegistration struct {
	ID          string
	ServiceName string
	Namespace   string
	NodeID      string
	Datacenter  string
	JobID       string
	AllocID     string
	Tags        []string
	Address     string
	Port        int
	CreateIndex uint64
	ModifyIndex uint64
}

// ServiceStub is a service in a list: its name and the tags of all instances.
type ServiceStub struct {
	ServiceName string
	Tags        []string
}

// ServiceListStub are the services of one namespace.
type ServiceListStub struct {
	Namespace string
	Services  []*ServiceStub
}

// AllocService is a service that an allocation serves now, as its node reports
// it. The catalogue adds whose it is.
type AllocService struct {
	ID         string
	Name       string
	Tags       []string `json:",omitempty"`
	CanaryTags []string `json:",omitempty"` // in place of Tags while the allocation is a canary
	Address    string
	Port       int `json:",omitempty"`
}

// Equal reports whether s and o say the same.
func (s *AllocService) Equal(o *AllocService) bool {
	return s.ID == o.ID && s.Name == o.Name && s.Address == o.Address && s.Port == o.Port &&
		slices.Equal(s.Tags, o.Tags) && slices.Equal(s.CanaryTags, o.CanaryTags)
}

// TagsFor returns the tags of an instance that is a canary or not.
func (s *AllocService) TagsFor(canary bool) []string {
	if canary && len(s.CanaryTags) > 0 {
		return s.CanaryTags
	}
	return s.Tags
}

// RegistrationID names the instance of a service of an allocation: the ID of
// the allocation, then what tells its services apart. owner is the task, or
// "group-" and the group.
func RegistrationID(allocID, owner, service, port string) string {
	return registrationPrefix(allocID) + strings.Join([]string{owner, service, port}, "-")
}

func registrationPrefix(allocID string) string { return "_nomad-task-" + allocID + "-" }

// Bounds of what a node may report of one allocation's services. A job holds
// to maxElements and maxNameLen before anything is filled in; texts may grow
// then.
const (
	maxRegistrations    = 4 * maxElements
	maxRegistrationText = 1 << 10
)

// CheckServices refuses a report whose services could not be those of the
// allocation it is about.
func (u *AllocUpdate) CheckServices() error {
	if n := len(u.Services); n > maxRegistrations {
		return Errorf(CodeInvalid, "allocation %s: Services has %d elements: %d is the most", u.ID, n, maxRegistrations)
	}
	seen := make(map[string]bool, len(u.Services))
	for i, s := range u.Services {
		bad := func(field, format string, args ...any) error {
			return Errorf(CodeInvalid, "allocation %s: Services[%d].%s %s", u.ID, i, field, fmt.Sprintf(format, args...))
		}
		if s == nil {
			return Errorf(CodeInvalid, "allocation %s: Services[%d] is null", u.ID, i)
		}
		texts := [...]struct{ field, text string }{{"ID", s.ID}, {"Name", s.Name}, {"Address", s.Address}}
		for _, t := range texts {
			if t.text == "" || len(t.text) > maxRegistrationText {
				return bad(t.field, "is %d bytes long: 1 to %d are allowed", len(t.text), maxRegistrationText)
			}
		}
		switch {
		case !strings.HasPrefix(s.ID, registrationPrefix(u.ID)):
			return bad("ID", "%q does not begin with %q", clip(s.ID), registrationPrefix(u.ID))
		case seen[s.ID]:
			return bad("ID", "%q is there twice", clip(s.ID))
		case s.Port < 0 || s.Port > 65535:
			return bad("Port", "%d is not between 0 and 65535", s.Port)
		}
		seen[s.ID] = true
		for _, tags := range [][]string{s.Tags, s.CanaryTags} {
			if len(tags) > maxElements {
				return bad("Tags", "has %d elements: %d is the most", len(tags), maxElements)
			}
			for _, tag := range tags {
				if len(tag) > maxRegistrationText {
					return bad("Tags", "holds a tag of %d bytes: %d is the most", len(tag), maxRegistrationText)
				}
			}
		}
	}
	return nil
}

// HostPort returns the address to dial, or the host alone of a service without
// a port.
func (s *ServiceRegistration) HostPort() string {
	switch {
	case s.Port == 0:
		return s.Address
	case strings.Contains(s.Address, ":"):
		return "[" + s.Address + "]:" + strconv.Itoa(s.Port)
	}
	return s.Address + ":" + strconv.Itoa(s.Port)
}
