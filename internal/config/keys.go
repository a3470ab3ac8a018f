package config

import (
	"strings"

	"github.com/agext/levenshtein"
)

// Effect says what a key does.
type Effect uint8

// The effects.
const (
	Works   Effect = iota // does what its name says
	Warns                 // is known and does nothing; a warning says so
	Refused               // must not be set: its effect would be missed
)

// Key is one row of the table. A * stands for a name of the user's choice, a
// final ** for anything below.
type Key struct {
	Path     string
	Effect   Effect
	Note     string
	Harmless []string // values of a refused key that ask for nothing, beside zero ones
}

// block makes rows of the keys of one block; note says why they have no
// effect, or what to do instead of a refused one.
func block(prefix string, e Effect, note, names string) []Key {
	var out []Key
	for _, n := range strings.Fields(names) {
		if prefix != "" {
			n = prefix + "." + n
		}
		out = append(out, Key{Path: n, Effect: e, Note: note})
	}
	return out
}

// Notes that several rows share.
const (
	noAutopilot = "servers that fail stay members until somebody removes them"
	oneRegion   = "tokens and policies are not copied between regions yet: remove the key"
	noTemplate  = "templates are not rendered yet: jobs that use them are told so"
	noArtifact  = "artifacts are not fetched yet: jobs that use them are told so"
	noBridge    = "bridge networks are not there yet"
	noVariable  = "nothing is encrypted at rest yet, so there are no keys to keep"
	noConsul    = "Consul is not used yet"
	noVault     = "Vault is not used yet"
	noMetrics   = "metrics are served at /v1/metrics, in JSON and for Prometheus, and are not pushed"
	noLogFile   = "the log goes to standard error; let the service manager keep it"
)

