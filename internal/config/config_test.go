package config

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/configuration.md")

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEveryKnownKeyHasARow(t *testing.T) {
	b, err := os.ReadFile("testdata/known-keys.txt")
	if err != nil {
		t.Fatal(err)
	}
	table := newTable()
	n := 0
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		prefix := ""
		for _, name := range strings.Fields(line) {
			if strings.HasSuffix(name, ".") {
				prefix = name
				continue
			}
			n++
			if row, _ := table.find(strings.Split(prefix+name, ".")); row == nil {
				t.Errorf("%s%s has no row", prefix, name)
			}
		}
	}
	if n < 310 {
		t.Errorf("only %d keys were looked at", n)
	}
}

func TestRowsAndStructAgree(t *testing.T) {
	var walk func(typ reflect.Type, path string, leaf func(string))
	walk = func(typ reflect.Type, path string, leaf func(string)) {
		switch {
		case typ == reflect.TypeFor[map[string]any]():
			leaf(path + ".**")
		case typ.Kind() == reflect.Map && typ.Elem().Kind() == reflect.Struct:
			walk(typ.Elem(), path+".*", leaf)
		case typ.Kind() == reflect.Map:
			leaf(path + ".*")
		case typ.Kind() == reflect.Struct:
			for i := range typ.NumField() {
				if key := typ.Field(i).Tag.Get("key"); key != "" {
					walk(typ.Field(i).Type, strings.TrimPrefix(path+"."+key, "."), leaf)
				}
			}
		default:
			leaf(path)
		}
	}
	var fields, rows []string
	walk(reflect.TypeFor[Config](), "", func(p string) { fields = append(fields, p) })
	for _, k := range Keys() {
		if k.Effect == Works {
			rows = append(rows, k.Path)
		} else if k.Note == "" {
			t.Errorf("%s has no effect and no note", k.Path)
		}
	}
	slices.Sort(fields)
	slices.Sort(rows)
	if diff := cmp.Diff(fields, rows); diff != "" {
		t.Errorf("fields of Config (-) and keys that work (+): %s", diff)
	}
}

