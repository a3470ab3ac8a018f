package docker

import (
	"testing"

	"go.uber.org/goleak"
)

// No goroutine outlives the drivers of the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