// Keys is the table of all known keys.
func Keys() []Key {
	var t []Key
	add := func(prefix string, e Effect, note, names string) { t = append(t, block(prefix, e, note, names)...) }

	add("", Works, "", "region datacenter name data_dir log_level log_json bind_addr allow_insecure_bind http_api_response_headers.*")
	add("", Warns, noLogFile, "log_file log_include_location log_rotate_duration log_rotate_bytes log_rotate_max_files enable_syslog syslog_facility")
	add("", Works, "a server that the signal ends leaves its region for good; tasks live on all the same", "leave_on_interrupt leave_on_terminate")
	add("", Warns, "nothing is ever sent anywhere", "disable_update_check disable_anonymous_signature")
	add("", Warns, "drivers are part of the binary", "plugin_dir")
	add("", Works, "profiles and `/v1/agent/host` are served also without access control; dev agents always do", "enable_debug")

	for _, b := range []string{"ports", "addresses", "advertise"} {
		add(b, Works, "", "http rpc serf")
	}

	add("client", Works, "", `enabled state_dir alloc_dir servers node_class node_pool meta.* network_interface network_speed
		cpu_total_compute memory_total_mb disk_total_mb disk_free_mb reservable_cores max_kill_timeout min_dynamic_port max_dynamic_port
		reserved.cpu reserved.memory reserved.disk reserved.cores reserved.reserved_ports gc_interval gc_disk_usage_threshold
		gc_inode_usage_threshold gc_max_allocs disable_remote_exec max_exec_sessions cgroup_parent node_max_allocs
		host_volume.*.path host_volume.*.read_only host_network.*.cidr host_network.*.interface host_network.*.reserved_ports
		server_join.start_join server_join.retry_join log_retention.max_age log_retention.max_size_mb log_retention.keep_failed
		exec_recording.namespaces exec_recording.jobs exec_recording.input exec_recording.dir exec_recording.max_age
		exec_recording.max_size_mb exec_recording.max_session_mb`)
	add("client", Warns, "a node tries for ever, at most 15 s apart", "server_join.retry_max server_join.retry_interval")
	add("client", Warns, "options moved to blocks of their own long ago: use those, and plugin blocks for drivers", "options.*")
	add("client", Warns, "only the exec driver, which is not there yet, builds a root directory", "chroot_env.*")
	add("client", Warns, "nothing is mounted outside of an allocation's directory", "alloc_mounts_dir")
	add("client", Warns, "volumes are not created by jobs yet", "host_volumes_dir host_volume_plugin_dir gc_volumes_on_node_gc")
	add("client", Warns, "drivers are part of the binary", "common_plugin_dir client_min_port client_max_port")
	add("client", Warns, "addresses are taken as the interface has them", "preferred_address_family")
	add("client", Warns, "the clock rate is read from the kernel only", "cpu_disable_dmidecode")
	add("client", Warns, "directories are removed one after the other", "gc_parallel_destroys")
	add("client", Warns, "node IDs are always random", "no_host_uuid")
	add("client", Warns, noBridge, `cni_path cni_config_dir bridge_network_name bridge_network_subnet bridge_network_subnet_ipv6
		bridge_network_hairpin_mode`)
	add("client", Warns, "ports are bound as the job says", "bind_wildcard_default_host_network")
	add("client", Warns, "every node registers the services of its jobs in the built-in catalogue", "nomad_service_discovery")
	add("client", Warns, "use the API to make a node ineligible", "default_ineligible")
	add("client", Warns, noLogFile, "log_file")
	add("client.template", Warns, noTemplate, `function_denylist function_blacklist disable_file_sandbox max_stale block_query_wait wait.min wait.max wait.enabled
		wait_bounds.min wait_bounds.max wait_bounds.enabled consul_retry.attempts consul_retry.backoff consul_retry.max_backoff
		vault_retry.attempts vault_retry.backoff vault_retry.max_backoff nomad_retry.attempts nomad_retry.backoff nomad_retry.max_backoff
		vault_default_lease_duration use_client_consul_token`)
	add("client.artifact", Warns, noArtifact, `http_read_timeout http_max_size gcs_timeout git_timeout hg_timeout s3_timeout decompression_size_limit
		decompression_file_count_limit disable_filesystem_isolation filesystem_isolation_extra_paths disable_artifact_inspection
		set_environment_variables`)
	add("client.drain_on_shutdown", Warns, "drain the node with the API before stopping it", "deadline force ignore_system_jobs")
	add("client.users", Warns, "tasks run as the user of the job or of the agent", "dynamic_user_min dynamic_user_max")
	add("client.fingerprint", Warns, "fingerprints do not depend on services that need retries", "*.retry_interval *.retry_attempts *.exit_on_failure")

	add("server", Works, "", `enabled bootstrap_expect data_dir heartbeat_grace min_heartbeat_ttl max_heartbeats_per_second failover_heartbeat_ttl
		job_gc_interval job_gc_threshold eval_gc_threshold batch_eval_gc_threshold node_gc_threshold deployment_gc_threshold acl_token_gc_threshold
		root_key_rotation_threshold root_key_gc_interval root_key_gc_threshold oidc_issuer`)
	add("server", Works, "the first key of gossip; further ones are installed over the API and kept", "encrypt")
	add("server", Works, "", "rejoin_after_leave server_join.start_join server_join.retry_join server_join.retry_max server_join.retry_interval")
	add("server", Works, "", "start_join retry_join")
	add("server", Warns, "write them into the server_join block", "retry_max retry_interval")
	add("server", Warns, "every server votes, and all are treated alike", "non_voting_server redundancy_zone upgrade_version")
	add("server", Warns, "tokens and policies are not copied between regions yet: each region keeps its own", "authoritative_region")
	add("server", Warns, "the log's timing follows the number of servers", "raft_protocol raft_multiplier")
	add("server", Works, "evaluations that the leader processes at a time, one per processor unless set; 0: none", "num_schedulers")
	add("server", Works, "service, batch, system, sysbatch; `_core`, the collection of what is over, is always done", "enabled_schedulers")
	add("server", Warns, "set it once over the API: /v1/operator/scheduler/configuration", "default_scheduler_config.**")
	add("server", Warns, "one placer makes plans that are not rejected", "plan_rejection_tracker.enabled plan_rejection_tracker.node_threshold plan_rejection_tracker.node_window plan_apply_pipeline")
	add("server", Works, "", "enable_event_broker")
	add("server", Works, "changes whose events are kept for readers that come back, 4096 unless set; never more than 16 MiB", "event_buffer_size")
	add("server", Warns, "a search returns up to 20 matches of a context", "search.fuzzy_enabled search.limit_query search.limit_results search.min_term_length")
	add("server", Warns, "deployments wait for changes and do not poll", "deploy_query_rate_limit")
	add("server", Warns, "there is one kind of log", `raft_logstore.backend raft_logstore.boltdb.no_freelist_sync raft_logstore.wal.segment_size_mb
		raft_logstore.disable_log_cache raft_logstore.verification.enabled raft_logstore.verification.interval raft_boltdb.no_freelist_sync
		raft_snapshot_threshold raft_snapshot_interval raft_trailing_logs`)
	add("server", Warns, "bounds of jobs are fixed", "job_default_priority job_max_priority job_max_count job_max_source_size")
	add("server", Works, "versions of a job that are kept, 6 unless set; those with a name are kept beside them", "job_tracked_versions")
	add("server", Warns, "there is no such object to collect yet", `csi_volume_claim_gc_interval csi_volume_claim_gc_threshold csi_plugin_gc_threshold`)
	add("server", Warns, "one-time tokens that have expired go at every job_gc_interval", "one_time_token_gc_interval")
	add("server", Warns, "a server starts in well under a second", "start_timeout")
	add("server", Works, "new nodes without an introduction token: `none` lets them in, `warn` logs it, `strict` refuses them ([how](security/nodes.md))", "client_introduction.enforcement")
	add("server", Works, "life of an introduction token, 5m; the longest that may be asked for, 30m", "client_introduction.default_identity_ttl client_introduction.max_identity_ttl")
	add("server", Warns, "no licence is needed", "license_path license_env")

	add("acl", Works, "", "enabled token_min_expiration_ttl token_max_expiration_ttl")
	add("acl", Warns, "changes of tokens, policies and roles count at once", "token_ttl policy_ttl role_ttl")
	add("acl", Refused, oneRegion, "replication_token")
	add("rpc", Warns, "nodes and servers keep one connection, with bounds of its own", `accept_backlog keep_alive_interval connection_write_timeout
		stream_open_timeout stream_close_timeout dial_timeout`)
	add("limits", Works, "connections from one address, of IPv6 from one /64; 100, 0 is no bound", "http_max_conns_per_client")
	add("limits", Works, "the same for the rpc port; connections from this machine, and those that a server asked a node for, are not counted", "rpc_max_conns_per_client")
	add("limits", Works, "bounds the handshake, and with TLS also the headers of each request; 5s", "https_handshake_timeout")
	add("limits", Works, "bounds the time until a connection has said what it is; 5s", "rpc_handshake_timeout")
	add("limits", Works, "requests a second of one caller; 5000, 0 is no bound", "http_request_rate")
	add("limits", Works, "requests of one caller at once; 10000", "http_request_burst")
	add("limits", Works, "how long a caller may take nothing of its answer, or be late with its request; 30s; streams and sessions may wait", "http_stall_timeout")
	add("limits", Works, "websockets of one caller at a time; 100, 0 is no bound", "http_max_exec_per_client")
	add("limits", Works, "reads of logs and files of one caller at a time; 200, 0 is no bound", "http_max_streams_per_client")
	add("limits", Works, "blocking queries and event streams of one caller at a time; 5000, 0 is no bound", "http_max_watches_per_client")
	add("tls", Works, "", "http rpc")
	add("tls", Works, "read again at SIGHUP; a broken file changes nothing", "ca_file cert_file key_file")
	add("tls", Works, "must be true: servers and nodes always verify each other's role", "verify_server_hostname")
	add("tls", Works, "callers of the API need a certificate of the authority", "verify_https_client")
	add("tls", Works, "the rpc port takes plain connections, too: only for the time of a change to TLS", "rpc_upgrade_mode")
	add("tls", Works, "tls12 or tls13", "tls_min_version")
	add("tls", Works, "names with commas; weak suites are refused, those of TLS 1.3 are always offered", "tls_cipher_suites")
	add("tls", Warns, "the library puts the suites in order by what both machines do fast", "tls_prefer_server_cipher_suites")
	add("telemetry", Warns, noMetrics, `collection_interval in_memory_collection_interval in_memory_retention_period statsite_address statsd_address
		datadog_address datadog_tags prometheus_metrics disable_hostname use_node_name publish_allocation_metrics publish_node_metrics
		include_alloc_metadata_in_metrics allowed_metadata_keys_in_metrics prefix_filter filter_default disable_dispatched_job_summary_metrics
		disable_quota_utilization_metrics disable_rpc_rate_metrics_labels disable_allocation_hook_metrics circonus_api_token circonus_api_app
		circonus_api_url circonus_submission_interval circonus_submission_url circonus_check_id circonus_check_force_metric_activation
		circonus_check_instance_id circonus_check_search_tag circonus_check_tags circonus_check_display_name circonus_broker_id
		circonus_broker_select_tag`)
	add("autopilot", Warns, noAutopilot, `cleanup_dead_servers last_contact_threshold max_trailing_logs server_stabilization_time min_quorum
		enable_redundancy_zones disable_upgrade_migration enable_custom_upgrades`)
	add("consul", Warns, noConsul, `name address grpc_address token auth ssl verify_ssl ca_file cert_file key_file grpc_ca_file share_ssl timeout auto_advertise
		checks_use_advertise server_service_name server_http_check_name server_serf_check_name server_rpc_check_name client_service_name
		client_http_check_name tags server_auto_join client_auto_join service_identity.** task_identity.** service_auth_method task_auth_method
		namespace allow_unauthenticated`)
	add("vault", Warns, noVault, `name enabled address jwt_auth_backend_path create_from_role default_identity.** ca_file ca_path cert_file key_file
		tls_server_name tls_skip_verify tls_ca_file tls_ca_path tls_cert_file tls_key_file namespace token task_token_ttl allow_unauthenticated`)
	add("ui", Warns, "there is no user interface yet", `enabled content_security_policy.connect_src content_security_policy.default_src
		content_security_policy.form_action content_security_policy.frame_ancestors content_security_policy.img_src
		content_security_policy.script_src content_security_policy.style_src consul.ui_url vault.ui_url label.text label.background_color
		label.text_color show_cli_hints`)
	add("plugin", Works, "", "*.config.**")
	add("plugin", Warns, "drivers are part of the binary", "*.args")
	add("keyring", Refused, "root keys are wrapped by the key file of each server, <server.data_dir>/keyring.key, and by no other provider yet: remove the block", "*.name *.active *.**")
	add("eventlog", Warns, "Windows is not supported", "enabled level")
	add("audit", Works, "", "enabled")
	add("audit", Works, "each line holds the hash of the one before; check with drover audit verify", "hash_chain")
	add("audit", Works, "enforced unless set: what can't be recorded is refused; or best-effort", "sink.*.delivery_guarantee")
	add("audit", Works, "see [audit.md](audit.md)", "sink.*.path sink.*.mode sink.*.type sink.*.format sink.*.rotate_bytes sink.*.rotate_duration sink.*.rotate_max_files")
	add("audit", Works, "leaves out the records that match all of what it names", "filter.*.type filter.*.endpoints filter.*.stages filter.*.operations")
	add("sentinel", Refused, "there are no such policies: remove the block", "import.**")
	add("reporting", Warns, "nothing is ever sent anywhere", "license.enabled export_interval address disable_product_usage_reporting")
	return t
}

