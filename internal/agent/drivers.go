package agent

import (
	"context"
	"maps"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/drover-org/drover/api"
	"github.com/drover-org/drover/driver"
)

// fingerprintTimeout bounds one look at a driver.
const fingerprintTimeout = 10 * time.Second

// watchDrivers looks at every driver now and then and tells servers of
// changes.
func (a *Agent) watchDrivers(ctx context.Context) {
	a.lookAtDrivers(ctx)
	close(a.driversKnown)
	tick := time.NewTicker(a.cfg.DriverInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			a.lookAtDrivers(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// lookAtDrivers asks all drivers at the same time, so that a slow one holds
// up none of the others, and publishes each answer that is new.
func (a *Agent) lookAtDrivers(ctx context.Context) {
	var wg sync.WaitGroup
	for name, d := range a.cfg.Drivers {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, fingerprintTimeout)
			defer cancel()
			f := d.Fingerprint(ctx)
			if ctx.Err() == nil || f.Healthy {
				a.driverSeen(name, f)
			}
		})
	}
	wg.Wait()
}

func (a *Agent) driverSeen(name string, f driver.Fingerprint) {
	info := &api.DriverInfo{Attributes: maps.Clone(f.Attributes), Detected: f.Detected, Healthy: f.Healthy, HealthDescription: f.Description}
	if info.Attributes == nil {
		info.Attributes = map[string]string{}
	}
	if f.Detected && f.Healthy {
		info.Attributes["driver."+name] = "1"
		if a.cfg.Drivers[name].Capabilities().Isolated {
			info.Attributes[api.AttrIsolated(name)] = "1"
		}
	} else {
		delete(info.Attributes, "driver."+name)
	}
	a.mu.Lock()
	old := a.drivers[name]
	if old != nil {
		info.UpdateTime = old.UpdateTime
		if reflect.DeepEqual(old, info) {
			a.mu.Unlock()
			return
		}
	}
	info.UpdateTime = a.cfg.Now()
	a.drivers[name] = info
	a.mu.Unlock()
	if old != nil {
		a.log.Info("a driver changed", "driver", name, "detected", f.Detected, "healthy", f.Healthy, "description", f.Description)
	}
	a.nodeChanged()
}

// nodeChanged describes the node anew and tells servers.
func (a *Agent) nodeChanged() {
	if err := a.refreshNode(); err != nil {
		a.log.Error("the node can't be described anew", "error", err)
		return
	}
	a.link.NodeChanged()
}

// FilterEnv returns an environment, given as os.Environ does, without what
// looks like a secret or belongs to the agent.
func FilterEnv(environ []string) map[string]string {
	env := map[string]string{}
	for _, kv := range environ {
		name, value, ok := strings.Cut(kv, "=")
		if ok && name != "" && !private(strings.ToUpper(name)) {
			env[name] = value
		}
	}
	if _, ok := env["PATH"]; !ok {
		env["PATH"] = defaultPath
	}
	return env
}

// defaultPath is for tasks of an agent that was started without any.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func private(name string) bool {
	for _, prefix := range []string{"NOMAD_", "DROVER_", "VAULT_", "CONSUL_", "AWS_", "GOOGLE_", "AZURE_", "INVOCATION_", "NOTIFY_", "LISTEN_", "JOURNAL_", "SSH_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	for _, word := range []string{"TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "API_KEY", "APIKEY", "PRIVATE_KEY", "ACCESS_KEY"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// semaphore bounds how many of something there are at the same time.
type semaphore chan struct{}

func newSemaphore(n int) semaphore { return make(semaphore, n) }

func (s semaphore) tryAcquire() bool {
	select {
	case s <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s semaphore) release() { <-s }
