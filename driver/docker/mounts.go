package docker

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/mount"

	"github.com/drover-org/drover/driver"
)

// Where a container sees the allocation's directories.
const (
	sharedPath  = "/alloc"
	localPath   = "/local"
	secretsPath = "/secrets"
)

// volume is one entry of the volumes key.
type volume struct {
	source, target string
	readOnly       bool
	options        []string // of the Engine: z, Z, nocopy, rshared …
}

func parseVolume(s string) (volume, error) {
	parts := strings.Split(s, ":")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || !path.IsAbs(parts[1]) {
		return volume{}, invalid("volumes", "%q is not of the form source:/target or source:/target:ro", s)
	}
	v := volume{source: parts[0], target: parts[1]}
	if len(parts) == 3 {
		for option := range strings.SplitSeq(parts[2], ",") {
			switch option {
			case "ro":
				v.readOnly = true
			case "rw":
			case "z", "Z", "nocopy", "private", "rprivate", "shared", "rshared", "slave", "rslave":
				v.options = append(v.options, option)
			default:
				return volume{}, invalid("volumes", "%q: unknown option %q", s, option)
			}
		}
	}
	return v, nil
}

// mounts collects what a container sees of the host. Binds are for what the
// Engine can express there only: volume drivers and labels.
type mounts struct {
	binds  []string
	mounts []mount.Mount
}

func (c *Config) mounts(cfg *driver.TaskConfig, tc *taskConfig) (*mounts, error) {
	m := &mounts{}
	for _, dir := range [][2]string{{cfg.SharedDir, sharedPath}, {cfg.LocalDir, localPath}, {cfg.SecretsDir, secretsPath}} {
		if dir[0] != "" {
			m.bind(c, dir[0], dir[1], false, nil)
		}
	}
	for _, given := range cfg.Mounts {
		m.bind(c, given.HostPath, given.TaskPath, given.ReadOnly, nil)
	}
	for _, s := range tc.Volumes {
		v, err := parseVolume(s)
		if err != nil {
			return nil, err
		}
		if tc.VolumeDriver != "" && !filepath.IsAbs(v.source) {
			m.named(v)
			continue
		}
		source, err := c.hostPath("volumes", cfg, v.source)
		if err != nil {
			return nil, err
		}
		m.bind(c, source, v.target, v.readOnly, v.options)
	}
	for _, given := range slices.Concat(tc.Mount, tc.Mounts) {
		converted, err := c.mount(cfg, given)
		if err != nil {
			return nil, err
		}
		m.mounts = append(m.mounts, converted)
	}
	return m, nil
}

func (m *mounts) bind(c *Config, source, target string, readOnly bool, options []string) {
	if label := c.Volumes.SELinuxLabel; label != "" && !slices.Contains(options, label) {
		options = append(slices.Clone(options), label)
	}
	if len(options) == 0 {
		m.mounts = append(m.mounts, mount.Mount{Type: mount.TypeBind, Source: source, Target: target, ReadOnly: readOnly})
		return
	}
	m.named(volume{source: source, target: target, readOnly: readOnly, options: options})
}

func (m *mounts) named(v volume) {
	options := slices.Clone(v.options)
	if v.readOnly {
		options = append(options, "ro")
	}
	bind := v.source + ":" + v.target
	if len(options) > 0 {
		bind += ":" + strings.Join(options, ",")
	}
	m.binds = append(m.binds, bind)
}

func (c *Config) mount(cfg *driver.TaskConfig, given mountConfig) (mount.Mount, error) {
	m := mount.Mount{Type: mount.Type(given.kind()), Source: given.Source, Target: given.Target, ReadOnly: given.ReadOnly}
	switch m.Type {
	case mount.TypeBind:
		source, err := c.hostPath("mount", cfg, given.Source)
		if err != nil {
			return m, err
		}
		m.Source = source
		if given.Bind != nil {
			m.BindOptions = &mount.BindOptions{Propagation: mount.Propagation(given.Bind.Propagation)}
		}
	case mount.TypeVolume:
		if o := given.Volume; o != nil {
			m.VolumeOptions = &mount.VolumeOptions{NoCopy: o.NoCopy, Labels: o.Labels}
			if o.Driver != nil {
				m.VolumeOptions.DriverConfig = &mount.Driver{Name: o.Driver.Name, Options: o.Driver.Options}
			}
		}
	case mount.TypeTmpfs:
		if o := given.Tmpfs; o != nil {
			m.TmpfsOptions = &mount.TmpfsOptions{SizeBytes: o.Size, Mode: os.FileMode(o.Mode)}
		}
	}
	return m, nil
}

// hostPath resolves a source that a task asks for. A relative one is inside
// the task's directory and made if it is missing. Unless volumes are enabled
// the path must end, with every link followed, inside the allocation's
// directory, and it is the followed path that is mounted: a link changed
// later changes nothing.
func (c *Config) hostPath(key string, cfg *driver.TaskConfig, source string) (string, error) {
	full := filepath.Clean(source)
	relative := !filepath.IsAbs(source)
	if relative {
		full = filepath.Join(cfg.TaskDir, source)
	}
	within, err := filepath.Rel(cfg.AllocDir, full)
	inside := err == nil && filepath.IsLocal(within)
	if !inside {
		if c.Volumes.Enabled && !relative {
			return full, nil
		}
		return "", c.outside(key, source)
	}
	root, err := os.OpenRoot(cfg.AllocDir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	if _, err := root.Stat(within); os.IsNotExist(err) && relative {
		// Also the answer for a link whose target is missing: MkdirAll fails
		// then, inside or outside.
		if err := root.MkdirAll(within, 0o777); err != nil {
			return "", invalid(key, "%q: %w", source, err)
		}
	} else if err != nil {
		if c.Volumes.Enabled {
			return full, nil
		}
		return "", invalid(key, "%q: it must exist inside the allocation's directory: %w", source, err)
	}
	return c.followed(key, cfg, source, full)
}

func (c *Config) followed(key string, cfg *driver.TaskConfig, source, full string) (string, error) {
	base, err := filepath.EvalSymlinks(cfg.AllocDir)
	if err != nil {
		return "", err
	}
	resolved, err := filepath.EvalSymlinks(full)
	if err != nil {
		return "", invalid(key, "%q: %w", source, err)
	}
	if within, err := filepath.Rel(base, resolved); (err != nil || !filepath.IsLocal(within)) && !c.Volumes.Enabled {
		return "", c.outside(key, source)
	}
	return resolved, nil
}

func (c *Config) outside(key, source string) error {
	if c.Volumes.Enabled {
		return invalid(key, "%q leads out of the allocation's directory; use an absolute path", source)
	}
	return forbidden(key, "%q leads out of the allocation's directory; the operator has to set volumes.enabled", source)
}