func TestDocumentIsOfTheTable(t *testing.T) {
	const path = "../../docs/configuration.md"
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(Markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != Markdown() {
		t.Fatal("docs/configuration.md is not what the table says: go test ./internal/config -update")
	}
}

const sampleHCL = `
name = "web-1"
data_dir = "/var/lib/drover"
log_level = "DEBUG"
bind_addr = "10.0.0.1"
allow_insecure_bind = true

ports {
  http = 5646
}
client {
  enabled = true
  servers = ["10.0.0.2", "10.0.0.3:5647"]
  meta {
    "rack.row" = "r1"
    zone       = "z"
  }
  reserved { reserved_ports = "22,80" }
  host_volume "certs" {
    path      = "/etc/certs"
    read_only = true
  }
  gc_interval = "2m"
}
plugin "docker" {
  config {
    allow_privileged = true
    volumes { enabled = true }
    extra_labels = ["job_name"]
  }
}
telemetry { prometheus_metrics = true }
`

func TestHCLAndJSONSayTheSame(t *testing.T) {
	json := `{
  "name": "web-1", "data_dir": "/var/lib/drover", "log_level": "DEBUG", "bind_addr": "10.0.0.1", "allow_insecure_bind": true,
  "ports": {"http": 5646},
  "client": [{"enabled": true, "servers": ["10.0.0.2", "10.0.0.3:5647"], "meta": {"rack.row": "r1", "zone": "z"},
    "reserved": {"reserved_ports": "22,80"}, "host_volume": {"certs": {"path": "/etc/certs", "read_only": true}}, "gc_interval": "2m"}],
  "plugin": {"docker": {"config": {"allow_privileged": true, "volumes": {"enabled": true}, "extra_labels": ["job_name"]}}},
  "telemetry": {"prometheus_metrics": true}
}`
	fromHCL, warnings, err := Load(false, []string{write(t, "a.hcl", sampleHCL)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	fromJSON, _, err := Load(false, []string{write(t, "a.json", json)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fromHCL, fromJSON); diff != "" {
		t.Error(diff)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "a.hcl:32") || !strings.Contains(warnings[0], "telemetry.prometheus_metrics") {
		t.Errorf("warnings: %q", warnings)
	}
	c := fromHCL
	if c.Client.Meta["rack.row"] != "r1" || c.Client.Meta["zone"] != "z" || c.Client.GCInterval != 2*time.Minute || !c.Client.HostVolumes["certs"].ReadOnly {
		t.Errorf("%+v", c.Client)
	}
	if c.HTTPBind() != "10.0.0.1:5646" || c.RPCBind() != "10.0.0.1:4647" {
		t.Error(c.HTTPBind(), c.RPCBind())
	}
	if diff := cmp.Diff([]string{"10.0.0.2:4647", "10.0.0.3:5647"}, c.ServerAddresses()); diff != "" {
		t.Error(diff)
	}
	want := map[string]any{"allow_privileged": true, "volumes": map[string]any{"enabled": true}, "extra_labels": []any{"job_name"}}
	if diff := cmp.Diff(want, c.Plugins["docker"].Config); diff != "" {
		t.Error(diff)
	}
	if c.Region != "global" || c.Client.GCMaxAllocs != 50 {
		t.Error("defaults are gone")
	}
}

func TestMistakesNameTheirPlace(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"typo":             {"data_dirr = \"/x\"\n", `a.hcl:1: unknown key "data_dirr": did you mean "data_dir"?`},
		"typo in a block":  {"client {\n  enabled = true\n  node_clas = \"x\"\n}\n", `a.hcl:3: unknown key "client.node_clas": did you mean "node_class"?`},
		"typo of a block":  {"\nclientt {\n}\n", `a.hcl:2: unknown key "clientt": did you mean "client"?`},
		"nothing like it":  {"qqqqqqqq = 1\n", `a.hcl:1: unknown key "qqqqqqqq"`},
		"typo in a volume": {"client {\n host_volume \"a\" {\n  pth = \"/\"\n }\n}\n", `a.hcl:3: unknown key "client.host_volume.a.pth": did you mean "path"?`},
		"syntax":           {"client {\n", `a.hcl:1`},
		"type":             {"ports {\n http = \"x\"\n}\n", `a.hcl:2: "ports.http" must be a number, not "x"`},
		"fraction":         {"ports {\n http = 1.5\n}\n", `must be a whole number`},
		"duration":         {"client {\n gc_interval = 5\n}\n", `a.hcl:2: "client.gc_interval" must be a duration like "30s"`},
		"block for value":  {"data_dir {\n}\n", `a.hcl:1: "data_dir" must be text, not a block`},
		"value for block":  {"client = 1\n", `a.hcl:1: "client" must be a block, not a number`},
		"variable":         {"data_dir = foo\n", `a.hcl:1`},
		"security: acl":    {"acl {\n replication_token = \"x\"\n}\n", `a.hcl:2: "acl.replication_token" can't be honoured: tokens and policies are not copied`},
		"security: gossip": {"server {\n encrypt = \"abc\"\n}\n", `server.encrypt must be 16, 24 or 32 bytes in base64`},
		"json line":        {"{\n \"client\": {\n  \"enabledd\": true\n }\n}", `a.hcl:3: unknown key "client.enabledd": did you mean "enabled"?`},
		"json syntax":      {"{\n \"client\": \n", `a.hcl:`},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Load(true, []string{write(t, "a.hcl", test.text)}, nil)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v\nwant …%s", err, test.want)
			}
		})
	}
}

func TestHarmlessSecurityKeysAreAccepted(t *testing.T) {
	text := "acl { enabled = false }\ntls {\n http = false\n rpc = false\n}\nserver {\n client_introduction { enforcement = \"none\" }\n}\n"
	if _, _, err := Load(true, []string{write(t, "a.hcl", text)}, nil); err != nil {
		t.Fatal(err)
	}
}

func TestDirectoriesAndFlagsOverlay(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"10-a.hcl":    "name = \"a\"\nclient {\n meta {\n x = \"1\"\n y = \"1\"\n }\n servers = [\"s1\", \"s2\"]\n}\n",
		"20-b.json":   `{"name": "b", "client": {"meta": {"y": "2"}, "servers": ["s3"]}}`,
		"ignored.md":  "not a configuration",
		".hidden.hcl": "neither = 1\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, _, err := Load(true, []string{dir}, map[string][]string{"meta": {"z=3,y=4"}, "log-level": {"warn"}, "servers": {"s4,s5", "s6"}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "b" || c.LogLevel != "warn" {
		t.Error(c.Name, c.LogLevel)
	}
	if diff := cmp.Diff(map[string]string{"x": "1", "y": "4", "z": "3"}, c.Client.Meta); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"s4", "s5", "s6"}, c.Client.Servers); diff != "" {
		t.Error(diff)
	}
	if _, _, err := Load(true, nil, map[string][]string{"nonsense": {"1"}}); err == nil {
		t.Error("an unknown flag was taken")
	}
	if _, _, err := Load(true, nil, map[string][]string{"bootstrap-expect": {"x"}}); err == nil || !strings.Contains(err.Error(), "-bootstrap-expect:") {
		t.Errorf("got %v", err)
	}
}

