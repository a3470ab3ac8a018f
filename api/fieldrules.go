package api

// fieldRule says what this release does with some fields of one noun.
type fieldRule struct {
	noun   string
	fields string // separated by spaces
	Support
}

func works(note string) Support   { return Support{Level: SupportWorks, Note: note} }
func warns(note string) Support   { return Support{Level: SupportWarns, Note: note} }
func refused(note string) Support { return Support{Level: SupportRefused, Note: note} }

// except gives the values of a field that work.
func (s Support) except(values ...string) Support {
	s.Values = values
	return s
}

// serverSet is the note of what servers set.
const serverSet = "set by the server, ignored in a request"

// driversAtHand run on nodes of this release. A job may also name one of
// driversExpected, which others know: it is warned of and waits for a node
// that has it.
var (
	driversAtHand   = []string{"docker", "mock_driver", "raw_exec"}
	driversExpected = []string{"exec", "java", "qemu"}
)

// fieldRules is what the field table is made of. Whoever makes a field work
// changes its row here and writes docs/jobspec-fields.md anew:
//
//	go test ./api -run FieldDocs -update
func fieldRules() []fieldRule {
	ok, server := works(""), works(serverSet)
	mesh := refused("there is no service mesh; remove the connect block")
	return []fieldRule{
		{"Job", "Region Namespace ID Name Type Priority Datacenters NodePool Constraints Affinities Spreads TaskGroups Update Reschedule Meta UI", ok},
		{"Job", "Migrate", works("inherited by the groups")},
		{"Job", "AllAtOnce", warns("allocations start as soon as there is room for each")},
		{"Job", "Multiregion", refused("register the job in each region")},
		{"Job", "Periodic ParameterizedJob", ok},
		{"PeriodicConfig", "Enabled Spec Specs SpecType ProhibitOverlap TimeZone", ok},
		{"ParameterizedConfig", "Payload MetaRequired MetaOptional", ok},
		{"Job", "ConsulToken VaultToken", warns("tokens in jobs are neither used nor stored")},
		{"Job", "Stop ParentID Dispatched DispatchIdempotencyToken Payload ConsulNamespace VaultNamespace NomadTokenID Status StatusDescription Stable Version SubmitTime CreateIndex ModifyIndex JobModifyIndex VersionTag", server},
		{"JobUI", "Description Links", ok},
		{"JobUILink", "Label URL", ok},
		{"JobVersionTag", "Name Description TaggedTime", server},

		{"Constraint", "LTarget RTarget Operand", ok},
		{"Affinity", "LTarget RTarget Operand Weight", ok},
		{"Spread", "Attribute Weight SpreadTarget", ok},
		{"SpreadTarget", "Value Percent", ok},
		{"UpdateStrategy", "MaxParallel MinHealthyTime HealthyDeadline ProgressDeadline Canary AutoRevert AutoPromote", ok},
		{"UpdateStrategy", "HealthCheck", ok},
		{"UpdateStrategy", "Stagger", works("for system jobs; in service jobs a rollout goes on when allocations are healthy, and a value draws a warning")},
		{"RestartPolicy", "Attempts Interval Delay Mode", ok},
		{"RestartPolicy", "RenderTemplates", warns("there are no templates")},
		{"ReschedulePolicy", "Attempts Interval Delay DelayFunction MaxDelay Unlimited", ok},
		{"MigrateStrategy", "MaxParallel MinHealthyTime HealthyDeadline", works("while a node is drained")},
		{"MigrateStrategy", "HealthCheck", works("checks are not made yet, so both kinds look at the states of tasks")},

		{"TaskGroup", "Name Count Constraints Affinities Spreads Tasks Volumes RestartPolicy ReschedulePolicy EphemeralDisk Update Migrate Networks Meta ShutdownDelay MaxRunDuration", ok},
		{"TaskGroup", "Scaling", works("kept for autoscalers")},
		{"TaskGroup", "Services", ok},
		{"TaskGroup", "Consul", warns("services are registered in the built-in catalogue")},
		{"TaskGroup", "Disconnect", ok},
		{"TaskGroup", "StopAfterClientDisconnect MaxClientDisconnect PreventRescheduleOnLost", works("forerunners of the disconnect block")},
		{"DisconnectStrategy", "LostAfter Replace Reconcile", ok},
		{"DisconnectStrategy", "StopOnClientAfter", works("counted from when servers take the node for silent; the replacement waits as long")},
		{"EphemeralDisk", "SizeMB", ok},
		{"EphemeralDisk", "Sticky", works("the replacement takes the data over where it is placed on the same node")},
		{"EphemeralDisk", "Migrate", warns("data does not move between nodes; Sticky keeps it on one")},
		{"VolumeRequest", "Name Source ReadOnly", ok},
		{"VolumeRequest", "Type", refused("").except("host")},
		{"VolumeRequest", "PerAlloc", refused("every allocation would get the same volume")},
		{"VolumeRequest", "Sticky AccessMode AttachmentMode MountOptions", warns("a host volume is mounted as it is")},
		{"ScalingPolicy", "Type Min Max Policy Enabled", works("kept for autoscalers")},
		{"ScalingPolicy", "ID Namespace Target CreateIndex ModifyIndex", server},

		{"NetworkResource", "ReservedPorts DynamicPorts", ok},
		{"NetworkResource", "Mode", refused("tasks share the network of their node").except("host")},
		{"NetworkResource", "Device CIDR IP", warns("ports are taken on the node's address")},
		{"NetworkResource", "Hostname", warns("tasks share the host name of their node")},
		{"NetworkResource", "MBits", warns("bandwidth is not limited")},
		{"NetworkResource", "DNS", works("for docker tasks; refused in a group with others, which use the resolvers of their node")},
		{"NetworkResource", "CNI", refused("there are no network plugins")},
		{"DNSConfig", "Servers Searches Options", ok},
		{"Port", "Label Value To HostNetwork IgnoreCollision", ok},

		{"Task", "Spreads", refused("move the spread block to the group or the job: tasks of a group run together")},
		{"Task", "Name User Lifecycle Config Constraints Affinities Env Resources RestartPolicy Meta KillTimeout KillSignal LogConfig VolumeMounts Leader ShutdownDelay", ok},
		{"Task", "Driver", refused("no node can run it").except(append(driversAtHand, driversExpected...)...)},
		{"Task", "Services", ok},
		{"Task", "Artifacts", refused("the task would start without its files")},
		{"Task", "Templates", refused("the task would start without its files")},
		{"Task", "Vault", refused("the task would start without its token")},
		{"Task", "Secrets", refused("the task would start without its secrets")},
		{"Task", "DispatchPayload", ok},
		{"DispatchPayloadConfig", "File", ok},
		{"Task", "CSIPluginConfig", refused("there are no storage plugins")},
		{"Task", "Schedule", refused("the task would run all the time")},
		{"Task", "Consul", warns("services are registered in the built-in catalogue")},
		{"Task", "Kind", warns("it marks tasks of a service mesh")},
		{"Task", "ScalingPolicies", warns("only a group's count scales")},
		{"Task", "Identity Identities", ok},
		{"Task", "Actions", ok},
		{"Action", "Name Command Args", ok},
		{"WorkloadIdentity", "Name Audience ChangeMode ChangeSignal Env File Filepath TTL ExtraClaims", ok},
		{"WorkloadIdentity", "ServiceName", warns("services have no identities")},
		{"TaskLifecycle", "Hook Sidecar", ok},
		{"LogConfig", "MaxFiles MaxFileSizeMB Disabled", ok},
		{"LogConfig", "Enabled", works("forerunner of Disabled")},
		{"VolumeMount", "Volume Destination ReadOnly", ok},
		{"VolumeMount", "PropagationMode", warns("").except("private")},
		{"VolumeMount", "SELinuxLabel", warns("files keep their labels")},

		{"Resources", "CPU Cores MemoryMB MemoryMaxMB Networks", ok},
		{"Resources", "DiskMB", warns("disk is asked for by the group's EphemeralDisk")},
		{"Resources", "IOPS", warns("disk operations are not limited")},
		{"Resources", "SecretsMB", warns("the secrets directory has a fixed size")},
		{"Resources", "Devices", refused("there are no device plugins")},
		{"Resources", "NUMA", refused("cores are chosen without regard to memory nodes")},

		{"Service", "Name TaskName PortLabel AddressMode Address Tags CanaryTags", ok},
		{"Service", "Provider", works("with \"consul\" as with \"nomad\" the built-in catalogue, which draws a warning")},
		{"Service", "Checks CheckRestart OnUpdate", ok},
		{"ServiceCheck", "Name Type Command Args Path Protocol PortLabel AddressMode Interval Timeout InitialStatus TLSServerName TLSSkipVerify Header Method Body CheckRestart GRPCService GRPCUseTLS TaskName SuccessBeforePassing FailuresBeforeCritical FailuresBeforeWarning OnUpdate", ok},
		{"ServiceCheck", "Notes", works("kept and shown")},
		{"ServiceCheck", "Advertise", warns("the address that is checked is that of the check's own port and mode")},
		{"ServiceCheck", "Expose", refused("there is no mesh proxy to make a path reachable; check the task's own port")},
		{"CheckRestart", "Limit Grace IgnoreWarnings", ok},
		{"Service", "EnableTagOverride", warns("tags are those of the job")},
		{"Service", "Meta CanaryMeta TaggedAddresses", warns("the built-in catalogue has names, tags and addresses")},
		{"Service", "Weights", warns("the built-in catalogue has no weights")},
		{"Service", "Identity", warns("services have no identities")},
		{"Service", "Cluster", warns("there is one catalogue").except("default")},
		{"Service", "Kind", warns("there is no service mesh")},
		{"Service", "Connect", mesh},
	}
}
