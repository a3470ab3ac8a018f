package config

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxFile bounds one configuration file.
const maxFile = 1 << 20

// Flag is a command line flag that sets a key.
type Flag struct {
	Name string // without hyphens
	Key  string
	Bool bool // takes no value
	List bool // may be given several times, or with commas
	Help string
}

// Flags are the flags that set keys; -dev and -config are for Load itself.
func Flags() []Flag {
	return []Flag{
		{Name: "server", Key: "server.enabled", Bool: true, Help: "run the server part"},
		{Name: "client", Key: "client.enabled", Bool: true, Help: "run the node part"},
		{Name: "bootstrap-expect", Key: "server.bootstrap_expect", Help: "how many servers form the region; 0 joins one that is there"},
		{Name: "encrypt", Key: "server.encrypt", Help: "key that gossip is encrypted with, in base64"},
		{Name: "join", Key: "server.server_join.start_join", List: true, Help: "serf addresses of servers to join, one of which must answer"},
		{Name: "retry-join", Key: "server.server_join.retry_join", List: true, Help: "serf addresses of servers to join until one answers"},
		{Name: "data-dir", Key: "data_dir", Help: "where state lives"},
		{Name: "alloc-dir", Key: "client.alloc_dir", Help: "where allocations live"},
		{Name: "state-dir", Key: "client.state_dir", Help: "where the node's state lives"},
		{Name: "bind", Key: "bind_addr", Help: "address to listen on"},
		{Name: "allow-insecure-bind", Key: "allow_insecure_bind", Bool: true, Help: "listen beyond the loopback interface although everybody there may do everything"},
		{Name: "tls", Key: "tls.http", Bool: true, Help: "serve the API over https; with -dev the certificates are made"},
		{Name: "region", Key: "region", Help: "region of this agent"},
		{Name: "dc", Key: "datacenter", Help: "datacenter of this agent"},
		{Name: "node", Key: "name", Help: "name of this agent"},
		{Name: "node-class", Key: "client.node_class", Help: "class of this node"},
		{Name: "node-pool", Key: "client.node_pool", Help: "pool of this node"},
		{Name: "servers", Key: "client.servers", List: true, Help: "addresses of servers"},
		{Name: "meta", Key: "client.meta", List: true, Help: "key=value of this node"},
		{Name: "network-interface", Key: "client.network_interface", Help: "interface of allocations"},
		{Name: "log-level", Key: "log_level", Help: "TRACE, DEBUG, INFO, WARN or ERROR"},
		{Name: "log-json", Key: "log_json", Bool: true, Help: "log in JSON"},
	}
}

// Load makes the configuration of files and directories, in order, and then
// flags (by name, as in Flags), over Dev or Default. It is validated. The
// warnings name what has no effect. A dev agent is server and node always.
func Load(dev bool, paths []string, flags map[string][]string) (*Config, []string, error) {
	c := Default()
	if dev {
		c = Dev()
	}
	d := &decoder{table: newTable()}
	for _, path := range paths {
		files, err := filesOf(path)
		if err != nil {
			return nil, nil, err
		}
		for _, file := range files {
			v, err := readFile(file)
			if err != nil {
				return nil, nil, err
			}
			if err := d.file(v, c); err != nil {
				return nil, nil, err
			}
		}
	}
	for _, f := range Flags() {
		texts, ok := flags[f.Name]
		if !ok {
			continue
		}
		if err := d.file(f.value(texts), c); err != nil {
			return nil, nil, err
		}
	}
	for name := range flags {
		if !slices.ContainsFunc(Flags(), func(f Flag) bool { return f.Name == name }) {
			return nil, nil, fmt.Errorf("-%s is not a flag of the configuration", name)
		}
	}
	if dev { // whatever files say that were written for an agent of one kind
		c.Server.Enabled, c.Client.Enabled, c.Server.BootstrapExpect = true, true, 1
	}
	if c.Name == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, nil, fmt.Errorf("the host has no name (%w): set \"name\"", err)
		}
		c.Name = host
	}
	if err := c.Validate(); err != nil {
		return nil, nil, err
	}
	return c, d.warnings, nil
}

// value is what a file would hold to say the same.
func (f Flag) value(texts []string) *value {
	at := place{file: "-" + f.Name}
	leaf := &value{at: at}
	var items []string
	for _, t := range texts {
		items = append(items, strings.Split(t, ",")...)
	}
	switch {
	case f.Key == "client.meta":
		leaf.kind = object
		for _, item := range items {
			k, v, _ := strings.Cut(item, "=")
			leaf.object = append(leaf.object, field{k, &value{at: at, scalar: v}})
		}
	case f.List:
		leaf.kind = list
		for _, item := range items {
			leaf.list = append(leaf.list, &value{at: at, scalar: item})
		}
	default:
		leaf.scalar = texts[len(texts)-1]
	}
	path := strings.Split(f.Key, ".")
	for i := len(path) - 1; i >= 0; i-- {
		leaf = &value{at: at, kind: object, object: []field{{path[i], leaf}}}
	}
	return leaf
}

// filesOf returns a file, or a directory's files in lexical order.
func filesOf(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path) // sorted by name
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	var files []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); !e.IsDir() && (ext == ".hcl" || ext == ".json") && !strings.HasPrefix(e.Name(), ".") {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	return files, nil
}

func readFile(path string) (*value, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if len(src) > maxFile {
		return nil, fmt.Errorf("configuration: %s is larger than %d bytes", path, maxFile)
	}
	return parse(path, src)
}
