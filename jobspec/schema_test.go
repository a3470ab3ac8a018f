package jobspec

import (
	"reflect"
	"strings"
	"testing"

	"github.com/drover-org/drover/api"
)

// Exceptions name types and fields that exist.
func TestExceptionsExist(t *testing.T) {
	byName := make(map[string]reflect.Type)
	for typ := range nouns() {
		byName[typ.Name()] = typ
	}
	for name, list := range exceptions {
		typ, ok := byName[name]
		if !ok {
			t.Errorf("%s is no type of a job", name)
			continue
		}
		for _, e := range strings.Fields(list) {
			field, _, _ := strings.Cut(e, "=")
			if _, ok := typ.FieldByName(field); !ok {
				t.Errorf("%s.%s is no field", name, field)
			}
		}
	}
}

// The names of HCL are an interface of their own: this pins the irregular ones.
func TestNames(t *testing.T) {
	for _, tt := range []struct {
		typ   reflect.Type
		names string
	}{
		{reflect.TypeFor[api.Job](), "id name group constraint affinity spread update periodic parameterized multiregion ui node_pool all_at_once task vault secret reschedule migrate"},
		{reflect.TypeFor[api.TaskGroup](), "count shutdown_delay max_run_duration meta task volume network service restart reschedule disconnect ephemeral_disk update migrate scaling consul stop_after_client_disconnect max_client_disconnect prevent_reschedule_on_lost"},
		{reflect.TypeFor[api.Task](), "driver user config env meta kill_timeout kill_signal leader shutdown_delay kind lifecycle resources restart logs artifact template vault consul identity secret action service volume_mount constraint affinity dispatch_payload csi_plugin scaling schedule"},
		{reflect.TypeFor[api.Resources](), "cpu cores memory memory_max disk secrets iops network device numa"},
		{reflect.TypeFor[api.Service](), "name provider port address address_mode tags canary_tags enable_tag_override meta canary_meta tagged_addresses task on_update cluster kind weights identity check check_restart connect"},
		{reflect.TypeFor[api.ServiceCheck](), "name type command args path method body header protocol port address_mode advertise expose interval timeout initial_status notes tls_server_name tls_skip_verify grpc_service grpc_use_tls task success_before_passing failures_before_critical failures_before_warning on_update check_restart"},
		{reflect.TypeFor[api.Template](), "source data destination change_mode change_signal change_script once splay perms uid gid left_delimiter right_delimiter env error_on_missing_key wait vault_grace"},
		{reflect.TypeFor[api.VolumeRequest](), "type source read_only sticky access_mode attachment_mode mount_options per_alloc"},
		{reflect.TypeFor[api.CSIMountOptions](), "fs_type mount_flags"},
		{reflect.TypeFor[api.VolumeMount](), "volume destination read_only propagation_mode selinux_label"},
		{reflect.TypeFor[api.WorkloadIdentity](), "name aud change_mode change_signal env file filepath ttl extra_claims service_name"},
		{reflect.TypeFor[api.NetworkResource](), "mode hostname device cidr ip mbits dns cni port"},
		{reflect.TypeFor[api.ConsulUpstream](), "destination_name destination_namespace destination_peer destination_partition destination_type local_bind_port local_bind_address local_bind_socket_path local_bind_socket_mode datacenter mesh_gateway config"},
		{reflect.TypeFor[api.ConsulProxy](), "local_service_address local_service_port expose upstreams transparent_proxy config"},
		{reflect.TypeFor[api.ConsulTransparentProxy](), "uid outbound_port exclude_inbound_ports exclude_outbound_ports exclude_outbound_cidrs exclude_uids no_dns"},
		{reflect.TypeFor[api.ConsulGatewayProxy](), "connect_timeout envoy_gateway_bind_addresses envoy_gateway_bind_tagged_addresses envoy_gateway_no_default_bind envoy_dns_discovery_type config"},
		{reflect.TypeFor[api.ConsulLinkedService](), "name ca_file cert_file key_file sni"},
		{reflect.TypeFor[api.TaskCSIPluginConfig](), "id type mount_dir stage_publish_base_dir health_timeout"},
		{reflect.TypeFor[api.Vault](), "role policies namespace cluster env disable_file change_mode change_signal allow_token_expiration"},
		{reflect.TypeFor[api.TaskArtifact](), "source destination mode options headers insecure chown"},
		{reflect.TypeFor[api.PeriodicConfig](), "enabled cron crons prohibit_overlap time_zone"},
	} {
		n := nouns()[tt.typ]
		have := make(map[string]bool)
		for _, name := range n.names(tt.typ) {
			have[name] = true
		}
		for _, name := range strings.Fields(tt.names) {
			if !have[name] {
				t.Errorf("%s has no %q", tt.typ.Name(), name)
			}
		}
	}
}
