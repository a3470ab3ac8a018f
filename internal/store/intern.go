package store

import (
	"math/bits"
	"sync"
	"unique"

	"github.com/drover-org/drover/api"
)

func decodeScoreSet(d *dec) api.ScoreSet {
	s := api.ScoreSet{Has: uint8(d.uint())}
	s.Values = make([]float64, bits.OnesCount8(s.Has))
	for i := range s.Values {
		s.Values[i] = d.float()
	}
	return s
}

// scoreCache shares the scores of nodes among allocations: who comes second for
// one is mostly first for the next, with the same scores. It is for one
// decoding, and bounded.
type scoreCache struct {
	m map[string]*api.NodeScoreMeta // by encoded form
}

const maxScores = 8192

// decode reads a node, as node does, and its scores. The result may be shared.
func (c *scoreCache) decode(d *dec, node func(*dec) string) *api.NodeScoreMeta {
	start := d.b
	s := &api.NodeScoreMeta{NodeID: node(d), Scores: decodeScoreSet(d)}
	if s.NormScore = d.float(); d.err != nil {
		return s
	}
	used := start[:len(start)-len(d.b)]
	if known, ok := c.m[string(used)]; ok {
		return known
	}
	if c.m == nil || len(c.m) >= maxScores {
		c.m = map[string]*api.NodeScoreMeta{}
	}
	c.m[string(used)] = s
	return s
}

// intern shares the text of values that occur in very many rows: statuses,
// event types, task names.
func intern(s string) string { return unique.Make(s).Value() }

// details shares the annotations of events: most are the same for very many
// tasks, and a map of one entry takes 300 bytes.
var details detailCache

// detailCache finds a map by its encoded form. It is bounded and has no effect
// on any answer.
type detailCache struct {
	mu sync.Mutex
	m  map[string]map[string]string
}

const (
	maxDetails     = 1024 // maps kept
	maxDetailBytes = 256  // larger ones are hardly ever the same
)

// decode reads what enc.strMap wrote. The map may be shared.
func (c *detailCache) decode(d *dec) map[string]string {
	start := d.b
	m := d.strMap()
	used := len(start) - len(d.b)
	if m == nil || d.err != nil || used > maxDetailBytes {
		return m
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.m[string(start[:used])]; ok {
		return known
	}
	if c.m == nil || len(c.m) >= maxDetails {
		c.m = make(map[string]map[string]string, maxDetails)
	}
	c.m[string(start[:used])] = m
	return m
}
