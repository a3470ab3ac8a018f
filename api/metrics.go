package api

import (
	"encoding/json"
	"math/bits"
)

// AllocMetric explains a placement, or why there is none.
type AllocMetric struct {
	NodesEvaluated     int
	NodesFiltered      int
	NodesInPool        int
	NodePool           string
	NodesAvailable     map[string]int // by datacenter
	ClassFiltered      map[string]int
	ConstraintFiltered map[string]int
	NodesExhausted     int
	ClassExhausted     map[string]int
	DimensionExhausted map[string]int
	QuotaExhausted     []string
	ResourcesExhausted map[string]*Resources // by task
	Scores             map[string]float64    // "<node ID>.<scorer>", of the nodes in ScoreMetaData
	ScoreMetaData      []*NodeScoreMeta      // best first, at most MaxScoreMeta
	AllocationTime     Duration
	CoalescedFailures  int
}

// MaxScoreMeta is how many nodes an AllocMetric keeps the scores of.
const MaxScoreMeta = 5

// NodeScoreMeta holds one node's scores; NormScore is the mean of those that
// counted.
type NodeScoreMeta struct {
	NodeID    string
	Scores    ScoreSet
	NormScore float64
}

// Names of scores. scoreNames gives them their places in a ScoreSet; the
// order is part of the log and only grows.
const (
	ScoreBinPack    = "binpack"
	ScoreDevices    = "devices"
	ScoreAntiAff    = "job-anti-affinity"
	ScorePenalty    = "node-reschedule-penalty"
	ScoreAffinity   = "node-affinity"
	ScoreSpread     = "allocation-spread"
	ScorePreemption = "preemption"
)

var scoreNames = [...]string{ScoreBinPack, ScoreDevices, ScoreAntiAff, ScorePenalty, ScoreAffinity, ScoreSpread, ScorePreemption}

// ScoreSet is a small map from score name to value; the zero value is empty.
// It is a JSON object on the wire.
type ScoreSet struct {
	Has    uint8     // bit i: scoreNames[i] is present
	Values []float64 // of the present ones, in order
}

// Set adds or replaces a score. Unknown names are ignored.
func (s *ScoreSet) Set(name string, v float64) {
	for i, n := range scoreNames {
		if n != name {
			continue
		}
		at := bits.OnesCount8(s.Has & (1<<i - 1))
		if s.Has&(1<<i) != 0 {
			s.Values[at] = v
			return
		}
		s.Has |= 1 << i
		s.Values = append(s.Values, 0)
		copy(s.Values[at+1:], s.Values[at:])
		s.Values[at] = v
	}
}

// Get returns a score and whether it is present.
func (s ScoreSet) Get(name string) (float64, bool) {
	for i, n := range scoreNames {
		if n == name && s.Has&(1<<i) != 0 {
			return s.Values[bits.OnesCount8(s.Has&(1<<i-1))], true
		}
	}
	return 0, false
}

// Map returns the scores by name.
func (s ScoreSet) Map() map[string]float64 {
	m := make(map[string]float64, len(s.Values))
	at := 0
	for i, n := range scoreNames {
		if s.Has&(1<<i) != 0 {
			m[n] = s.Values[at]
			at++
		}
	}
	return m
}

// MarshalJSON writes an object from name to score.
func (s ScoreSet) MarshalJSON() ([]byte, error) { return json.Marshal(s.Map()) }

// UnmarshalJSON reads what MarshalJSON writes; unknown names are dropped.
func (s *ScoreSet) UnmarshalJSON(b []byte) error {
	var m map[string]float64
	if err := json.Unmarshal(b, &m); err != nil {
		return err
	}
	*s = ScoreSet{}
	for _, n := range scoreNames {
		if v, ok := m[n]; ok {
			s.Set(n, v)
		}
	}
	return nil
}