// table finds keys by their path.
type table struct{ rows []Key }

func newTable() *table { return &table{Keys()} }

// find returns the row of a path. inner is true when the path is that of a
// block that has rows below it.
func (t *table) find(path []string) (row *Key, inner bool) {
	for i := range t.rows {
		switch match(strings.Split(t.rows[i].Path, "."), path) {
		case whole:
			return &t.rows[i], false
		case part:
			inner = true
		}
	}
	return nil, inner
}

type matched int

const (
	none  matched = iota
	part          // path is above the pattern
	whole         // path is the pattern's
)

func match(pattern, path []string) matched {
	for i, name := range path {
		if i == len(pattern) {
			return none
		}
		if pattern[i] == "**" {
			return whole
		}
		if pattern[i] != "*" && pattern[i] != name {
			return none
		}
	}
	switch rest := pattern[len(path):]; {
	case len(rest) == 0, len(rest) == 1 && rest[0] == "**":
		return whole
	}
	return part
}

// nearest returns the known key beside path that is most like it, or "".
func (t *table) nearest(path []string) string {
	name := path[len(path)-1]
	best, bestAt := "", len(name)/2+1 // more different is no likeness
	for _, row := range t.rows {
		pattern := strings.Split(row.Path, ".")
		if len(pattern) < len(path) || match(pattern[:len(path)-1], path[:len(path)-1]) != whole && len(path) > 1 {
			continue
		}
		if k := pattern[len(path)-1]; !strings.HasPrefix(k, "*") {
			if d := levenshtein.Distance(name, k, nil); d < bestAt {
				best, bestAt = k, d
			}
		}
	}
	return best
}
