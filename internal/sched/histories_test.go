package sched_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

const (
	// largeCases and smallCases are how many histories every run plays. They are
	// the same ones each time; SCHED_CASES plays others, as many as it says.
	largeCases = 300
	smallCases = 3000
	// faultCases is how many small histories may miss a planted fault.
	faultCases = 600
)

// Whatever happens to nodes, jobs and allocations, and in whatever order, the
// scheduler keeps its promises.
func TestHistories(t *testing.T) {
	n := largeCases
	seed := uint64(1)
	if text := os.Getenv("SCHED_CASES"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatalf("SCHED_CASES: %v", err)
		}
		seed = 0 // another series every time
	}
	t.Run("large", func(t *testing.T) { playMany(t, large, n, seed) })
	t.Run("small", func(t *testing.T) { playMany(t, small, n*smallCases/largeCases+1, seed) })
}

// playMany plays n histories, on all processors.
func playMany(t *testing.T, sz size, n int, seed uint64) {
	shards := runtime.GOMAXPROCS(0)
	for k := range shards {
		t.Run(fmt.Sprint(k), func(t *testing.T) {
			t.Parallel()
			rapidly(t, n/shards+1, seed<<(20*k), func(t *rapid.T) {
				h := play(t, t, sz, &fault{})
				if sz == small || oneIn(t, 5, "quiet") {
					h.quiet(t)
				}
			})
		})
	}
}

// settings is held while a test reads rapid's settings.
var settings sync.Mutex

// rapidly checks a property with so many cases, from a seed on; 0 is another
// one every time.
func rapidly(t *testing.T, cases int, seed uint64, property func(*rapid.T)) {
	settings.Lock()
	checks, from := flag.Lookup("rapid.checks").Value.String(), flag.Lookup("rapid.seed").Value.String()
	set := func(checks, seed string) {
		_ = flag.Set("rapid.checks", checks) // both are numbers
		_ = flag.Set("rapid.seed", seed)
	}
	set(fmt.Sprint(cases), fmt.Sprint(seed))
	var once sync.Once
	rapid.Check(t, func(t *rapid.T) {
		once.Do(func() { // rapid has read them
			set(checks, from)
			settings.Unlock()
		})
		property(t)
	})
}

// wrong ends a history at what is wrong with it.
type wrong string

// faultFinder takes what a history finds.
type faultFinder struct{}

func (faultFinder) Helper()                   {}
func (faultFinder) Fatal(args ...any)         { panic(wrong(fmt.Sprint(args...))) }
func (faultFinder) Fatalf(f string, a ...any) { panic(wrong(fmt.Sprintf(f, a...))) }

// findFault plays a history and tells what is wrong with it, if anything.
func findFault(t *rapid.T, sz size, f *fault) (found string) {
	defer func() {
		if p := recover(); p != nil {
			w, ok := p.(wrong)
			if !ok {
				panic(p)
			}
			found = string(w)
		}
	}()
	play(t, faultFinder{}, sz, f).quiet(t)
	return ""
}

// The promises are worth something: histories show every planted fault.
func TestPlantedFaultsAreFound(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			found, n := "", 0
			rapidly(t, faultCases, 7, func(t *rapid.T) {
				if found == "" {
					n++
					found = findFault(t, small, f)
				}
			})
			if found == "" {
				t.Errorf("%d histories don't show that %s", n, f.name)
			}
			t.Logf("after %d histories: %s", n, found)
		})
	}
}
