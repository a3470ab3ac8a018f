package cluster

import (
	"fmt"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// BenchmarkAppend is what a leader does with proposals that came together:
// they are appended to the log and on disk before it returns.
func BenchmarkAppend(b *testing.B) {
	for _, batch := range []struct{ entries, size int }{{1, 512}, {64, 512}, {1, 256 << 10}} {
		b.Run(fmt.Sprintf("%dx%d", batch.entries, batch.size), func(b *testing.B) {
			s, err := openStorage(b.TempDir(), hclog.NewNullLogger())
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = s.Close() })
			entries := make([]*raft.Log, batch.entries)
			index := uint64(0)
			b.SetBytes(int64(batch.entries * batch.size))
			b.ReportAllocs()
			for b.Loop() {
				for i := range entries {
					index++
					entries[i] = &raft.Log{Index: index, Term: 1, Type: raft.LogCommand, Data: make([]byte, batch.size)}
				}
				if err := s.logs.StoreLogs(entries); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
