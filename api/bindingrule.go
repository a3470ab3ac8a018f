package api

import "time"

// What a binding rule gives.
const (
	BindRole       = "role"
	BindPolicy     = "policy"
	BindManagement = "management"
)

// ACLBindingRule gives what its name says to who logs in by a method and fits
// its selector.
type ACLBindingRule struct {
	ID          string
	Description string
	AuthMethod  string
	Selector    string // expression over value.NAME and list.NAME; "": everybody
	BindType    string
	BindName    string // of the role (or its ID) or policy; may hold ${value.NAME}
	CreateTime  time.Time
	ModifyTime  time.Time
	CreateIndex uint64
	ModifyIndex uint64
}

// ACLBindingRuleListStub is a binding rule in a list.
type ACLBindingRuleListStub struct {
	ID          string
	Description string
	AuthMethod  string
	CreateIndex uint64
	ModifyIndex uint64
}

// Stub returns r for a list.
func (r *ACLBindingRule) Stub() *ACLBindingRuleListStub {
	return &ACLBindingRuleListStub{ID: r.ID, Description: r.Description, AuthMethod: r.AuthMethod, CreateIndex: r.CreateIndex, ModifyIndex: r.ModifyIndex}
}

// Bounds of a binding rule.
const (
	MaxBindingRuleDescription = 256
	maxBindName               = 256
)

// Validate returns everything that is wrong with a rule but its expressions.
func (r *ACLBindingRule) Validate() error {
	rep := &report{}
	at := spot{rep, ""}
	if r.AuthMethod == "" {
		at.bad("AuthMethod", "is missing: name the auth method whose logins it is for")
	}
	if len(r.Description) > MaxBindingRuleDescription {
		at.bad("Description", "it has %d bytes, at most %d are kept", len(r.Description), MaxBindingRuleDescription)
	}
	if len(r.BindName) > maxBindName {
		at.bad("BindName", "it has %d bytes, at most %d are possible", len(r.BindName), maxBindName)
	}
	switch r.BindType {
	case BindRole, BindPolicy:
		if r.BindName == "" {
			at.bad("BindName", "is missing: name the %s", r.BindType)
		}
	case BindManagement:
		if r.BindName != "" {
			at.bad("BindName", "%q has no meaning with BindType %q: leave it out", clip(r.BindName), BindManagement)
		}
	default:
		at.bad("BindType", "%q is none of %s, %s, %s", clip(r.BindType), BindRole, BindPolicy, BindManagement)
	}
	return rep.err("binding rule")
}
