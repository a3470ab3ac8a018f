package agent

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
	"github.com/drover-org/drover/driver/fake"
)

// BenchmarkRunning measures from the assignment of an allocation to the report
// that it runs, with the allocation on disk in between.
func BenchmarkRunning(b *testing.B) {
	dir := b.TempDir()
	a, err := New(Config{
		Log: slog.New(slog.DiscardHandler), StateDir: filepath.Join(dir, "state"), Drivers: map[string]driver.Driver{fake.Name: fake.New(fake.Config{})},
	})
	if err != nil {
		b.Fatal(err)
	}
	s := newServers()
	a.Connect(s)
	ended := make(chan error, 1)
	go func() { ended <- a.Run(b.Context()) }()
	b.Cleanup(func() { <-ended })
	for b.Loop() {
		alloc := &api.Allocation{
			ID: api.NewID(), TaskGroup: "g", DesiredStatus: api.AllocDesiredRun,
			Job: &api.Job{Type: api.JobTypeBatch, TaskGroups: []*api.TaskGroup{{Name: "g", Tasks: []*api.Task{{Name: "t", Driver: fake.Name, Config: forever()}}}}},
		}
		a.Assign(false, []*api.Allocation{alloc}, nil)
		for {
			u, news := s.last(alloc.ID)
			if u != nil && u.ClientStatus == api.AllocClientRunning {
				break
			}
			<-news
		}
		b.StopTimer()
		a.Assign(false, nil, []string{alloc.ID})
		b.StartTimer()
	}
}
