package store

import (
	"math/bits"
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

// intern shares the text of values that occur in very many rows: statuses,
// event types, task names.
func intern(s string) string { return unique.Make(s).Value() }