func TestFlagsNameKeysThatWork(t *testing.T) {
	table := newTable()
	for _, f := range Flags() {
		path := strings.Split(f.Key, ".")
		if f.Key == "client.meta" {
			path = append(path, "x")
		}
		if row, _ := table.find(path); row == nil || row.Effect != Works {
			t.Errorf("-%s sets %s, which does not work", f.Name, f.Key)
		}
	}
}

func TestValidate(t *testing.T) {
	if err := Dev().with(func(*Config) {}).Validate(); err != nil {
		t.Fatalf("dev: %v", err)
	}
	for name, test := range map[string]struct {
		change func(*Config)
		want   string // empty: valid
	}{
		"open to everybody": {func(c *Config) { c.BindAddr = "0.0.0.0" }, "allow_insecure_bind"},
		"open over IPv6":    {func(c *Config) { c.BindAddr = "::" }, "allow_insecure_bind"},
		"http open":         {func(c *Config) { c.Addresses.HTTP = "10.1.2.3" }, "addresses.http 10.1.2.3"},
		"rpc open":          {func(c *Config) { c.Addresses.RPC = "10.1.2.3" }, "addresses.rpc 10.1.2.3"},
		"open on purpose":   {func(c *Config) { c.BindAddr = "0.0.0.0"; c.AllowInsecureBind = true }, ""},
		"both on loopback":  {func(c *Config) { c.BindAddr = "0.0.0.0"; c.Addresses = Addresses{HTTP: "127.0.0.1", RPC: "::1"} }, ""},
		"rpc of a node is not bound": {func(c *Config) {
			c.Server.Enabled, c.Addresses.RPC, c.Client.Servers = false, "10.1.2.3", []string{"s"}
		}, ""},
		"bind to a name":           {func(c *Config) { c.BindAddr = "localhost" }, "must be an IP address"},
		"nothing to run":           {func(c *Config) { c.Server.Enabled, c.Client.Enabled = false, false }, "nothing is to be run"},
		"no data_dir":              {func(c *Config) { c.Dev = false }, "data_dir is required"},
		"relative dir":             {func(c *Config) { c.DataDir = "x" }, "absolute"},
		"three servers":            {func(c *Config) { c.Server.BootstrapExpect = 3 }, ""},
		"servers, ACLs and no TLS": {func(c *Config) { c.Server.BootstrapExpect, c.ACL.Enabled = 3, true }, "set tls.rpc"},
		"too many servers":         {func(c *Config) { c.Server.BootstrapExpect = 99 }, "bootstrap_expect 99"},
		"gossip in the open": {func(c *Config) {
			c.Server.BootstrapExpect, c.Addresses.Serf = 0, "10.1.2.3"
		}, "set server.encrypt"},
		"encrypted gossip": {func(c *Config) {
			c.Server.BootstrapExpect, c.Addresses.Serf, c.Server.Encrypt = 0, "10.1.2.3", "MDEyMzQ1Njc4OWFiY2RlZg=="
		}, ""},
		"alone in the open": {func(c *Config) { c.Addresses.Serf = "10.1.2.3" }, ""},
		"a bad key":         {func(c *Config) { c.Server.Encrypt = "MDEyMw==" }, "16, 24 or 32 bytes"},
		"serf on rpc":       {func(c *Config) { c.Ports.Serf = c.Ports.RPC }, "one of its own"},
		"node alone":        {func(c *Config) { c.Server.Enabled = false }, "client.servers is empty"},
		"level":             {func(c *Config) { c.LogLevel = "LOUD" }, "log_level"},
		"port":              {func(c *Config) { c.Ports.HTTP = 70000 }, "ports.http"},
		"same port":         {func(c *Config) { c.Ports.HTTP = c.Ports.RPC }, "must differ"},
		"any ports":         {func(c *Config) { c.Ports.HTTP, c.Ports.RPC = 0, 0 }, ""},
		"dynamic ports":     {func(c *Config) { c.Client.MinDynamicPort = 40000 }, "dynamic"},
		"cores":             {func(c *Config) { c.Client.Reserved.Cores = "3-1" }, "set of cores"},
		"name with spaces":  {func(c *Config) { c.Name = "a b" }, "without spaces"},
		"volume":            {func(c *Config) { c.Client.HostVolumes = map[string]HostVolume{"v": {Path: "x"}} }, "must be absolute"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Dev().with(test.change).Validate()
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
		})
	}
}

func (c *Config) with(change func(*Config)) *Config {
	c.Name = "host"
	change(c)
	return c
}

func TestParseCores(t *testing.T) {
	got, err := ParseCores("0-2, 8")
	if err != nil || !slices.Equal(got, []uint16{0, 1, 2, 8}) {
		t.Fatal(got, err)
	}
}
