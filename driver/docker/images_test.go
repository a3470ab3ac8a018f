package docker

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drover-org/drover/driver"
)

// pulled is a task that needs an image of the registry.
func pulled(r *registry, name string) map[string]any {
	return map[string]any{"image": r.host + "/" + name + ":1", "command": "/bin/sh", "args": []string{"-c", "echo pulled"}}
}

func destroyImage(t *testing.T, image string) {
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", "-f", image).Run() })
}

func TestPull(t *testing.T) {
	d, _ := startDriver(t)
	r := newRegistry(t)
	config := pulled(r, "plain")
	destroyImage(t, config["image"].(string))
	cfg, reports := newTask(t, config)
	task := startTask(t, d, cfg)
	if result := wait(t, task); !result.Successful() || logged(t, cfg, "stdout") != "pulled\n" {
		t.Errorf("%+v, %q", result, logged(t, cfg, "stdout"))
	}
	for _, want := range []string{"Downloading image", "Downloaded image"} {
		if !strings.Contains(reports.String(), want) {
			t.Errorf("%q was not reported: %q", want, reports)
		}
	}
	before := r.manifests.Load()
	run(t, d, pulled(r, "plain"))
	if r.manifests.Load() != before {
		t.Error("an image that is here was pulled again")
	}
	run(t, d, with(pulled(r, "plain"), "force_pull", true))
	if r.manifests.Load() == before {
		t.Error("force_pull did not pull")
	}
}

func TestPullsOfOneImageAreOne(t *testing.T) {
	d, _ := startDriver(t)
	r := newRegistry(t)
	r.hold = make(chan struct{})
	config := pulled(r, "shared")
	destroyImage(t, config["image"].(string))
	var group sync.WaitGroup
	const tasks = 4
	var all [tasks]*reports
	for i := range tasks {
		cfg, rep := newTask(t, pulled(r, "shared"))
		all[i] = rep
		group.Go(func() {
			started, err := d.Start(deadline(t), cfg)
			if err != nil {
				t.Errorf("Start: %v", err)
				return
			}
			defer removeContainer(t, started.(*task).handle.Container)
			if result, err := started.Wait(deadline(t)); err != nil || !result.Successful() {
				t.Errorf("%+v, %v", result, err)
			}
		})
	}
	until(t, "progress in every task", func() bool {
		for _, rep := range all {
			if !strings.Contains(rep.String(), "Downloading image") || !strings.Contains(rep.String(), " of ") {
				return false
			}
		}
		return true
	})
	close(r.hold)
	group.Wait()
	// The Engine itself asks twice for one pull: HEAD, then GET.
	if n := r.manifests.Load(); n > 2 {
		t.Errorf("the registry was asked %d times for the manifest", n)
	}
}

func TestPullEndsWithItsLastWaiter(t *testing.T) {
	for name, change := range map[string]func(*Config, map[string]any){
		"image_pull_timeout":    func(_ *Config, config map[string]any) { config["image_pull_timeout"] = "300ms" },
		"pull_activity_timeout": func(c *Config, _ map[string]any) { c.PullActivityTimeout = 700 * time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			r.hold = make(chan struct{})
			defer close(r.hold)
			config := pulled(r, "held")
			d, _ := startDriver(t, func(c *Config) { change(c, config) })
			cfg, _ := newTask(t, config)
			_, err := d.Start(deadline(t), cfg)
			if err == nil || !strings.Contains(err.Error(), name) || !driver.Recoverable(err) {
				t.Errorf("Start: %v", err)
			}
			until(t, "the end of the pull", func() bool {
				d.images.mu.Lock()
				defer d.images.mu.Unlock()
				return len(d.images.pulls) == 0
			})
		})
	}
}

func TestPullOfAMissingImage(t *testing.T) {
	d, _ := startDriver(t)
	r := newRegistry(t)
	cfg, _ := newTask(t, pulled(r, "absent"))
	if _, err := d.Start(deadline(t), cfg); err == nil || driver.Recoverable(err) {
		t.Errorf("Start: %v, want a permanent error", err)
	}
}

