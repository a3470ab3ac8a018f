package docker

import (
	"context"
	"io"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/drover-org/drover/driver"
)

// firstByte stops a clock at the first write.
type firstByte struct{ at time.Time }

func (f *firstByte) Write(p []byte) (int, error) {
	if f.at.IsZero() && len(p) > 0 {
		f.at = time.Now()
	}
	return len(p), nil
}

func median(times []time.Duration) float64 {
	slices.Sort(times)
	return float64(times[len(times)/2].Microseconds()) / 1000
}

// BenchmarkStart compares a task's start with docker run -d, taking turns.
func BenchmarkStart(b *testing.B) {
	d, _ := startDriver(b)
	var ours, theirs []time.Duration
	for b.Loop() {
		cfg, _ := newTask(b, shell("exec sleep 1000"))
		began := time.Now()
		task, err := d.Start(context.Background(), cfg)
		if err != nil {
			b.Fatal(err)
		}
		ours = append(ours, time.Since(began))
		if err := task.Destroy(context.Background()); err != nil {
			b.Fatal(err)
		}
		began = time.Now()
		id, err := exec.Command("docker", "run", "-d", busybox, "sleep", "1000").Output()
		if err != nil {
			b.Fatal(err)
		}
		theirs = append(theirs, time.Since(began))
		removeContainer(b, string(id[:12]))
	}
	b.ReportMetric(median(ours), "start-ms")
	b.ReportMetric(median(theirs), "docker-run-ms")
	b.ReportMetric(median(ours)/median(theirs), "ratio")
}

// BenchmarkExecFirstByte compares the first byte of echo with docker exec's.
func BenchmarkExecFirstByte(b *testing.B) {
	d, _ := startDriver(b)
	task := idle(b, d)
	var first, whole, theirs []time.Duration
	for b.Loop() {
		var clock firstByte
		began := time.Now()
		result, err := task.Exec(context.Background(), &driver.ExecOptions{Command: []string{"echo", "hello"}, Stdout: &clock, Stderr: io.Discard})
		if err != nil || result.ExitCode != 0 {
			b.Fatal(result, err)
		}
		first, whole = append(first, clock.at.Sub(began)), append(whole, time.Since(began))

		clock = firstByte{}
		cmd := exec.Command("docker", "exec", task.handle.Container, "echo", "hello")
		cmd.Stdout = &clock
		began = time.Now()
		if err := cmd.Run(); err != nil {
			b.Fatal(err)
		}
		theirs = append(theirs, clock.at.Sub(began))
	}
	b.ReportMetric(median(first), "first-byte-ms")
	b.ReportMetric(median(whole), "session-ms")
	b.ReportMetric(median(theirs), "docker-exec-ms")
	b.ReportMetric(median(first)/median(theirs), "ratio")
}

// BenchmarkStop is the time from Stop of a task that ends at once to its result.
func BenchmarkStop(b *testing.B) {
	d, _ := startDriver(b)
	var times []time.Duration
	for b.Loop() {
		cfg, _ := newTask(b, shell("trap 'exit 0' TERM; echo up; while :; do usleep 1000; done"))
		task, err := d.Start(context.Background(), cfg)
		if err != nil {
			b.Fatal(err)
		}
		until(b, "output", func() bool { return logged(b, cfg, "stdout") != "" })
		began := time.Now()
		if err := task.Stop(context.Background(), "", time.Minute); err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(began))
		if err := task.Destroy(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(median(times), "stop-ms")
}
