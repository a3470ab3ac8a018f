package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/client"

	"github.com/drover-org/drover/driver"
)

// images knows which images tasks use and which of them this driver brought
// here, and removes those again.
type images struct {
	d    *Driver
	wake chan struct{} // of size 1: something may be due

	mu    sync.Mutex
	users map[string]int       // image → tasks, also those that start
	ours  map[string]time.Time // image → since when nobody uses it; zero while used
	pulls map[string]*pull     // by image and credentials
}

func newImages(d *Driver) *images {
	return &images{
		d:     d,
		wake:  make(chan struct{}, 1),
		users: map[string]int{},
		ours:  map[string]time.Time{},
		pulls: map[string]*pull{},
	}
}

// acquire keeps an image until as many calls of release.
func (im *images) acquire(image string) {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.users[image]++
	if _, ok := im.ours[image]; ok {
		im.ours[image] = time.Time{}
	}
}

func (im *images) release(image string) {
	im.mu.Lock()
	defer im.mu.Unlock()
	if im.users[image]--; im.users[image] > 0 {
		return
	}
	delete(im.users, image)
	if _, ok := im.ours[image]; ok {
		im.ours[image] = time.Now()
	}
	im.stir()
}

func (im *images) stir() {
	select {
	case im.wake <- struct{}{}:
	default:
	}
}

// own remembers that the image was brought here by this driver.
func (im *images) own(image string) {
	im.mu.Lock()
	defer im.mu.Unlock()
	if _, ok := im.ours[image]; ok {
		return
	}
	im.ours[image] = time.Time{}
	if im.users[image] == 0 { // its task went away meanwhile
		im.ours[image] = time.Now()
		im.stir()
	}
	im.save()
}

// prepare does what has to be done before the container can be created. It
// reports whether a pull would be of no use any more.
func (im *images) prepare(ctx context.Context, cfg *driver.TaskConfig, tc *taskConfig) (present bool, err error) {
	switch {
	case tc.Load != "":
		return true, im.load(ctx, cfg, tc)
	case tc.ForcePull:
		return true, im.pull(ctx, cfg, tc)
	case !moving(tc.Image):
		return false, nil
	}
	had, err := im.here(ctx, tc.Image)
	if err != nil {
		return false, err
	}
	if err := im.pull(ctx, cfg, tc); err != nil {
		if !had || ctx.Err() != nil {
			return false, err
		}
		cfg.Report("The image could not be pulled; the one that is here is used", map[string]string{"image": tc.Image, "error": err.Error()})
	}
	return true, nil
}

// moving reports that the tag is latest or left out: a name that means
// another image every day.
func moving(image string) bool {
	ref, err := reference.ParseAnyReference(image)
	if err != nil {
		return false
	}
	named, ok := ref.(reference.Named)
	if !ok {
		return false // an ID
	}
	if reference.IsNameOnly(named) {
		return true
	}
	tagged, ok := named.(reference.Tagged)
	_, digested := named.(reference.Digested)
	return ok && tagged.Tag() == "latest" && !digested
}

func (im *images) here(ctx context.Context, image string) (bool, error) {
	_, err := im.d.cli().ImageInspect(ctx, image)
	if cerrdefs.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// load brings the images of a tar in the task's directory.
func (im *images) load(ctx context.Context, cfg *driver.TaskConfig, tc *taskConfig) error {
	had, err := im.here(ctx, tc.Image)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(cfg.TaskDir)
	if err != nil {
		return err
	}
	defer root.Close()
	file, err := openRegular(root, filepath.Clean(tc.Load))
	if err != nil {
		return driver.Permanent(invalid("load", "%q: it is read from the task's directory: %w", tc.Load, err))
	}
	defer file.Close()
	cfg.Report("Loading image", map[string]string{"image": tc.Image, "load": tc.Load})
	res, err := im.d.cli().ImageLoad(ctx, file, client.ImageLoadWithQuiet(true))
	if err != nil {
		return fmt.Errorf("load %s: %w", tc.Load, err)
	}
	defer res.Close()
	dec := json.NewDecoder(res)
	for {
		var m struct{ Error string }
		if err := dec.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("load %s: %w", tc.Load, err)
		}
		if m.Error != "" {
			return driver.Permanent(fmt.Errorf("load %s: %s", tc.Load, m.Error))
		}
	}
	if !had {
		im.own(tc.Image)
	}
	return nil
}

