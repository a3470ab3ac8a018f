package link

//go:generate go run github.com/tinylib/msgp -io=false -tests=false -unexported -file wire.go -o wire_gen.go

// The bodies of frames. They are maps with short keys, so that fields may be
// added; unknown ones are skipped. Lists are bounded against hostile peers.

//msgp:limit arrays:8192 maps:256

// helloMsg introduces a node, or says that it changed.
type helloMsg struct {
	Version uint16 `msg:"v"`
	Node    []byte `msg:"n,limit=1048576"` // JSON of api.Node with its secret
	// Instance tells the streams of one process from those of another with the
	// same node.
	Instance string `msg:"i,omitempty"`

	Introduction string `msg:"o,omitempty,limit=65536"` // by which a new node joins
	Identity     string `msg:"d,omitempty,limit=65536"` // that the node has
	Renew        bool   `msg:"r,omitempty"`             // whatever that is
}

// welcomeMsg answers a hello or a heartbeat.
type welcomeMsg struct {
	TTL      int64    `msg:"t"`                       // nanoseconds until the node counts as gone
	Identity string   `msg:"d,omitempty,limit=65536"` // of a hello: that the node is to show from now on
	Servers  []string `msg:"s,omitempty"`             // rpc addresses, when there are several
}

// refuseMsg says why a server ends a stream.
type refuseMsg struct {
	Code    string `msg:"c"` // an api.Code
	Message string `msg:"m"`
}

// reportMsg is a batch of reports.
type reportMsg struct {
	Seq     uint64      `msg:"s"`
	Updates []updateMsg `msg:"u"`
}

// ackMsg answers a reportMsg after it was committed or refused.
type ackMsg struct {
	Seq     uint64 `msg:"s"`
	Code    string `msg:"c,omitempty"` // empty: committed
	Message string `msg:"m,omitempty"`
}

// dialMsg asks for a connection.
type dialMsg struct {
	Token [16]byte `msg:"t"`
}

// dialFailMsg says that a node won't dial back.
type dialFailMsg struct {
	Token   [16]byte `msg:"t"`
	Message string   `msg:"m"`
}

// dialBackMsg opens a connection that was asked for.
type dialBackMsg struct {
	Token [16]byte `msg:"t"`
	Node  string   `msg:"n"`
}

// assignMsg is an Assignment or, with More, a part of one.
type assignMsg struct {
	Index  uint64     `msg:"i"`
	Full   bool       `msg:"f,omitempty"`
	More   bool       `msg:"m,omitempty"`
	Allocs []allocMsg `msg:"a,omitempty"`
	Gone   []string   `msg:"g,omitempty"`
}

// allocMsg is an allocation as servers want it.
type allocMsg struct {
	ID        string `msg:"i"`
	Namespace string `msg:"n"`
	EvalID    string `msg:"e,omitempty"`
	Name      string `msg:"nm"`
	NodeName  string `msg:"nn,omitempty"`
	TaskGroup string `msg:"g"`

	Slot uint8  `msg:"js"`                          // where the receiver keeps the job
	Job  []byte `msg:"jb,omitempty,limit=33554432"` // JSON; sets the slot

	SameResources bool   `msg:"rs,omitempty"`                // as the previous allocation of the frame
	Resources     []byte `msg:"rb,omitempty,limit=33554432"` // JSON

	Desired            string `msg:"d"`
	DesiredDescription string `msg:"dd,omitempty"`
	Transition         uint16 `msg:"dt,omitempty"` // see packTransition
	Client             string `msg:"c"`
	ClientDescription  string `msg:"cd,omitempty"`

	DeploymentID string `msg:"di,omitempty"`
	Previous     string `msg:"pa,omitempty"`
	Next         string `msg:"na,omitempty"`
	Followup     string `msg:"fe,omitempty"`
	Rare         []byte `msg:"x,omitempty,limit=33554432"` // JSON of rareFields

	CreateIndex      uint64 `msg:"ci"`
	ModifyIndex      uint64 `msg:"mi"`
	AllocModifyIndex uint64 `msg:"ai"`
	CreateTime       int64  `msg:"ct"`
	ModifyTime       int64  `msg:"mt"`
}

// updateMsg is an api.AllocUpdate.
type updateMsg struct {
	ID          string    `msg:"i"`
	Client      string    `msg:"c"`
	Description string    `msg:"d,omitempty"`
	Tasks       []taskMsg `msg:"t,omitempty"`
	Health      uint8     `msg:"h,omitempty"` // 0 unknown, 1 unhealthy, 2 healthy
	HealthTime  int64     `msg:"ht,omitempty"`
	Network     []byte    `msg:"n,omitempty,limit=65536"`   // JSON
	Services    []byte    `msg:"s,omitempty,limit=1048576"` // JSON
}

// taskMsg is an api.TaskState. Times are Unix nanoseconds, 0 for none.
type taskMsg struct {
	Name        string     `msg:"n"`
	State       string     `msg:"s"`
	Failed      bool       `msg:"f,omitempty"`
	Restarts    uint64     `msg:"r,omitempty"`
	LastRestart int64      `msg:"lr,omitempty"`
	StartedAt   int64      `msg:"sa,omitempty"`
	FinishedAt  int64      `msg:"fa,omitempty"`
	Paused      string     `msg:"p,omitempty"`
	Events      []eventMsg `msg:"e,omitempty"`
}

// eventMsg is an api.TaskEvent.
type eventMsg struct {
	Type    string            `msg:"y"`
	Time    int64             `msg:"t"`
	Message string            `msg:"m,omitempty"`
	Details map[string]string `msg:"d,omitempty"`
}

// signMsg asks for the identities of a task.
type signMsg struct {
	Seq   uint64 `msg:"s"`
	Alloc string `msg:"a"`
	Task  string `msg:"t"`
}

// signedMsg answers a signMsg.
type signedMsg struct {
	Seq     uint64     `msg:"s"`
	Code    string     `msg:"c,omitempty"` // empty: signed
	Message string     `msg:"m,omitempty"`
	Tokens  []tokenMsg `msg:"t,omitempty"`
}

// tokenMsg is an api.SignedIdentity.
type tokenMsg struct {
	Name    string `msg:"n"`
	Token   string `msg:"t,limit=65536"`
	Expires int64  `msg:"e,omitempty"` // Unix seconds; 0: never
}
