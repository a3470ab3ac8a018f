package api

import (
	"encoding/json"
	"time"
)

// Types of tokens.
const (
	ACLTokenClient     = "client"     // may do what its policies and roles say
	ACLTokenManagement = "management" // may do everything
)

// ACLAnonymousPolicy names the policy of requests without a token.
const ACLAnonymousPolicy = "anonymous"

// ACLPolicy is a named set of rules.
type ACLPolicy struct {
	Name        string
	Description string
	Rules       string  // HCL or JSON; see internal/acl
	JobACL      *JobACL // nil: of tokens and roles only
	CreateIndex uint64
	ModifyIndex uint64
}

// JobACL gives a policy to the identities of a job's tasks as well. What is
// empty is not looked at; what is not is compared as a whole.
type JobACL struct {
	Namespace string
	JobID     string
	Group     string
	Task      string
}

// Covers reports whether the policy is one of a task's identity.
func (j *JobACL) Covers(namespace, job, group, task string) bool {
	return j != nil && j.Namespace == namespace && (j.JobID == "" || j.JobID == job) &&
		(j.Group == "" || j.Group == group) && (j.Task == "" || j.Task == task)
}

// ACLPolicyListStub is a policy in a list.
type ACLPolicyListStub struct {
	Name        string
	Description string
	JobACL      *JobACL
	CreateIndex uint64
	ModifyIndex uint64
}

// Stub returns p without its rules.
func (p *ACLPolicy) Stub() *ACLPolicyListStub {
	return &ACLPolicyListStub{Name: p.Name, Description: p.Description, JobACL: p.JobACL, CreateIndex: p.CreateIndex, ModifyIndex: p.ModifyIndex}
}

// ACLToken is who somebody is. The secret is empty wherever it need not be
// known; the state holds it sealed.
type ACLToken struct {
	AccessorID     string
	SecretID       string
	Name           string
	Type           string
	Policies       []string
	Roles          []*ACLTokenRoleLink
	Global         bool
	CreateTime     time.Time
	ExpirationTime *time.Time   `json:",omitempty"` // nil: never
	ExpirationTTL  DurationText // as it was asked for; 0: none
	CreateIndex    uint64
	ModifyIndex    uint64
}

// ACLTokenRoleLink gives a token a role. A caller names it by either; the
// state holds the ID and answers have both.
type ACLTokenRoleLink struct {
	ID   string
	Name string
}

// Expired reports whether the token is no longer good.
func (t *ACLToken) Expired(now time.Time) bool {
	return t.ExpirationTime != nil && !now.Before(*t.ExpirationTime)
}

// ACLTokenListStub is a token in a list, without its secret.
type ACLTokenListStub struct {
	AccessorID     string
	Name           string
	Type           string
	Policies       []string
	Roles          []*ACLTokenRoleLink
	Global         bool
	CreateTime     time.Time
	ExpirationTime *time.Time `json:",omitempty"`
	CreateIndex    uint64
	ModifyIndex    uint64
}

// Stub returns t without its secret.
func (t *ACLToken) Stub() *ACLTokenListStub {
	return &ACLTokenListStub{
		AccessorID: t.AccessorID, Name: t.Name, Type: t.Type, Policies: t.Policies, Roles: t.Roles, Global: t.Global,
		CreateTime: t.CreateTime, ExpirationTime: t.ExpirationTime, CreateIndex: t.CreateIndex, ModifyIndex: t.ModifyIndex,
	}
}

// DurationText is a Duration that writes text ("10m0s", "" for 0).
type DurationText time.Duration

// MarshalJSON writes the text.
func (d DurationText) MarshalJSON() ([]byte, error) {
	if d == 0 {
		return []byte(`""`), nil
	}
	return json.Marshal(time.Duration(d).String())
}

// UnmarshalJSON reads text, integer nanoseconds, "" or null.
func (d *DurationText) UnmarshalJSON(b []byte) error {
	if string(b) == `""` {
		*d = 0
		return nil
	}
	return (*Duration)(d).UnmarshalJSON(b)
}

// ACLRole is a named set of policies that tokens link to.
type ACLRole struct {
	ID          string
	Name        string
	Description string
	Policies    []*ACLRolePolicyLink
	CreateIndex uint64
	ModifyIndex uint64
}

// ACLRolePolicyLink gives a role a policy.
type ACLRolePolicyLink struct {
	Name string
}

// OneTimeToken is good for one exchange against the token it was made with.
type OneTimeToken struct {
	OneTimeSecretID string
	AccessorID      string
	ExpiresAt       time.Time
	CreateIndex     uint64
	ModifyIndex     uint64
}

// OneTimeTokenUpsertResponse answers the making of a one-time token.
type OneTimeTokenUpsertResponse struct {
	OneTimeToken *OneTimeToken
	Index        uint64
}

// OneTimeTokenExchangeRequest exchanges a one-time token.
type OneTimeTokenExchangeRequest struct {
	OneTimeSecretID string
}

// OneTimeTokenExchangeResponse answers an exchange.
type OneTimeTokenExchangeResponse struct {
	Token *ACLToken
	Index uint64
}

// ACLBootstrapRequest makes the first management token. BootstrapSecret, a
// UUID, becomes its secret; without it the servers choose one.
type ACLBootstrapRequest struct {
	BootstrapSecret string
}

// ACLExplainRequest asks why a token may or may not do something: by a route
// (Method and Path), or by a capability and what it is asked for.
type ACLExplainRequest struct {
	AccessorID string // "": the caller's own token
	Method     string
	Path       string // with or without a query

	Capability Capability
	Object     string // namespace, or name of a node pool or host volume
	Variable   string // path of a variable in the namespace
}

// ACLAsk is one part of what a request needs: any one of the capabilities.
type ACLAsk struct {
	Any      []Capability // none: whatever token there is will do
	Object   string       // what they are asked for, as in ACLExplainRequest
	Variable string
	Noun, ID string // of the object whose namespace takes the place of Object; "" for none
	Filters  bool   // whoever lacks them is answered, without what he may not see
}

// ACLExplanation says how the policies decide.
type ACLExplanation struct {
	Allowed    bool
	Summary    string       // one sentence
	AccessorID string       // of the token; "" for a request without one
	TokenName  string       // the same
	Policies   []string     // the token's, those of its roles included
	Route      string       // pattern of the route; "" when a capability was asked about
	Object     string       // what the capabilities are asked for
	Decisions  []*ACLReason // one per capability; any that is allowed is enough
}

// ACLReason says how the policies decide about one capability.
type ACLReason struct {
	Capability Capability
	Allowed    bool
	Granted    Capability // the capability that gives it: itself or a broader one
	Policy     string     // the policy that decides; "" when no rule does
	Rule       string     // its rule, like namespace "prod-*"
	Line       int        // of the rule in the policy's text
	Reason     string     // one sentence
}