// openRegular refuses what could block, such as a pipe.
func openRegular(root *os.Root, name string) (*os.File, error) {
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	return root.Open(name)
}

// run removes images when their time has come.
func (im *images) run(ctx context.Context) {
	if !im.d.cfg.GC.Image {
		return
	}
	im.restore()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-im.wake:
		}
		next := im.removeDue(ctx)
		timer.Stop()
		if next > 0 {
			timer.Reset(next)
		}
	}
}

// removeDue removes the images whose delay is over and returns when the next
// one is due, 0 for none.
func (im *images) removeDue(ctx context.Context) (next time.Duration) {
	delay := im.d.cfg.GC.ImageDelay
	im.mu.Lock()
	var due []string
	for image, idle := range im.ours {
		if idle.IsZero() {
			continue
		}
		if wait := time.Until(idle.Add(delay)); wait <= 0 {
			due = append(due, image)
		} else if next == 0 || wait < next {
			next = wait
		}
	}
	im.mu.Unlock()
	for _, image := range due {
		if !im.remove(ctx, image) && (next == 0 || next > removeAgain) {
			next = removeAgain
		}
	}
	return next
}

// removeAgain is the pause after the Engine refused to remove an image.
const removeAgain = time.Minute

// remove removes an image that is still idle. It reports false when it should
// be tried again. A task that starts meanwhile either has its container
// already, and the Engine refuses, or it finds the image missing and pulls.
func (im *images) remove(ctx context.Context, image string) bool {
	im.mu.Lock()
	used := im.users[image] > 0
	im.mu.Unlock()
	if used {
		return true
	}
	_, err := im.d.cli().ImageRemove(ctx, image, client.ImageRemoveOptions{PruneChildren: true})
	if err != nil && !cerrdefs.IsNotFound(err) { // some other container uses it, or the Engine is down
		im.d.log.Debug("an image can't be removed yet", "image", image, "error", err)
		return false
	}
	im.d.log.Info("removed an image that no task uses", "image", image)
	im.mu.Lock()
	defer im.mu.Unlock()
	if im.users[image] == 0 { // else it is being pulled again, and stays ours
		delete(im.ours, image)
		im.save()
	}
	return true
}

const imagesFile = "docker-images.json"

// save writes the names of our images. The caller holds mu.
func (im *images) save() {
	if im.d.cfg.StateDir == "" {
		return
	}
	names := make([]string, 0, len(im.ours))
	for name := range im.ours {
		names = append(names, name)
	}
	b, err := json.Marshal(names)
	if err == nil {
		file := filepath.Join(im.d.cfg.StateDir, imagesFile)
		if err = os.WriteFile(file+".new", b, 0o600); err == nil {
			err = os.Rename(file+".new", file)
		}
	}
	if err != nil {
		im.d.log.Warn("the list of pulled images can't be saved; they may stay for ever", "error", err)
	}
}

// restore reads what an earlier agent saved. Images nobody uses any more are
// idle from now.
func (im *images) restore() {
	if im.d.cfg.StateDir == "" {
		return
	}
	b, err := os.ReadFile(filepath.Join(im.d.cfg.StateDir, imagesFile))
	var names []string
	if err == nil {
		err = json.Unmarshal(b, &names)
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			im.d.log.Warn("the list of pulled images can't be read; they stay", "error", err)
		}
		return
	}
	im.mu.Lock()
	defer im.mu.Unlock()
	for _, name := range names {
		if _, ok := im.ours[name]; !ok {
			im.ours[name] = time.Time{}
			if im.users[name] == 0 {
				im.ours[name] = time.Now()
			}
		}
	}
}

// registryOf returns the host of the registry an image comes from.
func registryOf(image string) string {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return ""
	}
	return strings.ToLower(reference.Domain(named))
}