func TestPullWithCredentials(t *testing.T) {
	r := newRegistry(t)
	r.user, r.password = "ann", "s3cret"
	token := base64.StdEncoding.EncodeToString([]byte("ann:s3cret"))
	file := t.TempDir() + "/config.json"
	if err := os.WriteFile(file, fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, r.host, token), 0o600); err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	helper := fmt.Sprintf("#!/bin/sh\nread -r host\n[ \"$host\" = %s ] && echo '{\"Username\":\"ann\",\"Secret\":\"s3cret\"}'\n", r.host)
	if err := os.WriteFile(bin+"/docker-credential-test", []byte(helper), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	right := map[string]any{"username": "ann", "password": "s3cret"}
	for name, test := range map[string]struct {
		change func(*Config)
		auth   any
		soft   bool
		ok     bool
	}{
		"task":              {auth: right, ok: true},
		"list of one block": {auth: []any{right}, ok: true},
		"wrong":             {auth: map[string]any{"username": "ann", "password": "guess"}},
		"wrong, soft":       {auth: map[string]any{"username": "ann", "password": "guess"}, soft: true},
		"none":              {},
		"file":              {change: func(c *Config) { c.Auth.Config = file }, ok: true},
		"helper":            {change: func(c *Config) { c.Auth.Helper = "test" }, ok: true},
		"broken helper":     {change: func(c *Config) { c.Auth.Helper = "none" }},
	} {
		t.Run(name, func(t *testing.T) {
			config := pulled(r, "private")
			destroyImage(t, config["image"].(string))
			_ = exec.Command("docker", "rmi", "-f", config["image"].(string)).Run()
			if test.auth != nil {
				config["auth"] = test.auth
			}
			config["auth_soft_fail"] = test.soft
			var changes []func(*Config)
			if test.change != nil {
				changes = append(changes, test.change)
			}
			d, _ := startDriver(t, changes...)
			cfg, _ := newTask(t, config)
			started, err := d.Start(deadline(t), cfg)
			if (err == nil) != test.ok {
				t.Errorf("Start: %v", err)
			}
			if err == nil {
				wait(t, started)
				removeContainer(t, started.(*task).handle.Container)
			} else if strings.Contains(err.Error(), "guess") || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error tells a password: %v", err)
			}
		})
	}
	// Without need for credentials, wrong ones may be forgotten.
	r.user = ""
	d, _ := startDriver(t, func(c *Config) { c.Auth.Helper = "none" })
	config := with(pulled(r, "soft"), "auth_soft_fail", true)
	destroyImage(t, config["image"].(string))
	if stdout, _ := run(t, d, config); stdout != "pulled\n" {
		t.Errorf("with auth_soft_fail: %q", stdout)
	}
}

func TestOnlyPulledImagesAreRemoved(t *testing.T) {
	state := t.TempDir()
	change := func(c *Config) { c.GC.ImageDelay, c.StateDir = 50*time.Millisecond, state }
	d, end := startDriver(t, change)
	r := newRegistry(t)
	config := pulled(r, "gone")
	image := config["image"].(string)
	destroyImage(t, image)
	cfg, _ := newTask(t, config)
	task := startTask(t, d, cfg)
	wait(t, task)
	if !imageHere(t, d, image) {
		t.Fatal("the image went before the task")
	}
	if err := task.Destroy(deadline(t)); err != nil {
		t.Fatal(err)
	}
	until(t, "the removal of the image", func() bool { return !imageHere(t, d, image) })

	// An image that was here stays, also after force_pull; one of an earlier
	// agent goes.
	if out, err := exec.Command("docker", "pull", "-q", r.host+"/mine:1").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	destroyImage(t, r.host+"/mine:1")
	mine, _ := newTask(t, with(pulled(r, "mine"), "force_pull", true))
	first := startTask(t, d, mine)
	wait(t, first)
	again, _ := newTask(t, pulled(r, "again"))
	second := startTask(t, d, again)
	wait(t, second)
	end()
	removeContainer(t, second.handle.Container)
	d, _ = startDriver(t, change)
	recovered, err := d.Recover(deadline(t), mine, first.Handle())
	if err != nil {
		t.Fatal(err)
	}
	if err := recovered.Destroy(deadline(t)); err != nil {
		t.Fatal(err)
	}
	until(t, "the removal of the earlier agent's image", func() bool { return !imageHere(t, d, r.host+"/again:1") })
	if !imageHere(t, d, r.host+"/mine:1") {
		t.Error("an image that was here before was removed")
	}
}

func TestLoad(t *testing.T) {
	d, _ := startDriver(t)
	cfg, _ := newTask(t, map[string]any{"image": "loaded:1", "load": "local/image.tar", "command": "echo", "args": []string{"loaded"}})
	destroyImage(t, "loaded:1")
	script := fmt.Sprintf("docker tag %s loaded:1 && docker save -o %s/image.tar loaded:1 && docker rmi loaded:1", busybox, cfg.LocalDir)
	if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	wait(t, startTask(t, d, cfg))
	if got := logged(t, cfg, "stdout"); got != "loaded\n" {
		t.Errorf("stdout %q", got)
	}
	outside, _ := newTask(t, map[string]any{"image": "loaded:2", "load": "../../../etc/passwd"})
	if _, err := d.Start(deadline(t), outside); err == nil || driver.Recoverable(err) {
		t.Errorf("a tar outside the task's directory: %v", err)
	}
}

func TestLatestFallsBackToTheImageThatIsHere(t *testing.T) {
	d, _ := startDriver(t)
	image := "127.0.0.1:1/here"
	if out, err := exec.Command("docker", "tag", busybox, image).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	destroyImage(t, image)
	cfg, reports := newTask(t, map[string]any{"image": image, "command": "true"})
	wait(t, startTask(t, d, cfg))
	if !strings.Contains(reports.String(), "could not be pulled") {
		t.Errorf("reports %q", reports)
	}
	if _, err := d.Start(deadline(t), func() *driver.TaskConfig {
		cfg, _ := newTask(t, map[string]any{"image": image, "force_pull": true})
		return cfg
	}()); err == nil {
		t.Error("force_pull without a registry succeeded")
	}
	if errors.Is(d.images.pull(deadline(t), cfg, &taskConfig{Image: "sha256:" + strings.Repeat("a", 64)}), nil) {
		t.Error("an ID was pulled")
	}
}
