package api

// NodeIntroduction asks for a token by which a new node joins.
type NodeIntroduction struct {
	TTL      Duration // 0: as the servers are configured
	NodeName string   // empty: of any name
	NodePool string   // empty: the default pool
}

// NodeIntroductionToken is the answer.
type NodeIntroductionToken struct {
	JWT string
}

// How servers treat new nodes that were not introduced.
const (
	IntroductionNone   = "none"   // let in
	IntroductionWarn   = "warn"   // let in, with a line in the log
	IntroductionStrict = "strict" // refused
)

// NodeIdentityClaims are what a node's own identity says.
type NodeIdentityClaims struct {
	Claims map[string]any
}
